"""Readiness probes: whether the service inside a machine answers."""

from __future__ import annotations

import asyncio

import aiohttp

from autoscaler.core.instance import Instance
from autoscaler.runtime.ports import Clock

_PATIENCE_S = 5.0


class ServiceProbe:
    """Asks over HTTP or TCP, as the pool's `ready` says."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def ready(self, instance: Instance, check: str) -> bool:
        """Whether `http :PORT/PATH` gives 200, or `tcp :PORT` accepts. Never raises."""
        kind, _, target = check.partition(" ")
        inner, slash, path = target.removeprefix(":").partition("/")
        host, _, mapped = (instance.address or "").partition(":")
        port = mapped or inner  # clouds map a container's port to one of their own
        try:
            async with self._clock.timeout(_PATIENCE_S):
                if kind == "http":
                    return await _answers(f"http://{host}:{port}{slash}{path}")
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return True
        except (OSError, TimeoutError, ValueError, aiohttp.ClientError):
            return False


async def _answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
        return response.status == 200
