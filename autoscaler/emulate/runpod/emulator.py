"""The emulated vendor: keys, rate limit, and which of its APIs answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from autoscaler.emulate.runpod.account import POD_KEY_PREFIX, Account
from autoscaler.emulate.runpod.pods import Pod
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.quota import Quota
from autoscaler.emulate.runpod.refusals import Refusal, Silence
from autoscaler.emulate.runpod.settings import Emulation
from autoscaler.emulate.runpod.v2 import Rest, problem
from providers.http import Answer, Request
from providers.mock import Market


class RunPod:
    """RunPod's APIs over one market. Any key is the account's, save those that the pods were given."""

    def __init__(self, settings: Emulation, *, now: Callable[[], float], rng: random.Random) -> None:
        market = Market("runpod", settings.market, settings.market.scenario, rng)
        self._quirks = frozenset(settings.quirks)
        self._account = Account(market, self._quirks, rng)
        self._rest = Rest(self._account, self._quirks)
        self._quota = Quota()
        self._now, self._rng = now, rng

    @property
    def market(self) -> Market:
        """The truth behind it, up to now."""
        self._account.settle(self._now())
        return self._account.market

    async def handle(self, request: Request) -> Answer:
        """RunPod's answer; see :class:`autoscaler.emulate.base.Emulator`."""
        now = self._now()
        self._account.settle(now)
        try:
            answer = self._answer(request, now)
        except Silence:
            await asyncio.Event().wait()
            raise
        headers = {"x-request-id": f"{self._rng.getrandbits(64):016x}", **answer.headers}
        if answer.status != 401 and Quirk.NO_RATE_LIMIT_HEADERS not in self._quirks:
            headers |= self._quota.headers(now)
        return replace(answer, headers=headers)

    def _answer(self, request: Request, now: float) -> Answer:
        try:
            caller = self._caller(request)
            self._quota.take(now)
            return self._rest.answer(request, now, caller)
        except Refusal as refusal:
            if Quirk.HTML_ERRORS in self._quirks and (refusal.status == 429 or refusal.status >= 500):
                return web_page(refusal.status)
            return problem(refusal)

    def _caller(self, request: Request) -> Pod | None:
        """The pod whose key this is; None for the account's.

        Raises:
            Refusal: there is no key, or it was a pod's that is gone.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Refusal(401, "missing or malformed API key")
        if not key.startswith(POD_KEY_PREFIX):
            return None
        for pod in self._account.pods.values():
            if pod.key == key:
                return pod
        raise Refusal(401, "invalid or missing API key")


def web_page(status: int) -> Answer:
    """What a gateway says in the API's place."""
    page = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"
    return Answer(status=status, headers={"content-type": "text/html"}, body=page.encode())
