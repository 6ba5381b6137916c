"""An emulator served on a port, for any client."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from autoscaler.core.errors import SettingsError
from autoscaler.emulate.base import Dropped, Emulator
from providers.http import Answer, Request

HOST = "127.0.0.1"
_GOODBYE_S = 0.5  # some requests are never answered

Told = Callable[[Request, Answer | None], None]
"""Is told of every request and its answer; of None where the connection ended without one."""


@asynccontextmanager
async def served(emulator: Emulator, *, port: int = 0, tell: Told | None = None) -> AsyncIterator[str]:
    """Serve an emulator on loopback while the context lasts; gives its URL. Port 0 is any that is free.

    Raises:
        SettingsError: the port is taken, or not ours.
    """
    runner = web.AppRunner(
        application(emulator, tell), handler_cancellation=True, shutdown_timeout=_GOODBYE_S, access_log=None
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "taken by another program" if taken else error.strerror or str(error)
            raise SettingsError(f"port {port} on {HOST} is not to be had: {reason}; choose another one") from error
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def application(emulator: Emulator, tell: Told | None = None) -> web.Application:
    """An aiohttp application that gives every request to the emulator."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = Request(
            method=request.method,
            path=request.rel_url.raw_path,
            query=dict(request.rel_url.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        answer: Answer | None = None
        try:
            answer = await emulator.handle(asked)
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # nobody hears it
        finally:
            if tell is not None:
                tell(asked, answer)
        return web.Response(status=answer.status, headers=dict(answer.headers), body=answer.body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return app
