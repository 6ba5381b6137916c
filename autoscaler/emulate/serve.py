"""An emulator served on a port, for any client."""

from __future__ import annotations

from aiohttp import web

from autoscaler.emulate.base import Dropped, Emulator
from providers.http import Request


def application(emulator: Emulator) -> web.Application:
    """An aiohttp application that gives every request to the emulator."""

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = Request(
            method=request.method,
            path=request.rel_url.raw_path,
            query=dict(request.rel_url.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        try:
            answer = await emulator.handle(asked)
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # nobody hears it
        return web.Response(status=answer.status, headers=dict(answer.headers), body=answer.body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return app
