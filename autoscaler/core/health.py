"""Whether a machine that runs is well, and whether one that boots takes too long.

=========  ==========================================================  ================================================
condition  when                                                        what follows
=========  ==========================================================  ================================================
healthy    HOT, without a sign of trouble for `degraded_after`         nothing
degraded   HOT, and a sign of trouble lasts that long, or its          a replacement first; once that is HOT, a drain
           contract ends soon
down       its provider says that it failed, that its host is          it no longer counts as up, so it is replaced at
           offline, or lists it no more (LOST)                         once
=========  ==========================================================  ================================================

What lasts is told by time stamps, and only by what was seen without a break: after a restart, or while nobody looked,
the time counts anew. A verdict, once reached, is in the machine's record and outlives the daemon.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Remote, Status
from autoscaler.core.spec import Health
from autoscaler.core.utilisation import judge

_UNSEEN_S = 60.0  # after a longer break, what lasted before it may have ended in between
_WORRYING = frozenset({Status.UNKNOWN, Status.OFFLINE})  # others move a HOT machine to another phase at once
_BOOTS_KNOWN = 3  # so many boots make a usual time
_LATE_DEVIATIONS = 3.0
_LATE_FACTOR = 2.0  # a usual time that hardly varies yet says little of how far it can vary


class Condition(StrEnum):
    """How well a machine is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signals:
    """What a machine that runs is heard to say of itself."""

    silent: bool = False
    """Its worker beat at some time, and no longer does."""
    trouble: str = ""
    """Its worker's own words for what is wrong."""
    answers: bool | None = True
    """Its service, where it has one to ask, answered the last time; None before the first answer."""
    gpu_share: float | None = None
    """Share of its time, 0 to 1, that the GPU is at work; None when nobody says."""


_NOTHING_HEARD = Signals()
_NOBODY: Mapping[str, str] = MappingProxyType({})


def condition(machine: Instance) -> Condition:
    """How well a machine is, as its record says."""
    if machine.phase is Phase.LOST:
        return Condition.DOWN
    return Condition.DEGRADED if machine.ailment else Condition.HEALTHY


def sign(signals: Signals, remote: Remote | None) -> str:
    """The first sign of trouble of a HOT machine; empty when there is none. `remote` is None when it is not listed."""
    if signals.silent:
        return "its worker has fallen silent"
    if signals.trouble:
        return f"its worker says: {signals.trouble}"
    if signals.answers is False:
        return "its service answers no more"
    if remote is not None and remote.gpu_count == 0:
        return "it runs without a GPU"
    if remote is not None and remote.status in _WORRYING:
        return f"its provider says {remote.status}" + (f" ({remote.detail})" if remote.detail else "")
    return ""


def is_late(machine: Instance, history: PlacementHistory, now: float) -> bool:
    """Whether a new machine boots far longer than those before it at its placement."""
    usual = history.setup
    if machine.phase is not Phase.BOOTING or machine.resumed or not machine.ordered_at or usual.count < _BOOTS_KNOWN:
        return False
    most_s = max(_LATE_FACTOR * usual.mean_s, usual.mean_s + _LATE_DEVIATIONS * math.sqrt(usual.variance))
    return now - machine.ordered_at > most_s


class Watch:
    """Since when each HOT machine shows what it shows."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self._before: Mapping[tuple[str, str], float] = {}
        self._looked_at = -math.inf

    def look(
        self,
        hot: Iterable[Instance],
        signals: Mapping[str, Signals],
        remotes: Mapping[tuple[str, str | None], Remote],
        rules: Mapping[str, Health],
        now: float,
        *,
        ending: Mapping[str, str] = _NOBODY,
    ) -> list[Instance]:
        """Those of the HOT machines whose verdict changed.

        `signals` goes by instance, `remotes` by provider and its id, `rules` by pool; machines of other pools are left
        as they are. `ending` has, by instance, when a contract ends that ends soon: this needs not last to count. To be
        called each tick with all HOT machines.
        """
        self._before = self._since if 0.0 <= now - self._looked_at <= _UNSEEN_S else {}
        self._since, self._looked_at = {}, now
        changed = []
        for old in hot:
            if old.pool not in rules:
                continue
            heard = signals.get(old.id, _NOTHING_HEARD)
            remote = remotes.get((old.provider, old.provider_id))
            new = self._examined(old, heard, remote, rules[old.pool], ending.get(old.id, ""))
            new = self._used(new, heard.gpu_share, rules[old.pool])
            if new is not old:
                changed.append(new)
        return changed

    def _examined(
        self, machine: Instance, heard: Signals, remote: Remote | None, rules: Health, ending: str
    ) -> Instance:
        found = sign(heard, remote)
        lasted_s = self._lasts(machine.id, "ailing", bool(found))
        if ending:
            return machine if machine.ailment else replace(machine, ailment=ending)
        if machine.ailment:
            well = not found and remote is not None and heard.answers is not None  # what is missing heals nothing
            return replace(machine, ailment="") if well else machine
        return replace(machine, ailment=found) if found and lasted_s >= rules.degraded_after else machine

    def _used(self, machine: Instance, share: float | None, rules: Health) -> Instance:
        if share is None:
            return machine
        low_s = self._lasts(machine.id, "low", share < rules.low_gpu)
        idle_s = self._lasts(machine.id, "idle", share < rules.idle_gpu)
        use = judge(machine.gpu_use, share, low_s, idle_s, rules)
        return machine if use is machine.gpu_use else replace(machine, gpu_use=use)

    def _lasts(self, instance: str, what: str, holds: bool) -> float:
        """Seconds for which it holds without a break, up to now."""
        if not holds:
            return 0.0
        since = self._since[instance, what] = self._before.get((instance, what), self._looked_at)
        return self._looked_at - since
