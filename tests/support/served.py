"""The HTTP API over a real socket, in front of a store in memory and a board that a test feeds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientResponse, ClientSession
from prometheus_client import CollectorRegistry

from autoscaler.config import Config, load_config
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.units import Secret
from autoscaler.store.memory import MemoryState, MemoryStore
from autoscaler.telemetry.metrics import Metrics
from autoscaler.web.events import Feed
from autoscaler.web.routes import Route
from autoscaler.web.server import make_app, serve
from autoscaler.web.views import Board
from tests.support.config import GOOD
from tests.support.reports import FLEET, NOW
from tests.support.stores import HandClock

TOKEN = "0123456789abcdef-a-token"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}


class BreakableStore(MemoryStore):
    """A store that is away while `error` says so."""

    def __init__(self, clock: HandClock) -> None:
        self.state = MemoryState()
        super().__init__(self.state, "somebody", clock)
        self.error: Exception | None = None

    async def journal(self, count: int) -> Sequence[Entry]:
        self.check()
        return await super().journal(count)

    async def orders(self) -> Sequence[Order]:
        self.check()
        return await super().orders()

    async def give(self, order: Order) -> None:
        self.check()
        await super().give(order)

    async def withdraw(self, name: str, *, by: str, why: str = "") -> bool:
        self.check()
        return await super().withdraw(name, by=by, why=why)

    async def samples(self, *, newest_first: bool = False) -> AsyncIterator[Sample]:
        self.check()
        async for sample in super().samples(newest_first=newest_first):
            yield sample

    def check(self) -> None:
        if self.error is not None:
            raise self.error


def a_config(*, token: str | None = TOKEN, **http: Any) -> Config:
    """A configuration whose API has a token."""
    config = load_config(GOOD, {})
    secret = None if token is None else Secret(token)
    return replace(config, fleet=FLEET, tick=20.0, http=replace(config.http, token=secret, **http))


@dataclass(kw_only=True)
class Daemon:
    """A served API, and the hands that feed it."""

    client: ClientSession
    board: Board
    feed: Feed
    metrics: Metrics
    clock: HandClock
    store: BreakableStore
    config: Config
    url: str = ""
    woken: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with each request."""

    async def records(self) -> Sequence[Instance]:
        self.store.check()
        return [
            *(self.board.report.instances if self.board.report else {}).values(),
            *self.store.state.instances.values(),
        ]

    def wake(self) -> None:
        self.woken += 1

    async def ask(self, path: str, method: str = "GET", **request: Any) -> tuple[ClientResponse, str]:
        request["headers"] = {**self.headers, **request.get("headers", {})}
        async with self.client.request(method, self.url + path, **request) as response:
            return response, await response.text()

    async def json(self, path: str, method: str = "GET", **request: Any) -> tuple[int, Any]:
        response, text = await self.ask(path, method, **request)
        assert response.content_type == "application/json", text
        return response.status, json.loads(text)

    def note(self, *entries: Entry) -> None:
        """Put entries into the journal, the newest first."""
        self.store.state.journal.extend(reversed(entries))


@asynccontextmanager
async def served(config: Config | None = None, *more: Route) -> AsyncIterator[Daemon]:
    """An API at a free port of loopback."""
    registry, clock = CollectorRegistry(), HandClock()
    clock.time = NOW
    async with ClientSession() as client:
        daemon = Daemon(
            client=client,
            board=Board(FLEET),
            feed=Feed(),
            metrics=Metrics(registry, frozenset),
            clock=clock,
            store=BreakableStore(clock),
            config=config or a_config(),
        )
        app = make_app(
            daemon.board,
            registry,
            daemon.store,
            feed=daemon.feed,
            histories=lambda: {"": daemon.store.samples(newest_first=True)},
            records=daemon.records,
            config=lambda: daemon.config,
            now=clock.now,
            wake=daemon.wake,
            more=more,
        )
        runner = await serve(app, "127.0.0.1:0")
        daemon.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield daemon
        await runner.cleanup()
