"""What one lease leads: all pools of a fleet, or with `spread` one of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """The pools of one lease. Without a name these are all of them."""

    name: str = ""
    """The pool; empty: all pools, and machines of no pool."""
    others: frozenset[str] = frozenset()
    """Pools that are units of their own; this one may be among them."""
    takes_strays: bool = True
    """It takes the machines, too, whose pool is configured nowhere."""

    def owns(self, pool: str) -> bool:
        """Whether the machines of a pool are this unit's."""
        return pool == self.name or (self.takes_strays and pool not in self.others)

    def beside(self, led: Collection[str]) -> Unit:
        """This unit where some pool that is not configured here is led elsewhere, as while a new file is rolled out."""
        return replace(self, others=self.others | frozenset(led)) if led else self


WHOLE = Unit()


def units_of(pools: Collection[str]) -> list[Unit]:
    """A unit for each pool; the first takes the strays, too."""
    every = frozenset(pools)
    return [Unit(name=name, others=every, takes_strays=number == 0) for number, name in enumerate(pools)]
