"""Notifications: a listener that only puts news into bounded outboxes, and the one task that empties them.

Only who leads a pool speaks of it. What was told is kept with the fleet's records, so that who leads next goes on where
this daemon ends; what an outbox still holds when its daemon dies is lost, and is told again when its reminder is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter

from autoscaler.config.notify import AnyChannel, NotifySettings
from autoscaler.core.decision import Outcome
from autoscaler.core.journal import Entry
from autoscaler.core.unit import Unit
from autoscaler.runtime.concerns import Concern, Name, concerns
from autoscaler.runtime.ports import Clock, Entropy
from autoscaler.runtime.report import NO_TICK, TickReport
from autoscaler.runtime.spending import of_fleet, of_pool
from autoscaler.runtime.told import Told
from autoscaler.telemetry.notify_daily import Daily
from autoscaler.telemetry.notify_news import Change, News, Watch, news_of
from autoscaler.telemetry.notify_outbox import Outbox, Result
from autoscaler.telemetry.notify_ways import Way


class Desk(Protocol):
    """What leads some pools, or another daemon does, and keeps what was told of them."""

    unit: Unit

    @property
    def leads(self) -> bool:
        """Whether it leads them now."""
        ...

    @property
    def told(self) -> tuple[Told, ...]:
        """What people were told of; nothing where another daemon leads."""
        ...

    def remember_told(self, told: tuple[Told, ...]) -> None:
        """Keep what people were told of."""
        ...


class Notifier:
    """Tells people, by the channels of the settings in force."""

    def __init__(
        self,
        fleet: str,
        settings: NotifySettings,
        registry: CollectorRegistry,
        *,
        way_of: Callable[[AnyChannel], Way],
        desks: Callable[[], Sequence[Desk]],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._way_of = way_of
        self._desks = desks
        self._clock = clock
        self._new_box = partial(Outbox, fleet=fleet, clock=clock, entropy=entropy, tell=self._count)
        self._watch = Watch(after_s=settings.after, remind_s=settings.remind)
        self._daily = Daily()
        self._report = NO_TICK
        self._spoke_for: set[str] = set()
        """The units that this daemon led when it last looked."""
        self._events: list[News] = []
        """Of the tick that is being made."""
        self._boxes: dict[str, tuple[AnyChannel, Outbox]] = {}
        self._changed = asyncio.Event()
        self._sends = False
        """Whether anything is sent: a single tick by hand tells nobody, and must not be taken to have."""
        self._sent = Counter(
            "autoscaler_notifications_total",
            "Messages sent, failed, and given up by a channel, and news dropped for want of room.",
            ("channel", "result"),
            registry=registry,
        )
        self.adapt(settings)

    def adapt(self, settings: NotifySettings) -> None:
        """Go on with other settings; a channel that stays as it is keeps what it holds."""
        self._watch.after_s, self._watch.remind_s = settings.after, settings.remind
        before, self._boxes = self._boxes, {}
        for name, channel in settings.channels.items():
            known, box = before.get(name, (None, None))
            if box is None or known != channel:
                box = self._new_box(name, channel, self._way_of(channel), every_s=settings.every)
            box.every_s = settings.every
            self._boxes[name] = channel, box
        self._changed.set()

    def _count(self, channel: str, result: Result, count: int) -> None:
        self._sent.labels(channel, result).inc(count)

    async def run(self) -> None:
        """Send for ever."""
        self._sends = True
        tasks: dict[Outbox, asyncio.Task[None]] = {}
        try:
            while True:
                boxes = [box for _, box in self._boxes.values()]
                for box in tasks.keys() - {*boxes}:
                    tasks.pop(box).cancel()
                for box in boxes:
                    if box not in tasks:
                        tasks[box] = asyncio.create_task(box.run(), name=f"notify {box.name}")
                self._changed.clear()
                await self._changed.wait()
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    # --- listening ----------------------------------------------------------------------------------------------------

    def ticked(self, report: TickReport) -> None:
        """A tick ended well."""
        self._report = report
        self._look(None, report.at)

    def failed(self, reason: str, now: float) -> None:
        """A tick could not be made."""
        self._look(reason, now)

    def noted(self, entry: Entry) -> None:
        """Something went into the journal; it is told with the tick, which knows what else is told of the same."""
        if (news := news_of(entry)) is not None:
            self._events.append(news)

    def called(self, provider: str, outcome: Outcome) -> None:
        """The journal's entry tells of it."""

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """The journal tells of it."""

    def _look(self, error: str | None, now: float) -> None:
        if not self._boxes or not self._sends:
            self._spoke_for.clear()
            self._events.clear()
            return
        desks = [desk for desk in self._desks() if desk.leads]
        for desk in desks:
            if desk.unit.name not in self._spoke_for:
                self._watch.recall(desk.told)
        self._spoke_for = {desk.unit.name for desk in desks}

        def ours(pool: str) -> bool:
            return any(desk.unit.owns(pool) for desk in desks)

        self._watch.forget(ours)
        found = concerns(self._report, error=error, now=now)
        news = self._watch.look([each for each in found if self._speaks(each, ours)], now, self._cost)
        said = self._watch.speaks_of(now)
        news += [each for each in self._events if each.change is Change.ORDER or (each.pool, each.subject) not in said]
        news += self._daily.look(self._report, now) if error is None else []
        self._events.clear()
        for desk in desks:
            desk.remember_told(tuple(each for each in self._watch.told.values() if desk.unit.owns(each.pool)))
        for _, box in self._boxes.values():
            box.put(news)

    def _speaks(self, concern: Concern, ours: Callable[[str], bool]) -> bool:
        """Whether this daemon tells of a concern: of its own pools, and of what no leader could tell."""
        nobody_leads = concern.name is Name.NO_LEADER
        never_ticked = concern.name is Name.TICK_FAILING and self._report is NO_TICK
        return nobody_leads or never_ticked or ours(concern.pool)

    def _cost(self, about: Concern | Told) -> float | None:
        """What the machine that it is about has cost, or else its pool, or the fleet, this month."""
        report = self._report
        if (machine := report.instances.get(about.subject)) is not None:
            return machine.cost_usd(self._clock.now())
        if not about.pool:
            return of_fleet(report).month if report.pools else None
        pool = report.pools.get(about.pool)
        return of_pool(pool).month if pool else None
