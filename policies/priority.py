"""The strategy's priority rules: how long the oldest job of a tier waits decides whether one more machine is started.

====================================  ==========================================================
premium waits > 120 s                 resume a standby
pro or enterprise waits > 30 s        rent overflow: a machine more, a standby first if there is one
more than 20 jobs wait                a second machine
====================================  ==========================================================

One overflow at a time: while a machine is on its way, it is the answer. A machine more is let go once no job has needed
it for `idle_for`: of the machines with a job, or not known to be without one, the most at any moment of that time stay.
Worked example: two machines are up and a pro job has waited for 35 s: three are wanted. The third boots for 40 min,
during which nothing more is ordered. Then three work, later only one: 30 min after there last were three at work, two
are wanted if two worked at the same time in these 30 min, else one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import SETTINGS, Pool
from autoscaler.core.units import Seconds, format_duration
from policies.base import Finding, Policy, State
from policies.hold import Held

_RESUME_ABOVE = MappingProxyType({"premium": 120.0})
_RENT_ABOVE = MappingProxyType({"enterprise": 30.0, "pro": 30.0})


@dataclass(frozen=True, kw_only=True, slots=True)
class Priority:
    """Settings of the policy `priority`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    resume_above: Mapping[str, Seconds] = field(default_factory=lambda: dict(_RESUME_ABOVE))
    """By tier: resume a stopped machine, if there is one, when a job of the tier has waited for longer than this."""
    rent_above: Mapping[str, Seconds] = field(default_factory=lambda: dict(_RENT_ABOVE))
    """By tier: start one more machine, resumed or rented, when a job of the tier has waited for longer than this."""
    second_machine_above: int = 20
    """Have a second machine when more jobs than this wait."""
    idle_for: Seconds = 1800.0
    """Let a machine go again after no job has needed it for this long."""


@dataclass(frozen=True, slots=True)
class _Waits:
    """How long the tiers of one rule wait, in words, sorted by what follows."""

    late: tuple[str, ...]
    unknown: tuple[str, ...]
    in_time: tuple[str, ...]


def decide(snapshot: PoolSnapshot, state: State, now: float, settings: Priority) -> tuple[Decision, State]:
    """One machine more for tiers that wait too long. The state is what is held of the wish."""
    held = Held(**state)
    if isinstance(snapshot.demand, Unknown):
        held = held.take(held.value, now, settings.idle_for)
        text = f"how long jobs wait is unknown ({snapshot.demand.reason}): hold"
        hot = min(held.value, snapshot.up)
        return Decision(hot=hot, warm=0).because("priority.unknown", text), held.state()
    decision = Decision(hot=min(held.value, _in_use(snapshot)), warm=0)
    resume, rent = (_waits(snapshot.demand, above) for above in (settings.resume_above, settings.rent_above))
    decision = _overflow(decision, "resume", resume, snapshot)
    decision = _overflow(decision, "rent", rent, snapshot)
    decision = _second(decision, snapshot.demand.waiting + snapshot.held_back(), settings)
    wish = max(decision.hot, held.value) if resume.unknown or rent.unknown else decision.hot
    held = held.take(wish, now, settings.idle_for)
    falls_in_s = held.falls_in_s(now, settings.idle_for)
    if falls_in_s is not None:
        text = f"{wish} of {held.value} machines are needed; the rest stays for another {format_duration(falls_in_s)}"
        decision = decision.but_not("priority.stop", text)
    return replace(decision, hot=held.value), held.state()


def _in_use(snapshot: PoolSnapshot) -> int:
    """Machines with a job, or not known to be without one, and those on their way."""
    at_work = sum(snapshot.busy.get(machine.id, 1) > 0 for machine in snapshot.in_phase(Phase.HOT))
    return at_work + snapshot.on_the_way


def _waits(demand: Demand, above: Mapping[str, float]) -> _Waits:
    late, unknown, in_time = [], [], []
    for tier in demand.tiers:
        limit_s = above.get(tier.tier)
        if limit_s is None:
            continue
        limit = format_duration(limit_s)
        if not tier.waiting:
            in_time.append(f"no {tier.tier} job waits; it takes one that waits more than {limit}")
        elif tier.oldest_wait_s is None:
            unknown.append(
                f"{tier.waiting} {tier.tier} jobs wait, nobody knows for how long; it takes more than {limit}"
            )
        elif tier.oldest_wait_s > limit_s:
            late.append(f"a {tier.tier} job waits for {format_duration(tier.oldest_wait_s)}, more than {limit}")
        else:
            waits = format_duration(tier.oldest_wait_s)
            in_time.append(f"a {tier.tier} job waits for {waits}; it takes more than {limit}")
    return _Waits(tuple(late), tuple(unknown), tuple(in_time))


def _overflow(decision: Decision, action: str, waits: _Waits, snapshot: PoolSnapshot) -> Decision:
    """One machine more for those that wait too long, unless one is on its way."""
    rule = f"priority.{action}"
    for text in waits.unknown:
        decision = decision.because("priority.unknown", f"{text}: hold")
    if not waits.late:
        for text in waits.in_time:
            decision = decision.but_not(rule, text)
        return decision
    late, standbys = "; ".join(waits.late), len(snapshot.in_phase(Phase.WARM, Phase.STOPPING, Phase.DRAINING))
    if snapshot.on_the_way:
        text = f"{late}: {snapshot.on_the_way} on the way, no further one before it is up"
        return replace(decision.but_not(rule, text), hot=max(decision.hot, snapshot.up))
    if action == "resume" and not standbys:
        return decision.but_not(rule, f"{late}, but no machine is stopped")
    what = "resume a standby" if standbys else "rent one more machine"
    return decision.because(rule, f"{late}: {what}", hot=max(decision.hot, snapshot.up + 1))


def _second(decision: Decision, waiting: int, settings: Priority) -> Decision:
    above = settings.second_machine_above
    if waiting > above:
        text = f"{waiting} jobs wait, more than {above}: a second machine"
        return decision.because("priority.second", text, hot=max(decision.hot, 2))
    return decision.but_not("priority.rent", f"{waiting} jobs wait; for a second machine it takes more than {above}")


def check(settings: Priority, pool: Pool) -> Iterator[Finding]:
    """What is wrong with the rules; tiers that the pool does not have only where a person wrote them."""
    known = {tier.name for tier in pool.tiers}
    written: Iterable[tuple[str, Mapping[str, float], Mapping[str, float]]] = (
        ("resume_above", settings.resume_above, _RESUME_ABOVE),
        ("rent_above", settings.rent_above, _RENT_ABOVE),
    )
    for key, above, usual in written:
        for name in above:
            if name not in known and above != usual:
                yield (
                    (key, name),
                    f"this pool has no such tier; its tiers: {', '.join(tier.name for tier in pool.tiers)}",
                )
    for name, resume_s in settings.resume_above.items():
        rent_s = settings.rent_above.get(name)
        if rent_s is not None and rent_s <= resume_s:
            text = f"without effect, for rent_above ({format_duration(rent_s)}) comes first and resumes a standby, too"
            yield ("resume_above", name), f"{text}; expected less than that"
    if settings.second_machine_above < 0:
        yield ("second_machine_above",), "expected 0 or more"
    if settings.idle_for <= 0:
        yield ("idle_for",), "expected more than 0s"


POLICY = Policy(
    settings=Priority,
    decide=decide,
    window_s=lambda settings: settings.idle_for,
    search=MappingProxyType(
        {
            "second_machine_above": (0, 2, 5, 10, 20, 40),
            "idle_for": (60.0, 300.0, 900.0, 1800.0, 3600.0),
        }
    ),
    check=check,
)
