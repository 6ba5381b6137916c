"""An emulated cloud on a clock that a test moves by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autoscaler.emulate.base import Emulator
from providers.http import Answer, json_request
from providers.mock import Market
from providers.mock.machine import Machine

KEY = "account"


class BaseDesk:
    """One emulated account and its time."""

    def __init__(self, make: Callable[..., Emulator], emulation: Any, *, start: float) -> None:
        self.now = start
        self.emulator = make(emulation, now=lambda: self.now, rng=random.Random(7))

    @property
    def market(self) -> Market:
        """The truth."""
        return self.emulator.market

    def machine(self, machine_id: str | int) -> Machine:
        """The truth about one machine."""
        return self.market.machines[str(machine_id)]

    def bill(self, machine_id: str | int) -> float:
        """What a machine truly cost."""
        return self.market.billed_usd(self.now)[str(machine_id)]

    async def ask(self, method: str, path: str, body: Any = None, *, key: str = KEY, **query: str) -> Answer:
        """The answer to a request with the account's key, or another, or none."""
        request = json_request(method, path, body, **query)
        bearer = {"authorization": f"Bearer {key}"} if key else {}
        return await self.emulator.handle(replace(request, headers={**request.headers, **bearer}))
