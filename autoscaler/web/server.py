"""The HTTP API: the dashboard, JSON, health for supervisors, metrics for Prometheus, orders for operators."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry, Counter

from autoscaler.config.schema import Config
from autoscaler.core.errors import SettingsError
from autoscaler.core.instance import Instance
from autoscaler.runtime.ports import Store
from autoscaler.web.cost import cost_route
from autoscaler.web.events import Events, Feed
from autoscaler.web.guarded import MOST_BYTES, Guard, errors_as_json, finish_headers, in_time
from autoscaler.web.openapi import document
from autoscaler.web.orders import OrderDesk
from autoscaler.web.page import Files
from autoscaler.web.read import Reader
from autoscaler.web.recent import Histories
from autoscaler.web.rendering import Rendering
from autoscaler.web.routes import Answer, Handler, Route
from autoscaler.web.strays import strays_route
from autoscaler.web.timeline import Timeline
from autoscaler.web.views import Board

_TICKS_LATE = 3
_LATE_S = 30.0
_GOODBYE_S = 2.0  # every answer is short; who reads slower than this at the end is cut off
_MOST_CONNECTIONS = 400  # a process may open 1024 files by default, and needs some to reach Redis and the vendors
_UNREAD = 131_072  # bytes that the system keeps for who does not read; by itself it takes megabytes for each
_IDLE_S = 75.0  # a connection on which nothing is asked; longer than proxies keep theirs


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a record tells of a bug; what is no HTTP is answered with 400, and not worth a traceback each time."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOGGER = logging.getLogger(__name__)
_LOGGER.addFilter(_is_ours)


def make_app(
    board: Board,
    registry: CollectorRegistry,
    store: Store,
    *,
    feed: Feed,
    histories: Histories,
    records: Callable[[], Awaitable[Sequence[Instance]]],
    config: Callable[[], Config],
    now: Callable[[], float],
    wake: Callable[[], None],
    more: Sequence[Route] = (),
) -> web.Application:
    """The application.

    `feed` hears what happens, `histories` gives the history of each unit's pools, newest first, `records` all machines,
    `config` the configuration in force, `now` the daemon's time in epoch seconds, and `wake` lets the next tick begin.
    Routes of others are served, guarded and described like our own.
    """
    refusals = Counter(
        "autoscaler_admission_refusals_total",
        "How often /api/v1/admission answered that a tier is refused.",
        ("pool", "tier"),
        registry=registry,
    )
    rendering = Rendering(board, now)
    reader = Reader(
        board=board,
        registry=registry,
        store=store,
        now=now,
        started=now(),
        late_s=lambda: max(_TICKS_LATE * config().tick, _LATE_S),
        refusals=refusals,
        rendering=rendering,
    )
    desk = OrderDesk(board=board, store=store, records=records, config=config, now=now, wake=wake)
    guard = Guard(lambda: config().http, registry, now)
    events = Events(feed, store, rendering.status)
    timeline = Timeline(histories, records, config, now)
    routes = _with_index(
        *Files().routes(),
        *reader.routes(),
        events.route(),
        timeline.route(),
        cost_route(board, now),
        *desk.routes(),
        strays_route(board, store, records, config, now),
        *more,
    )
    app = web.Application(
        middlewares=[in_time, errors_as_json, guard.known_host],
        client_max_size=MOST_BYTES,
    )
    app.add_routes([_served(route, guard.handler(route)) for route in routes])
    app.on_response_prepare.append(finish_headers)
    app.cleanup_ctx.append(events.running)
    app.on_shutdown.append(events.close)
    return app


def _served(route: Route, handler: Handler) -> web.RouteDef:
    """A route as the application has it; who may GET may HEAD."""
    return web.get(route.path, handler) if route.method == "GET" else web.route(route.method, route.path, handler)


def _with_index(*routes: Route) -> list[Route]:
    """These routes, and two that tell of all."""

    async def index(_request: web.Request) -> web.Response:
        width = max(len(f"{route.method} {route.path}") for route in found)
        lines = [f"{f'{route.method} {route.path}':{width}}  {route.summary}\n" for route in found]
        return web.Response(text="".join(lines))

    @cache
    def described() -> dict[str, Any]:
        return document(found)

    async def openapi(_request: web.Request) -> web.Response:
        return web.json_response(described())

    found = [
        Route(
            method="GET",
            path="/api/v1",
            handler=index,
            summary="this list",
            answers={200: Answer(text="A line for each route.", media=("text/plain",))},
        ),
        Route(
            method="GET",
            path="/api/v1/openapi.json",
            handler=openapi,
            summary="this API as an OpenAPI document",
            answers={200: Answer(text="The document.", form=dict[str, Any])},
        ),
        *routes,
    ]
    return found


class _Site(web.TCPSite):
    """Hangs up on the oldest connections where there are too many: whoever opens them by the thousand loses his own."""

    async def start(self) -> None:
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None  # noqa: S101 - for the types: no site is made before setup

        def connection() -> asyncio.BaseProtocol:
            every = server.connections
            for old in every[: max(0, len(every) - _MOST_CONNECTIONS + 1)]:
                if old.transport is not None:
                    old.transport.abort()
            return server()

        self._server = await asyncio.get_running_loop().create_server(connection, self._host, self._port)
        for listening in self._server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)


async def serve(app: web.Application, listen: str) -> web.AppRunner:
    """Serve an application at `HOST:PORT` until the runner is cleaned up.

    Raises:
        SettingsError: the address is taken, not ours, or none at all.
    """
    host, _, port = listen.rpartition(":")
    if not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        raise SettingsError(f"http.listen: {listen!r} is no address; expected HOST:PORT, such as 127.0.0.1:8080")
    # A compressed body is refused as no JSON: a small one may unpack to any size.
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_LOGGER,
        shutdown_timeout=_GOODBYE_S,
        keepalive_timeout=_IDLE_S,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        await _Site(runner, host.strip("[]"), int(port)).start()
    except (OSError, OverflowError, UnicodeError) as error:
        await runner.cleanup()
        raise SettingsError(f"http.listen: {_explain(error, listen, int(port))}") from error
    return runner


def _explain(error: Exception, listen: str, port: int) -> str:
    """Why an address cannot be served at, and what to do."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.EADDRINUSE:
        return f"{listen} is taken by another program; stop that, or choose another port"
    if code == errno.EACCES:
        return f"{listen} may not be used by this user; choose a port above 1023"
    if port > 65535:
        return f"{listen} has no port between 0 and 65535; expected HOST:PORT, such as 127.0.0.1:8080"
    return f"{listen} is no address of this machine; expected one such as 127.0.0.1:8080 or 0.0.0.0:8080"
