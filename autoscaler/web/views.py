"""The one stable JSON form of a fleet, built from the newest tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import cast

from autoscaler.core.admission import Admission
from autoscaler.core.decision import NO_CEILING, Command, Decision, Outcome, Reason
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.health import condition
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.journal import Entry
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.money import CAPS, caps
from autoscaler.core.orders import Order
from autoscaler.core.spec import FleetLimits, Limits, Tier
from autoscaler.core.units import format_duration
from autoscaler.runtime.concerns import Concern, concerns
from autoscaler.runtime.report import NO_TICK, Account, PoolReport, TickReport
from autoscaler.runtime.spending import of_fleet, of_pool
from autoscaler.store.codec import admission_fields, order_fields
from autoscaler.web.forms import (
    AdmissionForm,
    CapsForm,
    CommandForm,
    ConcernForm,
    DecisionForm,
    DemandForm,
    InstanceForm,
    InstancesForm,
    LimitsForm,
    OrderForm,
    PlanForm,
    PlanOfPool,
    PoolForm,
    ProviderForm,
    ReasonForm,
    StatusForm,
    TierForm,
)

_VERSION = version("gpu-autoscaler")


class Board:
    """A listener that keeps the newest good tick, and what went wrong since. Times are epoch seconds."""

    def __init__(self, fleet: str) -> None:
        self._fleet = fleet
        self.report: TickReport | None = None
        """The newest good tick."""
        self.error: str | None = None
        """Why the newest tick failed; None when it did not."""
        self.tried_at: float | None = None
        """When the newest tick, good or failed, was made."""

    def ticked(self, report: TickReport) -> None:
        """A tick ended well."""
        self.report, self.error, self.tried_at = report, None, report.at

    def failed(self, reason: str, now: float) -> None:
        """A tick could not be made."""
        self.error, self.tried_at = reason, now

    def noted(self, entry: Entry) -> None:
        """The store keeps the journal."""

    def called(self, provider: str, outcome: Outcome) -> None:
        """The next tick shows what came of it."""

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """The next tick shows it."""

    def led_elsewhere(self, pool: str | None) -> bool:
        """Whether a pool, or where none is named any, is led by another daemon or by none."""
        report = self.report or NO_TICK
        return any(name not in report.pools for name in report.leaders if pool in (None, name))

    @property
    def at(self) -> float | None:
        """When the newest good tick began; None before the first."""
        return self.report.at if self.report else None

    def status(self, now: float) -> StatusForm:
        """The whole fleet."""
        return {**self.summary(now), **self.instances(now)}

    def summary(self, now: float) -> StatusForm:
        """The whole fleet, with nobody in `instances`: all that does not grow with it."""
        report = self.report or NO_TICK
        spent, own = of_fleet(report), dict[str, list[Instance]]()
        for instance in _present(report):
            own.setdefault(instance.pool, []).append(instance)
        return {
            "fleet": self._fleet,
            "version": _VERSION,
            "at": self.at,
            "age_s": None if self.at is None else max(0.0, now - self.at),
            "leads": report.leads,
            "leaders": {**report.leaders},
            "orders": orders_view(report.orders.standing),
            "concerns": [_concern(each) for each in concerns(report, error=self.error, now=now)],
            "error": self.error,
            "clock": now,
            "usd_per_hour": sum(instance.burn_usd_per_hour for instance in _present(report)),
            "usd_today": spent.today,
            "usd_month": spent.month,
            "usd_month_forecast": spent.forecast,
            "limits": caps_view(report.limits),
            "pools": [_pool(name, pool, own.get(name, [])) for name, pool in report.pools.items()],
            "instances": [],
            "providers": [_provider(name, report, self._fleet, now) for name in report.listings],
        }

    def plan(self) -> PlanForm:
        """What the newest tick decided."""
        report = self.report or NO_TICK
        return {"at": self.at, "pools": [_plan(name, pool) for name, pool in report.pools.items()]}

    def admission(self, now: float, stale_s: float) -> list[Admission]:
        """Who is let in, pool by pool, most urgent tier first; everybody where the newest good tick is too old."""
        report = self.report or NO_TICK
        tiers = [tier for pool in report.pools.values() for tier in pool.admission]
        age_s = now - report.at
        if age_s <= stale_s:
            return tiers
        why = f"open in doubt: the newest good tick was made {format_duration(age_s)} ago"
        return [Admission(pool=tier.pool, tier=tier.tier, why=why) for tier in tiers]

    def instances(self, now: float) -> InstancesForm:
        """All machines, by pool, oldest first."""
        return {"instances": list(self.machines(now))}

    def machines(self, now: float) -> Iterator[InstanceForm]:
        """The same one by one, all as of one tick however long they are gone through."""
        report = self.report or NO_TICK
        primaries = {primary.id for pool in report.pools.values() if (primary := pool.snapshot.primary())}
        for instance in sorted(_present(report), key=lambda i: (i.pool, i.created_at, i.id)):
            yield _instance(instance, _busy(instance, report), now, primary=instance.id in primaries)

    def listings(self, providers: Iterable[str]) -> dict[str, Listing | Unknown]:
        """What each provider lists now, as far as this daemon knows."""
        report = self.report or NO_TICK
        if self.error is not None:
            return dict.fromkeys(providers, Unknown(f"the newest tick failed: {self.error}", report.at))
        stands_by = self.report is not None and not report.leads
        why = "this daemon stands by and asks no provider; ask the one that leads" if stands_by else "not asked yet"
        return {name: report.listings.get(name, Unknown(why, report.at)) for name in providers}


def _concern(concern: Concern) -> ConcernForm:
    return {
        "name": concern.name,
        "severity": concern.severity,
        "text": concern.text,
        "command": concern.command,
        "pool": concern.pool,
        "subject": concern.subject,
    }


def _present(report: TickReport) -> list[Instance]:
    return [instance for instance in report.instances.values() if instance.phase is not Phase.GONE]


def _busy(instance: Instance, report: TickReport) -> int | None:
    pool = report.pools.get(instance.pool)
    return pool.snapshot.busy.get(instance.id) if pool else None


# --- pools ------------------------------------------------------------------------------------------------------------


def _plan(name: str, pool: PoolReport) -> PlanOfPool:
    return {
        "name": name,
        "up": pool.snapshot.up,
        "decision": _decision(pool.decision),
        "commands": [_command(command) for command in pool.commands],
    }


def _pool(name: str, pool: PoolReport, instances: list[Instance]) -> PoolForm:
    settings, spent = pool.snapshot.pool, of_pool(pool)
    phases = Counter(instance.phase for instance in instances)
    return {
        **_plan(name, pool),
        "demand": demand_view(pool.snapshot.demand, {tier.name: tier for tier in settings.tiers}),
        "admission": [admission_view(tier) for tier in pool.admission],
        "phases": {phase: phases[phase] for phase in Phase if phase is not Phase.GONE},
        "image_given_up": pool.snapshot.image.given_up,
        "limits": _limits(settings.limits),
        "usd_today": spent.today,
        "usd_month": spent.month,
        "usd_month_forecast": spent.forecast,
        "usd_per_hour": sum(instance.burn_usd_per_hour for instance in instances),
    }


def demand_view(demand: Demand | Unknown, tiers: Mapping[str, Tier]) -> DemandForm:
    """What a queue holds, or why that is unknown; `tiers` by name, for their targets."""
    if isinstance(demand, Unknown):
        return {
            "unknown": demand.reason,
            "waiting": None,
            "in_flight": None,
            "in_flight_kind": None,
            "oldest_wait_s": None,
            "paused": None,
            "seen": None,
            "warnings": [],
            "advice": {},
            "tiers": [],
        }
    return {
        "unknown": None,
        "waiting": demand.waiting,
        "in_flight": demand.in_flight,
        "in_flight_kind": demand.in_flight_kind,
        "oldest_wait_s": demand.oldest_wait_s,
        "paused": demand.paused,
        "seen": demand.seen,
        "warnings": list(demand.warnings),
        "advice": {**demand.advice},
        "tiers": [_tier(tier, tiers.get(tier.tier)) for tier in demand.tiers],
    }


def _tier(tier: TierDemand, settings: Tier | None) -> TierForm:
    return {
        "tier": tier.tier,
        "waiting": tier.waiting,
        "waiting_is_lower_bound": tier.waiting_is_lower_bound,
        "delayed": tier.delayed,
        "next_due_at": tier.next_due_at,
        "oldest_wait_s": tier.oldest_wait_s,
        "age_source": tier.age_source,
        "wait_target_s": settings.wait_target if settings else None,
    }


def _decision(decision: Decision) -> DecisionForm:
    return {
        "hot": decision.hot,
        "warm": decision.warm,
        "standby": decision.standby,
        "ceiling": None if decision.ceiling == NO_CEILING else decision.ceiling,
        "needs": [{"tier": tier, "hot": count} for tier, count in decision.needs],
        "why": [_reason(reason) for reason in decision.why],
        "why_not": [_reason(reason) for reason in decision.why_not],
    }


def _reason(reason: Reason) -> ReasonForm:
    return {"rule": reason.rule, "text": reason.text}


def _command(command: Command) -> CommandForm:
    return {
        "action": command.action,
        "instance": command.instance,
        "placement": command.placement,
        "reason": command.reason,
        "usd_per_hour": command.offer.usd_per_hour if command.offer else None,
    }


def _limits(limits: Limits) -> LimitsForm:
    return {
        "hot": str(limits.hot),
        "warm": str(limits.warm),
        **caps_view(limits),
    }


def caps_view(limits: Limits | FleetLimits) -> CapsForm:
    """Each cap's warning and stop; None where there is no cap."""
    found = caps(limits)
    parts = {f"{name}_{part}": getattr(found.get(name), part, None) for name in CAPS for part in ("warn", "stop")}
    return cast("CapsForm", parts)


# --- machines and providers -------------------------------------------------------------------------------------------


def _instance(instance: Instance, busy: int | None, now: float, *, primary: bool) -> InstanceForm:
    return {
        "id": instance.id,
        "pool": instance.pool,
        "placement": instance.placement,
        "provider": instance.provider,
        "provider_id": instance.provider_id,
        "phase": instance.phase,
        "serving": instance.phase is Phase.HOT and bool(busy),
        "phase_since": instance.phase_since,
        "since_s": max(0.0, now - instance.phase_since),
        "reason": instance.reason,
        "gpu": instance.gpu,
        "region": instance.region,
        "host": instance.host,
        "buy": instance.buy,
        "busy": busy,
        "slots": instance.slots,
        "usd_per_hour": instance.burn_usd_per_hour,
        "usd_spent": instance.cost_usd(now),
        "address": instance.address,
        "tier": instance.tier,
        "health": condition(instance),
        "ailment": instance.ailment,
        "diagnosis": instance.diagnosis,
        "gpu_use": instance.gpu_use,
        "adopted": instance.adopted,
        "primary": primary,
    }


def _provider(name: str, report: TickReport, fleet: str, now: float) -> ProviderForm:
    listing, balance = report.listings[name], report.accounts.get(name, Account()).balance_usd
    if isinstance(listing, Unknown):
        unknown, age_s, ours = listing.reason, None, None
    else:
        unknown, age_s = None, max(0.0, now - listing.asked_at)
        ours = sum(parse_label(remote.label, fleet) is not None for remote in listing.machines)
    return {"name": name, "unknown": unknown, "listing_age_s": age_s, "machines": ours, "balance_usd": balance}


# --- what is stored in the same form ----------------------------------------------------------------------------------


def orders_view(orders: Iterable[Order]) -> list[OrderForm]:
    """Operators' orders."""
    return [cast("OrderForm", order_fields(order)) for order in orders]


def admission_view(admission: Admission) -> AdmissionForm:
    """Whether a tier takes jobs."""
    return cast("AdmissionForm", admission_fields(admission))
