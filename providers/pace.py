"""An Http around an Http that keeps to the vendor's pace, so that it need not refuse us.

Of each endpoint one request after the other is sent, in the order they came, with the least interval the vendor asks
for (`Service.spacing_s`) after the last was sent, and again after it was answered: only then is it certain when the
vendor counted it. What the vendor says of its limits holds too (``providers.told``). Endpoints have turns of their own,
so that listings never stand before a stop; and where the vendor tells how many requests are left to the account, the
last few are kept for those that change something.

A turn that is near is waited for. One that is further away than the request's patience is refused at once, and nothing
is sent: a caller that gave up while it waited would have to take its request for sent.

aiolimiter does not serve: its bucket lets bursts through where a vendor wants intervals, cannot be told of a refusal,
does not say how long the wait would be, and runs on the event loop's time alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Protocol

from autoscaler.core.errors import RateLimited, Transient
from autoscaler.core.units import format_duration
from providers import told
from providers.base import may_send
from providers.http import Answer, Http, Request, Service

BACKOFF_S = 5.0
"""The first wait after a refusal that does not say how long; each further one in a row doubles it."""
LONGEST_BACKOFF_S = 120.0
LONGEST_TOLD_S = 3600.0
"""However long a vendor asks for, it is tried again after this: a machine that cannot be released bills meanwhile."""
KEPT_FOR_CHANGES = 5
"""A window with fewer requests left than this is as good as exhausted for requests that only read."""

_TOO_MANY = 429


class Clock(Protocol):
    """Time as pacing needs it."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that much of this clock's time."""
        ...


class _Hold:
    """A time during which nothing may be sent. A clock that is set back ends it."""

    def __init__(self) -> None:
        self._since = 0.0
        self._seconds = 0.0

    def left_s(self, now: float) -> float:
        elapsed = now - self._since
        return max(0.0, self._seconds - elapsed) if elapsed >= 0 else 0.0

    def extend(self, now: float, seconds: float) -> None:
        """Hold for at least so many seconds from now on."""
        if seconds > self.left_s(now):
            self._since, self._seconds = now, seconds


class _Lane:
    """The requests to one endpoint."""

    def __init__(self, spacing_s: float) -> None:
        self.spacing_s = spacing_s
        self.hold = _Hold()
        self.turn = asyncio.Lock()
        self.waiting = 0
        self.refused_at = float("-inf")
        self._backoff_s = 0.0

    def refused(self, sent_at: float, now: float) -> float:
        """How long to wait after a refusal without a word on that, in seconds.

        It doubles where the request was sent after the last refusal; what was under way then says nothing new.
        """
        if sent_at >= self.refused_at:
            self._backoff_s = min(max(BACKOFF_S, 2 * self._backoff_s), LONGEST_BACKOFF_S)
            self.refused_at = now
        return self._backoff_s

    def accepted(self) -> None:
        """A request was not refused."""
        self._backoff_s = 0.0


class Paced:
    """A way to a vendor's API that waits its turn."""

    def __init__(self, http: Http, service: Service, clock: Clock) -> None:
        self._http = http
        self._spacing_s = service.spacing_s
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._account: dict[bool, _Hold] = defaultdict(_Hold)  # by whether a request only reads

    async def send(self, request: Request) -> Answer:
        """The answer to a request, once it is its turn; see :class:`providers.http.Http`."""
        lane = self._lane(request.endpoint)
        await self._wait_turn(lane, request)
        if not may_send():
            raise Transient("not sent: while it waited for its turn, the lease ceased to be certainly ours")
        sent_at = self._clock.now()
        try:
            answer = await self._http.send(request)
        finally:
            lane.hold.extend(self._clock.now(), lane.spacing_s)
        self._heed(answer, lane, sent_at)
        return answer

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    def _lane(self, endpoint: str) -> _Lane:
        if endpoint not in self._lanes:
            self._lanes[endpoint] = _Lane(self._spacing_s.get(endpoint, 0.0))
        return self._lanes[endpoint]

    async def _wait_turn(self, lane: _Lane, request: Request) -> None:
        began = self._clock.now()
        self._left_s(lane, request, began, ahead=lane.waiting)
        lane.waiting += 1
        try:
            async with lane.turn:
                while left_s := self._left_s(lane, request, began):
                    await self._clock.sleep(left_s)
                lane.hold.extend(self._clock.now(), lane.spacing_s)
        finally:
            lane.waiting -= 1

    def _left_s(self, lane: _Lane, request: Request, began: float, *, ahead: int = 0) -> float:
        """Seconds until a request may be sent that began to wait then, with so many before it.

        Raises:
            RateLimited: too long to wait for.
        """
        now = self._clock.now()
        held_s = max(lane.hold.left_s(now), self._account[request.method == "GET"].left_s(now))
        left_s = held_s + ahead * lane.spacing_s
        if now - began + left_s > request.patience_s:
            what = request.endpoint or f"{request.method} {request.path}"
            raise RateLimited(f"{what} was not sent: its turn is in {format_duration(left_s)}", retry_after_s=left_s)
        return left_s

    def _heed(self, answer: Answer, lane: _Lane, sent_at: float) -> None:
        """Hold back what the vendor would refuse after this answer."""
        now = self._clock.now()
        for left, resets_s in told.windows(answer):
            for reads in (False, True):
                if left < (KEPT_FOR_CHANGES if reads else 1):
                    self._account[reads].extend(now, min(resets_s, LONGEST_TOLD_S))
        if answer.status != _TOO_MANY:
            lane.accepted()
            return
        wait_s = told.wait_s(answer, now)
        lane.hold.extend(now, lane.refused(sent_at, now) if wait_s is None else min(wait_s, LONGEST_TOLD_S))
