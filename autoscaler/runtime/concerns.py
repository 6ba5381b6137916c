"""What needs a person, of all that one tick found: the one list behind the dashboard, `status` and notifications.

Each concern has a name, the same everywhere: the alert that Prometheus raises for it is called `Autoscaler` and that
name in CamelCase, and the runbook has a section of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from autoscaler.core.decision import STARTS
from autoscaler.core.demand import Pending, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.money import caps
from autoscaler.core.orders import OrderKind
from autoscaler.core.spec import Cap, FleetLimits, Health, Limits
from autoscaler.core.units import format_duration
from autoscaler.core.utilisation import Use
from autoscaler.runtime import spending
from autoscaler.runtime.accounts import Spending
from autoscaler.runtime.report import PoolReport, TickReport

_STANDBY = frozenset({Phase.WARM, Phase.RESUMING})
_REFUSALS = 3
"""Resumes refused in a row after which a stopped machine is spoken of."""
_LATE_FACTOR = 2.0
"""A wait so many times its target is critical."""
_LOW_BALANCE_H = 24.0
"""An account with money for less than this is spoken of."""
_WHY_SHORT = frozenset({"plan.rent", "plan.resume"})
"""The rules that say why a machine is not started."""


class Severity(StrEnum):
    """How soon somebody must look."""

    INFO = "info"
    """It is meant to be so; nobody should forget it."""
    WARNING = "warning"
    """Today."""
    CRITICAL = "critical"
    """Now: users wait, or money is spent for nothing."""

    @property
    def rank(self) -> int:
        """The more severe, the higher."""
        return [*Severity].index(self)


class Name(StrEnum):
    """What a concern is about."""

    TICK_FAILING = "tick_failing"
    """The newest tick failed, so nothing is started or stopped."""
    NO_LEADER = "no_leader"
    """No daemon leads a pool."""
    PAUSED = "paused"
    """An operator has paused the fleet, or a pool."""
    QUEUE_UNKNOWN = "queue_unknown"
    """A queue cannot be read."""
    QUEUE_DOUBTED = "queue_doubted"
    """Jobs are gone from a queue that nothing explains."""
    WAIT_TARGET_MISSED = "wait_target_missed"
    """A job waits for longer than its tier's target."""
    CAPACITY_SHORT = "capacity_short"
    """Machines are wanted, and none can be had."""
    BUDGET_NEAR = "budget_near"
    """More is spent than a cap warns of."""
    BUDGET_SPENT = "budget_spent"
    """A cap is reached: only floors run on."""
    FORECAST_OVER_BUDGET = "forecast_over_budget"
    """At its present pace the month will cost more than its cap warns of."""
    BALANCE_LOW = "balance_low"
    """The account at a provider will be empty within a day."""
    PROVIDER_FAILING = "provider_failing"
    """A provider's machines cannot be listed."""
    PHASE_STUCK = "phase_stuck"
    """A machine has outlived the deadline of its phase."""
    MACHINE_UNKNOWN = "machine_unknown"
    """A machine carries our label, and no record speaks of it."""
    MACHINE_DEGRADED = "machine_degraded"
    """A machine runs and is not well."""
    MACHINE_DOWN = "machine_down"
    """A machine that should run is listed no more."""
    GPU_UNUSED = "gpu_unused"
    """A HOT machine hardly uses its GPU."""
    STANDBY_LOST = "standby_lost"
    """A stopped machine was refused time and again when it was to resume."""
    IMAGE_GIVEN_UP = "image_given_up"
    """An image crashed in a loop on several hosts, and is rented no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Concern:
    """One thing that needs a person."""

    name: Name
    severity: Severity
    text: str
    """One line that an operator understands at night: what, since when, at what cost."""
    command: str = ""
    """What examines or mends it; empty where nothing has to be done. `FILE` stands for the configuration: without it
    the command would ask that of `run` alone, or of the demo."""
    pool: str = ""
    subject: str = ""
    """The machine, tier, provider or cap that it is about."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others of one tick, and stays the same from tick to tick."""
        return (self.name, self.pool, self.subject)


def lost_standby(machine: Instance) -> bool:
    """Whether a stopped machine was refused so often that it will hardly come back."""
    return machine.phase in _STANDBY and machine.refusals >= _REFUSALS


def concerns(report: TickReport, *, error: str | None, now: float) -> list[Concern]:
    """All that needs a person, the most severe first; `error` says why the newest tick failed, if it did."""
    rules = {name: pool.snapshot.pool.health for name, pool in report.pools.items()}
    found = [
        *_of_daemon(report, error),
        *(each for name, pool in report.pools.items() for each in _of_pool(name, pool)),
        *_of_caps("", report.limits, spending.of_fleet(report)),
        *_of_providers(report),
        *(each for machine in report.instances.values() for each in _of_machine(machine, rules, now)),
    ]
    return sorted(found, key=lambda concern: concern.severity.rank, reverse=True)


def _of_daemon(report: TickReport, error: str | None) -> Iterator[Concern]:
    if error is not None:
        stood_by = not report.leads and any(report.leaders.values())
        so = "this daemon could not take over" if stood_by else "nothing is started or stopped"
        yield Concern(
            name=Name.TICK_FAILING,
            severity=Severity.CRITICAL,
            text=f"the newest tick failed, so {so}: {error}",
            command="autoscaler why",
        )
    for pool in sorted(pool for pool, leader in report.leaders.items() if not leader):
        text = "no daemon leads it, so nobody starts or stops its machines"
        yield _about(pool, Name.NO_LEADER, Severity.CRITICAL, text, "autoscaler run FILE")
    for pause in report.orders.of_kind(OrderKind.PAUSE):
        pool = pause.subject
        text = f"no machine is started or stopped: {pause.text}"
        unpause = f"autoscaler unpause FILE{f' --pool {pool}' if pool else ''}"
        yield _about(pool, Name.PAUSED, Severity.INFO, text, unpause)


def _about(pool: str, name: Name, severity: Severity, text: str, command: str, *, subject: str = "") -> Concern:
    """A concern of a pool or, where that is empty, of the fleet; its text begins with whose it is."""
    text = f"{pool or 'the fleet'}: {text}"
    return Concern(name=name, severity=severity, pool=pool, subject=subject, text=text, command=command)


def _of_pool(name: str, pool: PoolReport) -> Iterator[Concern]:
    yield from _of_queue(name, pool)
    yield from _of_capacity(name, pool)
    yield from _of_caps(name, pool.snapshot.pool.limits, spending.of_pool(pool))
    if pool.snapshot.image.given_up:
        text = "its image crashed in a loop on several hosts, so none is rented with it; name a new tag"
        yield _about(name, Name.IMAGE_GIVEN_UP, Severity.CRITICAL, text, "autoscaler why")


def _of_queue(name: str, pool: PoolReport) -> Iterator[Concern]:
    demand, fall = pool.snapshot.demand, pool.snapshot.signal.fall
    if isinstance(demand, Unknown):
        text = f"its queue cannot be read, so no machine is stopped: {demand.reason}"
        yield _about(name, Name.QUEUE_UNKNOWN, Severity.CRITICAL, text, "autoscaler queue FILE")
        return
    if fall is not None:
        yield _about(name, Name.QUEUE_DOUBTED, Severity.WARNING, fall.text, "autoscaler queue FILE")
    targets = {tier.name: tier.wait_target for tier in pool.snapshot.pool.tiers}
    for tier in demand.tiers:
        target_s, wait_s = targets.get(tier.tier), tier.oldest_wait_s
        if target_s is not None and wait_s is not None and wait_s > target_s:
            severity = Severity.CRITICAL if wait_s > _LATE_FACTOR * target_s else Severity.WARNING
            waits = f"{tier.tier} has {tier.waiting} waiting, the oldest for {format_duration(wait_s)}"
            text = f"{waits}; the target is {format_duration(target_s)}"
            yield _about(name, Name.WAIT_TARGET_MISSED, severity, text, "autoscaler why", subject=tier.tier)


def _of_capacity(name: str, pool: PoolReport) -> Iterator[Concern]:
    """Machines that are wanted and that nothing was done about, though nobody forbade it."""
    snapshot, decision = pool.snapshot, pool.decision
    starting = any(command.action in STARTS for command in pool.commands)
    asking = any(isinstance(offers, Pending) for offers in snapshot.offers.values())
    if decision.hot <= snapshot.up or decision.hold_up or starting or asking:
        return
    why = "; ".join(reason.text for reason in decision.why_not if reason.rule in _WHY_SHORT)
    short = f"{decision.hot} machines wanted, {snapshot.up} up, and no more can be had"
    severity = Severity.WARNING if snapshot.up else Severity.CRITICAL
    text = f"{short}: {why or 'no placement offers any'}"
    yield _about(name, Name.CAPACITY_SHORT, severity, text, f"autoscaler why {name}")


# --- money ------------------------------------------------------------------------------------------------------------


def _of_caps(pool: str, limits: Limits | FleetLimits, spent: Spending) -> Iterator[Concern]:
    found = caps(limits)
    for name, usd, period in (("usd_per_day", spent.today, "today"), ("usd_per_month", spent.month, "this month")):
        cap = found.get(name)
        if cap is not None:
            yield from _of_cap(pool, name, cap, usd, period)
    month = found.get("usd_per_month")
    if month is not None and spent.forecast is not None and spent.month < month.warn < spent.forecast:
        text = f"at this pace the month will cost {spent.forecast:.0f} USD, more than {month.warn:g}"
        yield _about(pool, Name.FORECAST_OVER_BUDGET, Severity.WARNING, text, "autoscaler cost")


def _of_cap(pool: str, name: str, cap: Cap, usd: float, period: str) -> Iterator[Concern]:
    spent = f"{usd:.2f} USD spent {period}"
    if usd >= cap.stop:
        text = f"{spent}, the cap is {cap.stop:g}: only floors run on"
        yield _about(pool, Name.BUDGET_SPENT, Severity.CRITICAL, text, "autoscaler cost", subject=name)
    elif usd >= cap.warn:
        text = f"{spent}, a warning was asked for at {cap.warn:g}; all but floors stops at {cap.stop:g}"
        yield _about(pool, Name.BUDGET_NEAR, Severity.WARNING, text, "autoscaler cost", subject=name)


# --- providers and machines -------------------------------------------------------------------------------------------


def _of_providers(report: TickReport) -> Iterator[Concern]:
    burning: dict[str, float] = {}
    for machine in report.instances.values():
        burning[machine.provider] = burning.get(machine.provider, 0.0) + machine.burn_usd_per_hour
    for name, listing in report.listings.items():
        if isinstance(listing, Unknown) and not isinstance(listing, Pending):
            yield Concern(
                name=Name.PROVIDER_FAILING,
                severity=Severity.WARNING,
                subject=name,
                text=f"{name} cannot be listed, so what runs there at {burning.get(name, 0.0):.2f} USD/h is not seen: "
                f"{listing.reason}",
                command="autoscaler check FILE --providers",
            )
    for name, account in report.accounts.items():
        usd, usd_per_hour = account.balance_usd, max(burning.get(name, 0.0), _listed_burn(report.listings.get(name)))
        if usd is not None and usd_per_hour > 0 and usd < usd_per_hour * _LOW_BALANCE_H:
            lasts = format_duration(3600.0 * max(0.0, usd) / usd_per_hour)
            yield Concern(
                name=Name.BALANCE_LOW,
                severity=Severity.CRITICAL,
                subject=name,
                text=f"{name}: {usd:.2f} USD are left, for {lasts} at {usd_per_hour:.2f} USD/h; then all machines end",
                command="autoscaler check FILE --providers",
            )


def _listed_burn(listing: Listing | Unknown | None) -> float:
    """What all machines of an account cost per hour: other daemons' and other fleets' are paid from it as well."""
    machines = listing.machines if isinstance(listing, Listing) else ()
    return sum(remote.burn_usd_per_hour for remote in machines)


def _of_machine(machine: Instance, rules: Mapping[str, Health], now: float) -> Iterator[Concern]:
    """What is wrong with a machine. Thousands are asked in a tick, so one without trouble is passed over at once.

    `rules` goes by pool; a machine of a pool that has none carries our label, and no configuration knows it.
    """
    phase = machine.phase
    if phase is Phase.GONE:
        return
    stray, lost = machine.pool not in rules, phase is Phase.LOST
    degraded = phase is Phase.HOT and machine.ailment
    unused = phase is Phase.HOT and machine.gpu_use is not Use.NORMAL
    if not (stray or machine.alarmed or lost or degraded or unused or lost_standby(machine)):
        return
    burns, cost = f"{machine.burn_usd_per_hour:.3f} USD/h", f"{machine.cost_usd(now):.2f} USD so far"
    since = format_duration(now - machine.phase_since)
    own, its_pool = quote(machine.id), quote(machine.pool)  # a label found at a vendor's named them, perhaps

    def about(name: Name, severity: Severity, text: str, command: str) -> Concern:
        text = f"{machine.id} {text}"
        return Concern(name=name, severity=severity, pool=machine.pool, subject=machine.id, text=text, command=command)

    if stray:
        text = f"carries our label for {machine.pool}, a pool that no configuration names: {burns}, {cost}"
        yield about(Name.MACHINE_UNKNOWN, Severity.CRITICAL, text, "autoscaler reap FILE --dry-run")
    if machine.alarmed:
        severity = Severity.CRITICAL if machine.burn_usd_per_hour else Severity.WARNING
        text = f"has been {phase} for {since}, longer than it may: {machine.reason}; {cost}"
        release = f"autoscaler release {own} FILE"
        command = "autoscaler reap FILE --dry-run" if phase is Phase.RELEASING else release
        yield about(Name.PHASE_STUCK, severity, text, command)
    if lost:
        text = f"has been down for {since}: {machine.reason}; {burns}"
        yield about(Name.MACHINE_DOWN, Severity.CRITICAL, text, f"autoscaler why {its_pool}")
    if degraded:
        yield about(
            Name.MACHINE_DEGRADED,
            Severity.WARNING,
            f"is degraded: {machine.ailment}; {burns}",
            f"autoscaler drain {own} FILE",
        )
    if unused and not stray:
        yield about(*_unused(machine, rules[machine.pool]), f"autoscaler drain {own} FILE")
    if lost_standby(machine):
        disk = f"its disk costs {machine.disk_usd_per_hour:.3f} USD/h"
        text = f"was refused {machine.refusals} times in a row when it was to resume; {disk}, {cost}"
        yield about(Name.STANDBY_LOST, Severity.WARNING, text, f"autoscaler release {own} FILE")


def _unused(machine: Instance, rules: Health) -> tuple[Name, Severity, str]:
    """What is said of a GPU that has little to do; how long that is so already, its pool's rules tell at least."""
    if machine.gpu_use is Use.IDLE:
        severity, share, least_s = Severity.CRITICAL, rules.idle_gpu, rules.idle_gpu_for
    else:
        severity, share, least_s = Severity.WARNING, rules.low_gpu, rules.low_gpu_for
    little = f"has used less than {share:.0%} of its GPU for {format_duration(least_s)} or longer"
    return Name.GPU_UNUSED, severity, f"{little}, at {machine.burn_usd_per_hour:.3f} USD/h"
