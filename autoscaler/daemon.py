"""The daemon's life: start, serve, tick, stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from autoscaler.app import App, build, start_embedded
from autoscaler.config import Config
from autoscaler.reload import Reloading
from autoscaler.runtime.ports import Clock
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Supervisor
from autoscaler.web.discovery import discovery_route
from autoscaler.web.hooks import Hooks
from autoscaler.web.reload import reload_route
from autoscaler.web.routes import Route
from autoscaler.web.server import make_app, serve

Started = Callable[[App], list[tuple[str, Coroutine[Any, Any, None]]]]
"""Called once everything is served; gives named tasks to run beside the loop, such as the demo's."""


@asynccontextmanager
async def started(config: Config, clock: Clock) -> AsyncIterator[App]:
    """An app whose embedded Redis runs and whose Redis lets us in; everything is let go of at the end.

    Raises:
        SettingsError: a port is taken, or Redis refuses the password; nothing was touched.
    """
    servers = start_embedded(config)
    app = build(config, clock=clock)
    try:
        await app.check_access()
        yield app
    finally:
        await app.close()
        for server in servers:
            server.stop()


def api_of(app: App, now: Callable[[], float], *more: Route) -> web.Application:
    """The HTTP API of an app, with more routes than its own."""

    def ports() -> dict[str, int | None]:
        return {name: pool.machine.port for name, pool in app.config.pools.items()}

    return make_app(
        app.board,
        app.registry,
        app.store,
        feed=app.feed,
        histories=app.histories,
        records=app.records,
        config=lambda: app.config,
        now=now,
        wake=app.wake.set,
        more=[
            *more,
            Hooks(lambda: app.config, app.look_again, app.registry, now).route(),
            discovery_route(app.records, ports),
        ],
    )


async def run(config: Config, clock: Clock, started_up: Started, *, file: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT; then let calls in flight end, give the lease back, leave machines as they are.

    SIGHUP has the file read again, which the configuration came from.

    Raises:
        SettingsError: bad input; nothing was touched.
    """
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    async with started(config, clock) as app:
        reloading = Reloading(app, file, clock)
        server = await serve(api_of(app, clock.now, reload_route(reloading)), config.http.listen)
        supervisor = Supervisor()
        supervisor.start("loop", go_round(app.tick, app.wake, clock, lambda: app.config.tick))
        supervisor.start("reload", reloading.by_signal(reload))
        supervisor.start("notify", app.notifier.run())
        for name, work in started_up(app):
            supervisor.start(name, work)
        gc.freeze()  # what is there by now lives as long as we do: looking at it again and again delays ticks by 35 ms
        try:
            await supervisor.until(stop)
        finally:
            await supervisor.cancel()
            await app.stop()
            await server.cleanup()


async def run_once(config: Config, clock: Clock) -> str | None:
    """One tick and the calls it leads to; gives why it could not be made, or None.

    Raises:
        SettingsError: bad input; nothing was touched.
    """
    async with started(config, clock) as app:
        await app.tick()
        failed = app.board.error
        await app.stop()
        if (failed := failed or app.board.error) is not None or app.board.report is None:
            return failed or "the tick could not be made"
        return None if app.board.report.leads else "another daemon leads this fleet; nothing was done"
