"""Probes: whether the service inside a machine answers, and how many jobs it holds."""

from __future__ import annotations

import asyncio

import aiohttp

from autoscaler.core.instance import Instance
from autoscaler.machine import prompts_in
from autoscaler.runtime.ports import Clock

_PATIENCE_S = 5.0
_MOST_BYTES = 4 * 2**20  # a queue lists its prompts in full, with images in them perhaps; what is longer is not idle


class ServiceProbe:
    """Asks over HTTP or TCP, as the pool's `ready` and `busy` say."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def ready(self, instance: Instance, check: str) -> bool:
        """Whether `http :PORT/PATH` gives 200, or `tcp :PORT` accepts. Never raises."""
        kind, _, target = check.partition(" ")
        inner, slash, path = target.removeprefix(":").partition("/")
        host, port = _place(instance, inner)
        try:
            async with self._clock.timeout(_PATIENCE_S):
                if kind == "http":
                    return await _body(f"http://{host}:{port}{slash}{path}", 0) is not None
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                return True
        except (OSError, TimeoutError, ValueError, aiohttp.ClientError):
            return False

    async def jobs(self, instance: Instance, question: str) -> int | None:
        """Prompts that run or wait at `comfyui :PORT`; None when it does not say. Never raises."""
        host, port = _place(instance, question.rpartition(":")[2])
        try:
            async with self._clock.timeout(_PATIENCE_S):
                body = await _body(f"http://{host}:{port}/queue", _MOST_BYTES)
            return prompts_in(body or b"")
        except (OSError, TimeoutError, ValueError, aiohttp.ClientError):
            return None


def _place(instance: Instance, inner: str) -> tuple[str, str]:
    """Host and port where a port of the container answers; clouds map it to one of their own."""
    host, _, mapped = (instance.address or "").partition(":")
    return host, mapped or inner


async def _body(url: str, most: int) -> bytes | None:
    """What a service answers under 200, `most` bytes of it; None under any other status."""
    async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            return None
        body = b""
        while len(body) < most and (chunk := await response.content.read(most - len(body))):
            body += chunk
        return body
