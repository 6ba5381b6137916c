"""The fleet's money as the leading daemon keeps it: the books of about a month, and who may still spend in a tick."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler.core.decision import STARTS, Command
from autoscaler.core.instance import Instance
from autoscaler.core.ledger import (
    KEPT_DAYS,
    Books,
    DayLedger,
    Spent,
    Work,
    book,
    day_of,
    forecast_usd,
    merged,
    month_usd,
)
from autoscaler.core.money import Burn, FleetMoney, burn
from autoscaler.core.purposes import AtWork
from autoscaler.core.spec import FleetLimits, Pool
from autoscaler.core.waste import Waste, boot_is_over, dropped_disk_usd, why_failed

_WRITE_S = 60.0  # while nothing else changes, the books are written as seldom as this
_BOOT_DAYS = 3  # on which a boot that has just ended may have cost something


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What a pool or the whole fleet costs, in USD."""

    today: float
    month: float
    forecast: float | None
    """What the month will have cost; None before anything was booked."""


class Accounts:
    """Mutable books, and which of them are not stored yet."""

    def __init__(self, stored: Iterable[DayLedger] = ()) -> None:
        self.books: dict[int, DayLedger] = {ledger.day: ledger for ledger in stored}
        self._today = max(self.books, default=0)
        self._unsaved: set[int] = set()
        self._turn = 0
        self._closed: dict[int, DayLedger] = {}
        """Days that left the books last, as they are to be stored for good."""
        self._stored_until = float("-inf")
        self._foretold: dict[str | None, tuple[float, float | None]] = {}
        """The minute's forecast, of each pool and of all."""

    @property
    def newest(self) -> DayLedger | None:
        """The present day's books, or the last before it. Later ones are of a clock that went ahead."""
        day = max((day for day in self.books if day <= self._today), default=None)
        return None if day is None else self.books[day]

    def recall(self, kept: Books) -> None:
        """Take what was kept in memory, where it knows more than the store."""
        together = merged(kept, self.books)
        self._unsaved.update(day for day, ledger in together.items() if ledger != self.books.get(day))
        self.books = together

    def book(self, instances: Iterable[Instance], now: float, at_work: AtWork | None = None) -> None:
        """Bring the books up to now; `at_work` is what was known since the last time."""
        newest, self._today = self.newest, day_of(now)
        for ledger in book(newest, instances, now, at_work, later=self.books):
            self._put(ledger)
        if len(self.books) > KEPT_DAYS:
            self._close()

    def _close(self) -> None:
        """Keep no more of the oldest days than their totals, and those in the store alone."""
        self._closed = {day: self.books.pop(day).totals for day in sorted(self.books)[:-KEPT_DAYS]}
        self._unsaved.update(self._closed)

    def changed(self, old: Instance, new: Instance, now: float, *, ordered: bool) -> None:
        """Take from the change of a machine's phase what money turned out to be wasted."""
        if boot_is_over(new):
            self._boot_over(new, why_failed(old, new, ordered=ordered))
        usd = dropped_disk_usd(old, new, now)
        if usd is not None:
            self._update(new.pool, lambda spent: spent.with_waste(Waste.DROPPED_DISK, usd))

    def _boot_over(self, machine: Instance, why: Waste | None) -> None:
        """A boot may have begun on a day before; it is counted on its last."""
        times = 1
        for day in sorted(self.books, reverse=True)[:_BOOT_DAYS]:
            ledger = self.books[day]
            spent = ledger.pools.get(machine.pool)
            if spent is not None and machine.id in spent.booting:
                self._put(ledger.with_pool(machine.pool, spent.boot_over(machine.id, why, times=times)))
                times = 0

    def worked(self, pool: str, tiers: Mapping[str, Work], classes: Mapping[str, Work]) -> None:
        """Take what a pool's workers have done lately."""
        if tiers or classes:
            self._update(pool, lambda spent: spent.with_work(tiers, classes))

    def downloads(self, machine: Instance, usd: float) -> None:
        """Take what a new machine's downloads should cost by its offer."""
        if usd:
            self._update(
                machine.pool,
                lambda spent: replace(
                    spent,
                    downloads={**spent.downloads, machine.provider: spent.downloads.get(machine.provider, 0.0) + usd},
                ),
            )

    def billed(self, provider: str, day: int, usd: float) -> None:
        """Take what a provider has billed for a day."""
        ledger = self.books.get(day)
        if ledger is not None and ledger.bills.get(provider) != usd:
            self._put(replace(ledger, bills={**ledger.bills, provider: usd}))

    def _update(self, pool: str, change: Callable[[Spent], Spent]) -> None:
        """Change a pool's page of the present day."""
        if (newest := self.newest) is not None:
            self._put(newest.with_pool(pool, change(newest.pools.get(pool, Spent()))))

    def _put(self, ledger: DayLedger) -> None:
        self.books[ledger.day] = ledger
        self._unsaved.add(ledger.day)

    def set_back(self, now: float) -> bool:
        """Whether what was booked last lies in the future, because the clock was set back; the books go on from now."""
        last, self._today = self.newest, day_of(now)
        if self.newest is not None and self.newest.booked_until > now:
            self._go_on_from(now)
        return last is not None and last.booked_until > now

    def go_on(self, later_s: float, now: float) -> None:
        """Go on with the books though the clock was set by so many seconds: not a cent was spent by that."""
        if self.newest is not None:
            self._go_on_from(min(now, self.newest.booked_until + later_s))

    def _go_on_from(self, at: float) -> None:
        self._today = day_of(at)
        page = self.books.get(self._today, DayLedger(day=self._today, booked_from=at, booked_until=at))
        self._put(replace(page, booked_until=at))

    def spent_today(self, pool: str) -> Spent:
        """What a pool has cost on the present UTC day."""
        return self.newest.pools.get(pool, Spent()) if self.newest else Spent()

    def spending(self, now: float, pool: str | None = None) -> Spending:
        """What one pool costs, or all of the fleet, machines of no pool included."""
        newest = self.newest
        if newest is None:
            return Spending(today=0.0, month=0.0, forecast=None)
        minute, foretold = self._foretold.get(pool, (-1, None))
        if minute != now // _WRITE_S:
            foretold = forecast_usd(self.books, now, pool)
            self._foretold[pool] = (now // _WRITE_S, foretold)
        return Spending(today=newest.usd(pool), month=month_usd(self.books, newest.day, pool), forecast=foretold)

    @property
    def overdue(self) -> bool:
        """Whether more than a minute's books are not stored.

        Less is no loss: as long as no record changes, it follows from what was written.
        """
        return self.newest is not None and self.newest.booked_until - self._stored_until >= _WRITE_S

    def take_unsaved(self) -> list[DayLedger]:
        """The books that are not stored yet, which are then taken for stored, and beside them a day's in its turn.

        What a fail-over to an older store lost comes back so, within an hour or two.
        """
        known = self._closed | self.books
        if self._unsaved and self.books:
            self._turn = (self._turn + 1) % len(self.books)
            self._unsaved.add(sorted(self.books)[self._turn])
        ledgers = [known[day] for day in sorted(self._unsaved) if day in known]
        self._unsaved = set()
        self._stored_until = self.newest.booked_until if self.newest else float("-inf")
        return ledgers

    def not_stored(self, days: Iterable[int]) -> None:
        """Take the books of these days for not stored after all."""
        self._unsaved.update(days)
        self._stored_until = float("-inf")


class Turns:
    """Who has spent, and who may still want to, while pool after pool decides in one tick."""

    def __init__(
        self, limits: FleetLimits, pools: Mapping[str, Pool], grouped: Mapping[str, Sequence[Instance]], spent: Spending
    ) -> None:
        self._limits = limits
        self._grouped = grouped
        self._spent = spent
        strays = [machine for name in grouped.keys() - pools.keys() for machine in grouped[name]]
        self._ahead = Burn(leaving=sum(machine.burn_usd_per_hour for machine in strays))
        self._behind: dict[str, Burn] = {}
        total = Burn()
        for name in reversed([*pools]):
            self._behind[name] = total
            total += burn(pools[name], grouped.get(name, ()))

    def money(self, pool: str) -> FleetMoney:
        """The fleet's money in a pool's turn."""
        return FleetMoney(
            limits=self._limits,
            spent_today_usd=self._spent.today,
            spent_month_usd=self._spent.month,
            forecast_usd=self._spent.forecast,
            ahead=self._ahead,
            behind=self._behind[pool],
        )

    def over(self, pool: Pool, commands: Iterable[Command]) -> None:
        """A pool's turn is over: what it has, and what its commands start, is taken."""
        machines = {machine.id: machine for machine in self._grouped.get(pool.name, ())}
        starting = [_price(command, machines) for command in commands if command.action in STARTS]
        self._ahead += burn(pool, machines.values(), starting)


def _price(command: Command, machines: Mapping[str, Instance]) -> float:
    return command.offer.usd_per_hour if command.offer else machines[str(command.instance)].usd_per_hour
