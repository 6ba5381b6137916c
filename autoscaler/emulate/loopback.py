"""An emulator asked in the same process: no socket, so that time may be virtual."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.errors import UnclearOutcome
from autoscaler.emulate.base import Dropped, Emulator
from providers.http import Answer, Request, Service


class Loopback:
    """The way to an emulator in this process."""

    def __init__(self, emulator: Emulator, service: Service) -> None:
        self._emulator = emulator
        self._key = service.key

    async def send(self, request: Request) -> Answer:
        """The emulator's answer; see :class:`providers.http.Http`."""
        authorized = {**request.headers, "authorization": f"Bearer {self._key.reveal()}"}
        try:
            return await self._emulator.handle(replace(request, headers=authorized))
        except Dropped:
            raise UnclearOutcome("no answer: the connection was reset") from None

    async def close(self) -> None:
        """Nothing is held open."""
