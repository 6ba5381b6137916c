"""The emulated vendor: who asks, how often, and which of its APIs answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from autoscaler.emulate.base import Sent, never
from autoscaler.emulate.runpod.account import Account
from autoscaler.emulate.runpod.graph import Graph
from autoscaler.emulate.runpod.keys import caller_of
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.quota import Quota
from autoscaler.emulate.runpod.refusals import Refusal, Silence
from autoscaler.emulate.runpod.settings import Emulation
from autoscaler.emulate.runpod.v2 import Rest, problem
from providers.http import Answer, Request
from providers.mock import Market


class RunPod:
    """RunPod's APIs over one market."""

    def __init__(self, settings: Emulation, *, now: Callable[[], float], rng: random.Random) -> None:
        market = Market("runpod", settings.market, settings.market.scenario, rng)
        self._quirks = frozenset(settings.quirks)
        self._account = Account(market, self._quirks, rng)
        self._rest = Rest(self._account, self._quirks)
        self._graph = Graph(self._account, self._quirks)
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
        answer_of = self._graph_answer if request.path == "/graphql" else self._rest_answer
        try:
            return answer_of(request, now)
        except Silence:
            return await never()

    def sends(self) -> Sequence[Sent]:
        """Nothing; see :class:`autoscaler.emulate.base.Telling`."""
        return ()

    def _rest_answer(self, request: Request, now: float) -> Answer:
        headers = {"x-request-id": f"{self._rng.getrandbits(64):016x}"}
        try:
            caller = caller_of(request, self._account.pods.values())
            if caller.known:
                self._quota.take(now)
            answer = self._rest.answer(request, now, caller)
        except Refusal as refusal:
            answer = self._refused(refusal)
        if answer.status != 401 and Quirk.NO_RATE_LIMIT_HEADERS not in self._quirks:
            headers |= self._quota.headers(now)
        return replace(answer, headers={**headers, **answer.headers})

    def _graph_answer(self, request: Request, now: float) -> Answer:
        if Quirk.GRAPHQL_GONE in self._quirks:
            return web_page(404)
        if request.method != "POST":
            return self._refused(Refusal(405, "method not allowed"))
        try:
            return self._graph.answer(request, now, caller_of(request, self._account.pods.values()))
        except Refusal as refusal:
            return self._refused(refusal)

    def _refused(self, refusal: Refusal) -> Answer:
        if Quirk.HTML_ERRORS in self._quirks and (refusal.status == 429 or refusal.status >= 500):
            return web_page(refusal.status)
        return problem(refusal)


def web_page(status: int) -> Answer:
    """What a gateway says in the API's place."""
    page = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"
    return Answer(status=status, headers={"content-type": "text/html"}, body=page.encode())
