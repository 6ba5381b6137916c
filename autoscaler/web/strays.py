"""Machines that bill in our name and that nobody takes care of, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict

from aiohttp import web

from autoscaler.config.schema import Config
from autoscaler.core.instance import Instance
from autoscaler.core.strays import find
from autoscaler.runtime.ports import Store
from autoscaler.web.forms import ProblemForm, StraysForm
from autoscaler.web.routes import Answer, Route
from autoscaler.web.views import Board


def strays_route(
    board: Board,
    store: Store,
    records: Callable[[], Awaitable[Sequence[Instance]]],
    config: Callable[[], Config],
    now: Callable[[], float],
) -> Route:
    """The one route; `records` gives all machines, whichever daemon leads their pools."""

    async def strays(_request: web.Request) -> web.Response:
        known, at = config(), board.at
        listings = board.listings(known.providers)
        found = find(listings, await records(), fleet=known.fleet, pools=known.pools, led=await store.led(), now=now())
        return web.json_response({"at": at, **asdict(found)})

    return Route(
        method="GET",
        path="/api/v1/strays",
        handler=strays,
        summary="machines that bill in the fleet's name and that nobody takes care of",
        answers={
            200: Answer(text="By the newest listings.", form=StraysForm),
            503: Answer(text="The store is away.", form=ProblemForm),
        },
    )
