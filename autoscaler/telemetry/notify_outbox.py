"""One channel's outbox: what is to be told by it, when it may be, and how often it is tried."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import structlog

from autoscaler.config.notify import Channel, Quiet
from autoscaler.config.notify_checks import bounds
from autoscaler.runtime.concerns import Severity
from autoscaler.runtime.ports import Clock, Entropy
from autoscaler.runtime.supervise import Wake
from autoscaler.telemetry.notify_news import Change, News, newest
from autoscaler.telemetry.notify_text import Message, compose
from autoscaler.telemetry.notify_ways import Way, attempt

_MOST_PENDING = 1000
_TRIES = 10
_FIRST_PAUSE_S, _MOST_PAUSE_S = 2.0, 300.0

Result = Literal["sent", "failed", "given_up", "dropped"]
"""A message was taken; was not, and is tried again; is tried no more. `dropped`: news for which there was no room."""
Tell = Callable[[str, Result, int], None]
"""Is told a channel's name, a result, and of how many."""


class Outbox:
    """Holds a channel's news until they may be sent, and sends them as few messages, one at a time."""

    def __init__(
        self,
        name: str,
        settings: Channel,
        way: Way,
        *,
        fleet: str,
        every_s: float,
        clock: Clock,
        entropy: Entropy,
        tell: Tell,
    ) -> None:
        self.name = name
        self._settings = settings
        self._way = way
        self._fleet = fleet
        self.every_s = every_s
        self._clock = clock
        self._entropy = entropy
        self._tell = tell
        self._pending: deque[News] = deque()
        self._dropped = 0
        """News that had no room since the last message."""
        self._sent_at = float("-inf")
        self._wake = Wake()
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

    def put(self, news: Iterable[News]) -> None:
        """Take what this channel is to tell of, at once; the oldest goes where there is no room."""
        for each in filter(self._wanted, news):
            self._pending.append(each)
            self._wake.set()
        while len(self._pending) > _MOST_PENDING:
            self._pending.popleft()
            self._dropped += 1
            self._tell(self.name, "dropped", 1)

    def _wanted(self, news: News) -> bool:
        own = self._settings
        if news.change is Change.SUMMARY:
            return "summary" in own.also
        if own.pools and news.pool not in own.pools:
            return False
        if news.change is Change.ORDER and "orders" in own.also:
            return True
        return news.change is not Change.ORDER and news.severity.rank >= Severity(own.severity).rank

    async def run(self) -> None:
        """Send for ever what may be sent."""
        while True:
            now = self._clock.now()
            ends_s = quiet_for_s(self._settings.quiet, now)
            ready = [each for each in self._pending if not ends_s or self._passes(each)]
            if not ready:
                await self._wake.wait(self._clock, ends_s if ends_s and self._pending else _MOST_PAUSE_S)
                continue
            self._sent_at = min(self._sent_at, now)  # the clock may have been set back
            if (early_s := self._sent_at + self.every_s - now) > 0.0:
                await self._clock.sleep(early_s)
                continue
            self._pending = deque(each for each in self._pending if ends_s and not self._passes(each))
            dropped, self._dropped = self._dropped, 0
            message = compose(
                newest(ready), id=f"msg_{self._entropy.token()}", fleet=self._fleet, at=now, dropped=dropped
            )
            await self._deliver(message)
            self._sent_at = self._clock.now()

    def _passes(self, news: News) -> bool:
        quiet = self._settings.quiet
        return quiet is None or (quiet.lets_through == "critical" and news.severity is Severity.CRITICAL)

    async def _deliver(self, message: Message) -> None:
        """Try until it is taken, or refused for good, or often enough: for about half an hour."""
        for tried in range(1, _TRIES + 1):
            reason = await attempt(self._way, message, self._clock)
            if isinstance(reason, str):
                self._tell(self.name, "sent", 1)
                if tried > 1:
                    self._log.info("notify_sent", channel=self.name, text=f"{self.name}: sent at try {tried}")
                return
            if reason.final or tried == _TRIES:
                self._tell(self.name, "given_up", 1)
                self._log.error(
                    "notify_given_up", channel=self.name, text=f"{self.name}: given up: {message.title}: {reason}"
                )
                return
            self._tell(self.name, "failed", 1)
            if tried == 1:
                self._log.warning("notify_failed", channel=self.name, text=f"{self.name}: {reason}; tried again")
            # Exponential back-off with "equal jitter" (Brooker, 2015, aws.amazon.com/blogs/architecture).
            most_s = min(_MOST_PAUSE_S, _FIRST_PAUSE_S * 2.0**tried)
            await self._clock.sleep(max(reason.retry_after_s, self._entropy.between(0.5 * most_s, most_s)))


def quiet_for_s(quiet: Quiet | None, now: float) -> float:
    """Seconds until the quiet hours end that hold at a time; 0 where none do.

    Both ends are those of the zone's wall clock: hours that a change of the clocks skips or repeats count as it shows.
    """
    if quiet is None:
        return 0.0
    begin, end = bounds(quiet.hours)
    local = datetime.fromtimestamp(now, ZoneInfo(quiet.zone))
    clock = local.time()
    within = begin <= clock < end if begin < end else clock >= begin or clock < end
    if not within:
        return 0.0
    day = local.date() + timedelta(days=1 if clock >= end else 0)
    return datetime.combine(day, end, local.tzinfo).timestamp() - now
