"""Whether the money is kept together, by the market's own bill."""

from __future__ import annotations

import json
from collections.abc import Callable

from autoscaler.core.instance import parse_label
from autoscaler.core.ledger import day_of
from tests.chaos.daemon import Daemon
from tests.chaos.world import World
from tests.support.build import FLEET

_CALL_S = 60.0
_BOOKED_WITHIN_S = 1800.0
_ROUNDING_USD = 1e-6
_UNBOOKED_USD = 0.25
"""What a machine costs from when it was made until a listing shows it, some times a day."""


class Books:
    """The invariants about money, and what they remember from one step to the next."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pool_of: dict[str, str] = {}
        """Of all machines of ours that ever were, by provider id."""
        self._day = -1
        self._before_today: dict[str, float] = {}
        self._excused: dict[str, float] = {}
        self._led: dict[str, Daemon] = {}
        self._looked_at = world.clock.now()

    @property
    def checks(self) -> tuple[Callable[[], str | None], ...]:
        """All of them."""
        return (self.budget_held, self.books_cover_the_bill, self.lines_add_up)

    def billed(self) -> dict[str, float]:
        """USD that the market has charged so far for machines of ours, by pool."""
        world, now = self._world, self._world.clock.now()
        usd: dict[str, float] = {}
        for name, machine in world.machines().items():
            pool = self._pool_of.setdefault(name, (parse_label(machine.label, FLEET) or ("", ""))[0])
            usd[pool] = usd.get(pool, 0.0) + machine.cost_usd(now)
        for name, cost in world.market.released.items():
            if pool := self._pool_of.get(name, ""):
                usd[pool] = usd.get(pool, 0.0) + cost
        return usd

    def budget_held(self) -> str | None:
        """No machine above the floor runs on a day whose money is spent, to within one machine and hour.

        What machines above the floor cost while no daemon could end one is not held against the budget, nor what a
        failover made forgotten: the books of a daemon that had no time to write them into the new Redis.
        """
        world, now = self._world, self._world.clock.now()
        billed = self.billed()
        if day_of(now) != self._day:
            self._day, self._before_today, self._excused = day_of(now), billed, {}
        helpless = now - world.disturbed_at < world.plan.slots_service_s + 900.0
        found = None
        for pool, settings in world.config.pools.items():
            machines = [m for name, m in world.machines().items() if self._pool_of.get(name) == pool and m.on_gpu]
            running = sorted((machine.usd_per_hour for machine in machines), reverse=True)
            above = running[settings.limits.hot.low :]
            excused = self._excused.get(pool, 0.0)
            if helpless:
                excused += sum(above) * (now - self._looked_at) / 3600.0
            today = billed.get(pool, 0.0) - self._before_today.get(pool, 0.0)
            excused += self._forgotten_usd(pool, today - excused)
            self._excused[pool] = excused
            stop = settings.limits.usd_per_day.stop
            if above and not helpless and today - excused > stop + max(running):
                text = f"{today:.2f} USD billed today for {pool}, {excused:.2f} of it excused, {stop:g} allowed"
                found = found or f"{text}, and {len(above)} machines above the floor still run"
        self._looked_at = now
        return found

    def _forgotten_usd(self, pool: str, today_usd: float) -> float:
        """What a new leader cannot know of today's cost, because a failover took the books of the one before."""
        world, before = self._world, self._led.get(pool)
        leader = world.leader(pool)
        unit = leader.unit_of(pool) if leader else None
        report = leader.reports.get(unit) if leader and unit is not None else None
        if leader is None or leader is before or report is None or pool not in report.pools:
            return 0.0
        self._led[pool] = leader
        if before is None or world.failed_over_at < max(before.led_at.values()) - _CALL_S - 2 * world.plan.tick_s:
            return 0.0
        return max(0.0, today_usd - report.pools[pool].spent_today.usd)

    def books_cover_the_bill(self) -> str | None:
        """When all is calm, nothing was billed that the books do not know.

        Not where a failover took some of them, or where clocks were set: time that no clock counted is in no books.
        """
        world = self._world
        calm_for_s = world.clock.now() - world.calm_at
        if not _BOOKED_WITHIN_S < calm_for_s < float("inf") or world.ground.epoch or world.clocks_differ:
            return None
        booked = self.booked()
        short = {pool: usd - booked.get(pool, 0.0) for pool, usd in self.billed().items()}
        missing = [f"{usd:.2f} USD of {pool}" for pool, usd in short.items() if usd > _UNBOOKED_USD]
        return f"billed, and in no books: {', '.join(missing)}" if missing else None

    def lines_add_up(self) -> str | None:
        """Whatever befell the daemons, each stored page says of every cent what it was for."""
        for stored in self._world.ground.redis.ledgers():
            day = json.loads(stored)
            for pool, usd in day["pools"].items():
                total = usd["running_usd"] + usd["stopped_usd"]
                lines = sum(line[-1] for line in usd.get("lines", ()))
                if abs(lines - total) > _ROUNDING_USD:
                    return f"{pool} has cost {total} USD on day {day['day']}, and the lines add up to {lines}"
        return None

    def booked(self) -> dict[str, float]:
        """USD in the books of all days, by pool; of a day that lies under several keys the one that knows more."""
        spent: dict[tuple[int, str], float] = {}
        for stored in self._world.ground.redis.ledgers():
            day = json.loads(stored)
            for pool, usd in day["pools"].items():
                known = spent.get((day["day"], pool), 0.0)
                spent[day["day"], pool] = max(known, usd["running_usd"] + usd["stopped_usd"])
        booked: dict[str, float] = {}
        for (_, pool), usd in spent.items():
            booked[pool] = booked.get(pool, 0.0) + usd
        return booked
