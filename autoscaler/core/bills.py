"""What each machine has cost by our own books, day by day, to be held against what its provider bills.

The ledger is kept by pool; a record knows what its machine has cost in all, and is forgotten some time after the
machine is gone. So for two days it is kept beside them what each machine had cost when the day began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoscaler.core.instance import Instance
from autoscaler.core.ledger import DAY_S, day_of
from autoscaler.core.lifecycle import Phase

SETTLED_S = 3600.0
"""Bills run behind: what a machine still cost may be on them only this long after it is gone."""
_SHARE, _LEAST_USD = 0.1, 0.5
_LEAK_USD = 0.01

Costs = Mapping[str, float]
"""USD by provider id."""


def is_more(billed_usd: float, booked_usd: float) -> bool:
    """Whether a bill is above the books by more than rounding and late bookings explain."""
    return billed_usd > booked_usd * (1.0 + _SHARE) and billed_usd > booked_usd + _LEAST_USD


@dataclass(kw_only=True, slots=True)
class MachineBooks:
    """What the machines cost on the present UTC day and on the one before."""

    day: int | None = None
    whole: bool = False
    """The books of the present day begin with it."""
    opened: dict[str, dict[str, float]] = field(default_factory=dict)
    """What machines had cost when the day began, by provider and its id."""
    ended: dict[str, dict[str, float]] = field(default_factory=dict)
    """What machines had cost in all whose records were forgotten since."""
    before: dict[str, dict[str, float]] | None = None
    """What machines cost on the day before; None where that is not known."""
    gone: dict[str, dict[str, float]] = field(default_factory=dict)
    """When machines were gone whose records are forgotten: epoch seconds."""
    compared: dict[str, int] = field(default_factory=dict)
    """The last day whose books were held against the bill, by provider."""

    def turn(self, instances: Iterable[Instance], now: float) -> bool:
        """Begin a new day, if there is one; to be called each tick before records change. Whether there was one."""
        today = day_of(now)
        if self.day is not None and self.day - 1 <= today <= self.day:
            return False
        machines, midnight = list(instances), today * DAY_S
        followed = self.day == today - 1
        self.before = self._costs(machines, midnight) if followed and self.whole else None
        self.opened = {}
        for machine in machines:
            if machine.provider_id is not None:
                self.opened.setdefault(machine.provider, {})[machine.provider_id] = machine.cost_usd(midnight)
        self.whole = followed or not machines
        self.ended = {}
        self.gone = {
            provider: {each: at for each, at in gone.items() if at >= midnight - DAY_S}
            for provider, gone in self.gone.items()
        }
        self.day = today
        return True

    def forget(self, record: Instance) -> None:
        """Keep what is needed of a machine that is gone, as its record goes."""
        if record.provider_id is not None:
            self.ended.setdefault(record.provider, {})[record.provider_id] = record.usd_spent
            self.gone.setdefault(record.provider, {})[record.provider_id] = record.phase_since

    def costs(self, provider: str, day: int, instances: Iterable[Instance], now: float) -> Costs | None:
        """What a provider's machines cost on a day, as far as the books know them; None where they do not."""
        if day == self.day and self.whole:
            return self._costs(instances, now).get(provider, {})
        if self.day is not None and day == self.day - 1 and self.before is not None:
            return self.before.get(provider, {})
        return None

    def _costs(self, instances: Iterable[Instance], at: float) -> dict[str, dict[str, float]]:
        day_began = (self.day or 0) * DAY_S
        costs: dict[str, dict[str, float]] = {}
        for provider, ended in self.ended.items():
            for each, usd in ended.items():
                costs.setdefault(provider, {})[each] = usd - self.opened.get(provider, {}).get(each, 0.0)
        for machine in instances:
            if machine.provider_id is None or (machine.adopted and machine.created_at >= day_began):
                continue  # what one that was found during the day had cost before is not in our books
            opened = self.opened.get(machine.provider, {}).get(machine.provider_id, 0.0)
            costs.setdefault(machine.provider, {})[machine.provider_id] = machine.cost_usd(at) - opened
        return costs

    def gone_at(self, provider: str, instances: Iterable[Instance]) -> dict[str, float]:
        """When each of a provider's machines was gone that are: epoch seconds, by provider id."""
        known = {each.provider_id: each for each in instances if each.provider == provider and each.provider_id}
        gone = {each: at for each, at in self.gone.get(provider, {}).items() if each not in known}
        return gone | {name: each.phase_since for name, each in known.items() if each.phase is Phase.GONE}

    def compare(self, provider: str, day: int) -> bool:
        """Whether a day was not held against its bill yet; it is from now on."""
        if self.compared.get(provider, -1) >= day:
            return False
        self.compared[provider] = day
        return True


class Leaks:
    """Finds machines that are gone, as far as we know, and whose bill grows nevertheless. One provider's."""

    def __init__(self) -> None:
        self._day = -1
        self._read_at = 0.0
        self._bill: Costs = {}
        self._told: set[str] = set()

    def read(self, day: int, bill: Costs, gone: Mapping[str, float], now: float) -> dict[str, float]:
        """Take the bill of the present day; gives what was added to it, in USD, for machines long gone. Each once.

        On the first bill of a day all is new, and was added since the day began.
        """
        before, since = (self._bill, self._read_at) if day == self._day else ({}, day * DAY_S)
        self._day, self._read_at, self._bill = day, now, dict(bill)
        self._told &= gone.keys()
        added = {
            name: bill.get(name, 0.0) - before.get(name, 0.0)
            for name, gone_at in gone.items()
            if name not in self._told and gone_at + SETTLED_S <= since
        }
        leaks = {name: usd for name, usd in added.items() if usd > _LEAK_USD}
        self._told |= leaks.keys()
        return leaks
