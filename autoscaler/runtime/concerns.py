"""What needs a person, of all that one tick found: the one list behind the dashboard, `status` and notifications.

Each concern has a name, the same everywhere: the alert that Prometheus raises for it is called `Autoscaler` and that
name in CamelCase, and the runbook has a section of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.money import caps
from autoscaler.core.spec import Cap, FleetLimits, Limits
from autoscaler.core.units import format_duration
from autoscaler.core.utilisation import Use
from autoscaler.runtime.report import PoolReport, TickReport

_STANDBY = frozenset({Phase.WARM, Phase.RESUMING})
_REFUSALS = 3
"""Resumes refused in a row after which a stopped machine is spoken of."""
_LATE_FACTOR = 2.0
"""A wait so many times its target is critical."""
_LOW_BALANCE_H = 24.0
"""An account with money for less than this is spoken of."""


class Severity(StrEnum):
    """How soon somebody must look."""

    INFO = "info"
    """It is meant to be so; nobody should forget it."""
    WARNING = "warning"
    """Today."""
    CRITICAL = "critical"
    """Now: users wait, or money is spent for nothing."""


class Name(StrEnum):
    """What a concern is about."""

    TICK_FAILING = "tick_failing"
    NO_LEADER = "no_leader"
    PAUSED = "paused"
    QUEUE_UNKNOWN = "queue_unknown"
    QUEUE_DOUBTED = "queue_doubted"
    WAIT_TARGET_MISSED = "wait_target_missed"
    BUDGET_NEAR = "budget_near"
    BUDGET_SPENT = "budget_spent"
    FORECAST_OVER_BUDGET = "forecast_over_budget"
    BALANCE_LOW = "balance_low"
    PROVIDER_FAILING = "provider_failing"
    PHASE_STUCK = "phase_stuck"
    MACHINE_UNKNOWN = "machine_unknown"
    MACHINE_DEGRADED = "machine_degraded"
    MACHINE_DOWN = "machine_down"
    GPU_UNUSED = "gpu_unused"
    STANDBY_LOST = "standby_lost"
    IMAGE_GIVEN_UP = "image_given_up"


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """One thing that needs a person."""

    name: Name
    severity: Severity
    text: str
    """One line that an operator understands at night: what, since when, at what cost."""
    command: str = ""
    """What examines or mends it, to be typed as it stands; empty where nothing has to be done."""
    pool: str = ""
    subject: str = ""
    """The machine, tier, provider or cap that it is about."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others of one tick, and stays the same from tick to tick."""
        return (self.name, self.pool, self.subject)


def concerns(report: TickReport, *, fleet: str, error: str | None, now: float) -> list[Concern]:
    """All that needs a person, the most severe first; `error` says why the newest tick failed, if it did."""
    found = [
        *_of_daemon(report, error),
        *(each for name, pool in report.pools.items() for each in _of_pool(name, pool)),
        *_of_caps("", report.limits, _spent(report.pools.values())),
        *_of_providers(report),
        *(each for machine in report.instances.values() for each in _of_machine(machine, now)),
        *_of_strays(report, fleet),
    ]
    return sorted(found, key=lambda concern: [*Severity].index(concern.severity), reverse=True)


def _of_daemon(report: TickReport, error: str | None) -> Iterator[Concern]:
    if error is not None:
        yield Concern(
            name=Name.TICK_FAILING,
            severity=Severity.CRITICAL,
            text=f"the newest tick failed, so nothing is started or stopped: {error}",
            command="autoscaler why",
        )
    for pool in sorted(pool for pool, leader in report.leaders.items() if not leader):
        yield Concern(
            name=Name.NO_LEADER,
            severity=Severity.CRITICAL,
            pool=pool,
            text=f"{pool}: no daemon leads it, so nobody starts or stops its machines",
            command="autoscaler run FILE",
        )
    pause = report.orders.pause("")
    if pause is not None:
        yield Concern(
            name=Name.PAUSED,
            severity=Severity.INFO,
            text=f"no machine is started or stopped: {pause.text}",
            command="autoscaler unpause",
        )


def _of_pool(name: str, pool: PoolReport) -> Iterator[Concern]:
    snapshot = pool.snapshot
    yield from _of_queue(name, pool)
    yield from _of_caps(name, snapshot.pool.limits, _spent([pool]))
    if snapshot.image.given_up:
        yield Concern(
            name=Name.IMAGE_GIVEN_UP,
            severity=Severity.CRITICAL,
            pool=name,
            text=f"{name}: its image crashed in a loop on several hosts, so none is rented with it; name a new tag",
            command="autoscaler why",
        )


def _of_queue(name: str, pool: PoolReport) -> Iterator[Concern]:
    demand = pool.snapshot.demand
    if isinstance(demand, Unknown):
        yield Concern(
            name=Name.QUEUE_UNKNOWN,
            severity=Severity.CRITICAL,
            pool=name,
            text=f"{name}: its queue cannot be read, so no machine is stopped: {demand.reason}",
            command="autoscaler queue FILE",
        )
        return
    if (fall := pool.snapshot.signal.fall) is not None:
        yield Concern(
            name=Name.QUEUE_DOUBTED,
            severity=Severity.WARNING,
            pool=name,
            text=f"{name}: {fall.text}",
            command="autoscaler queue FILE",
        )
    targets = {tier.name: tier.wait_target for tier in pool.snapshot.pool.tiers}
    for tier in demand.tiers:
        target_s, wait_s = targets.get(tier.tier), tier.oldest_wait_s
        if target_s is not None and wait_s is not None and wait_s > target_s:
            waits = f"{tier.waiting} jobs of {tier.tier} wait, the oldest for {format_duration(wait_s)}"
            yield Concern(
                name=Name.WAIT_TARGET_MISSED,
                severity=Severity.CRITICAL if wait_s > _LATE_FACTOR * target_s else Severity.WARNING,
                pool=name,
                subject=tier.tier,
                text=f"{name}: {waits}; the target is {format_duration(target_s)}",
                command="autoscaler why",
            )


# --- money ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spent:
    day: float
    month: float
    forecast: float | None


def _spent(pools: Iterable[PoolReport]) -> _Spent:
    every = list(pools)
    forecasts = [pool.snapshot.forecast_usd for pool in every if pool.snapshot.forecast_usd is not None]
    return _Spent(
        day=sum(pool.spent_today.usd for pool in every),
        month=sum(pool.snapshot.spent_month_usd for pool in every),
        forecast=sum(forecasts) if forecasts else None,
    )


def _of_caps(pool: str, limits: Limits | FleetLimits, spent: _Spent) -> Iterator[Concern]:
    found = caps(limits)
    for name, usd, period in (("usd_per_day", spent.day, "today"), ("usd_per_month", spent.month, "this month")):
        cap = found.get(name)
        if cap is not None:
            yield from _of_cap(pool, name, cap, usd, period)
    month = found.get("usd_per_month")
    if month is not None and spent.forecast is not None and spent.month < month.warn < spent.forecast:
        yield Concern(
            name=Name.FORECAST_OVER_BUDGET,
            severity=Severity.WARNING,
            pool=pool,
            text=f"{_whose(pool)}: at this pace the month will cost {spent.forecast:.0f} USD, more than {month.warn:g}",
            command="autoscaler cost",
        )


def _of_cap(pool: str, name: str, cap: Cap, usd: float, period: str) -> Iterator[Concern]:
    spent = f"{_whose(pool)}: {usd:.2f} USD spent {period}"
    if usd >= cap.stop:
        text = f"{spent}, the cap is {cap.stop:g}: only floors run on"
        named, severity = Name.BUDGET_SPENT, Severity.CRITICAL
    elif usd >= cap.warn:
        text = f"{spent}, a warning was asked for at {cap.warn:g}; all but floors stops at {cap.stop:g}"
        named, severity = Name.BUDGET_NEAR, Severity.WARNING
    else:
        return
    yield Concern(name=named, severity=severity, pool=pool, subject=name, text=text, command="autoscaler cost")


def _whose(pool: str) -> str:
    return pool or "the fleet"


# --- providers and machines -------------------------------------------------------------------------------------------


def _of_providers(report: TickReport) -> Iterator[Concern]:
    burning: dict[str, float] = {}
    for machine in report.instances.values():
        burning[machine.provider] = burning.get(machine.provider, 0.0) + machine.burn_usd_per_hour
    for name, listing in report.listings.items():
        if isinstance(listing, Unknown):
            yield Concern(
                name=Name.PROVIDER_FAILING,
                severity=Severity.WARNING,
                subject=name,
                text=f"{name} cannot be listed, so what runs there at {burning.get(name, 0.0):.2f} USD/h is not seen: "
                f"{listing.reason}",
                command="autoscaler check FILE --providers",
            )
    for name, account in report.accounts.items():
        usd, usd_per_hour = account.balance_usd, burning.get(name, 0.0)
        if usd is not None and usd < usd_per_hour * _LOW_BALANCE_H:
            lasts = format_duration(3600.0 * max(0.0, usd) / usd_per_hour)
            yield Concern(
                name=Name.BALANCE_LOW,
                severity=Severity.CRITICAL,
                subject=name,
                text=f"{name}: {usd:.2f} USD are left, for {lasts} at {usd_per_hour:.2f} USD/h; then all machines end",
            )


def _of_machine(machine: Instance, now: float) -> Iterator[Concern]:
    """What is wrong with a machine. Thousands are asked in a tick, so one without trouble is passed over at once."""
    lost = machine.phase is Phase.LOST
    unused = machine.phase is Phase.HOT and machine.gpu_use is not Use.NORMAL
    refused = machine.phase in _STANDBY and machine.refusals >= _REFUSALS
    if machine.phase is Phase.GONE or not (machine.alarmed or lost or machine.ailment or unused or refused):
        return
    since, cost = format_duration(now - machine.phase_since), f"{machine.cost_usd(now):.2f} USD so far"

    def about(name: Name, severity: Severity, text: str, command: str) -> Concern:
        return Concern(
            name=name,
            severity=severity,
            pool=machine.pool,
            subject=machine.id,
            text=f"{machine.id} {text}",
            command=command,
        )

    if machine.alarmed:
        severity = Severity.CRITICAL if machine.burn_usd_per_hour else Severity.WARNING
        text = f"has been {machine.phase} for {since}, longer than it may: {machine.reason}; {cost}"
        yield about(Name.PHASE_STUCK, severity, text, f"autoscaler release {machine.id}")
    if lost:
        text = f"is listed by {machine.provider} no more, for {since}: {machine.reason}"
        yield about(Name.MACHINE_DOWN, Severity.CRITICAL, text, "autoscaler why")
    elif machine.ailment:
        text = f"is degraded: {machine.ailment}; {machine.burn_usd_per_hour:.3f} USD/h"
        yield about(Name.MACHINE_DEGRADED, Severity.WARNING, text, f"autoscaler drain {machine.id}")
    if unused:
        text = f"hardly uses its GPU ({machine.gpu_use}) at {machine.burn_usd_per_hour:.3f} USD/h"
        yield about(Name.GPU_UNUSED, Severity.WARNING, text, f"autoscaler drain {machine.id}")
    if refused:
        text = f"was refused {machine.refusals} times when it was to resume, and costs its disk: {cost}"
        yield about(Name.STANDBY_LOST, Severity.WARNING, text, f"autoscaler release {machine.id}")


def _of_strays(report: TickReport, fleet: str) -> Iterator[Concern]:
    known = {(machine.provider, machine.provider_id) for machine in report.instances.values()}
    for provider, listing in report.listings.items():
        for remote in () if isinstance(listing, Unknown) else listing.machines:
            label = parse_label(remote.label, fleet)
            if label is None or (label[0] in report.pools and (provider, remote.provider_id) in known):
                continue
            name = f"{provider}/{remote.provider_id}"
            yield Concern(
                name=Name.MACHINE_UNKNOWN,
                severity=Severity.CRITICAL,
                pool=label[0],
                subject=name,
                text=f"{name} carries our label and no record speaks of it: {remote.burn_usd_per_hour:.3f} USD/h",
                command="autoscaler reap FILE --dry-run",
            )
