"""Vast.ai's API from the outside: who asks, for what, how often, and what goes wrong on the way."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autoscaler.emulate.base import Sent
from autoscaler.emulate.vastai.account import Account, Call, instance_key
from autoscaler.emulate.vastai.errors import Refused, bad_request, page, refusal
from autoscaler.emulate.vastai.faults import strike_after, strike_before
from autoscaler.emulate.vastai.notices import Notices
from autoscaler.emulate.vastai.pace import Pace
from autoscaler.emulate.vastai.routes import OPEN, Route, route_of
from autoscaler.emulate.vastai.settings import Emulation, Quirk
from providers.http import Answer, Request
from providers.mock import Market
from providers.mock.faults import NOTHING


class VastEmulator:
    """A Vast.ai with one account, whose key is any that is not one of its instances'."""

    def __init__(self, settings: Emulation, *, now: Callable[[], float], rng: random.Random) -> None:
        self._account = Account(settings, rng)
        self._now = now
        self._pace = Pace()
        self._notices = None if settings.webhook is None else Notices(settings.webhook)

    @property
    def market(self) -> Market:
        """The truth behind it; instances have the same ids in it, as text."""
        return self._account.market

    async def handle(self, request: Request) -> Answer:
        """The answer to a request; see :class:`autoscaler.emulate.Emulator`."""
        try:
            route, number = route_of(request.method, request.path)
            return await self._answer(route, number, request)
        except Refused as refused:
            return refused.answer

    def sends(self) -> Sequence[Sent]:
        """Its notifications, where it has a webhook; see :class:`autoscaler.emulate.base.Telling`."""
        if self._notices is None:
            return ()
        self._account.settle(self._now())
        return self._notices.look(self.market, self._now())

    async def _answer(self, route: Route, number: int, request: Request) -> Answer:
        account, now = self._account, self._now()
        account.settle(now)
        body = _body(request)
        key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        self._authorize(route, number, key, body)
        if account.has(Quirk.MINIMUM_INTERVALS):
            self._pace.ask(route, key, now)
        operation = route.operation(body, request.query)
        struck = NOTHING if operation is None else account.strike(operation, now)
        if operation is not None:
            await strike_before(operation, struck, account.settings.quirks)
        if account.has(Quirk.NOT_JSON) and request.method == "GET":
            return page(200, "We will be back soon")
        call = Call(now=now, number=number, body=body, query=request.query, struck=struck)
        try:
            return route.answer(account, call)
        finally:  # a refusal may have had an effect, too
            await strike_after(struck, account.settings.quirks)

    def _authorize(self, route: Route, number: int, key: str, body: Mapping[str, Any]) -> None:
        """Let in the account's key everywhere, an instance's where it may go, and nobody elsewhere but to the search.

        Raises:
            Refused: this key may not.
        """
        if not key and route.name not in OPEN:
            raise refusal(401, "auth_error", "This action requires login.")
        owner = next((each for each in self.market.machines if key == instance_key(int(each))), None)
        if owner is None or (int(owner) == number and route.is_own(body)):
            return
        raise refusal(403, "forbidden", "This key may only start, stop and destroy its own instance.")


def _body(request: Request) -> Mapping[str, Any]:
    try:
        body = request.json()
    except ValueError:
        raise bad_request("Invalid json body") from None
    if body is not None and not isinstance(body, Mapping):
        raise bad_request("Invalid json body")
    return body or {}
