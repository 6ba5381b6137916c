"""What the newest tick found, as Prometheus gauges.

Labels are names from the configuration and members of enums. A machine whose pool or provider is not configured (any
more) counts under `_unconfigured`, which no configured name can be. What is unknown is absent, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.health import Condition, condition
from autoscaler.core.lifecycle import ESCALATIONS, Phase
from autoscaler.core.money import CAPS, caps
from autoscaler.core.signal import Signal
from autoscaler.core.spec import Cap
from autoscaler.core.utilisation import Use
from autoscaler.runtime.concerns import lost_standby
from autoscaler.runtime.report import TickReport
from autoscaler.runtime.spending import of_former_pools, of_pool

UNCONFIGURED = "_unconfigured"
PHASES = tuple(phase for phase in Phase if phase is not Phase.GONE)


def gauges(report: TickReport, now: float, led: Collection[str]) -> Iterator[GaugeMetricFamily]:
    """All gauges of a tick; `now` (epoch seconds) is when the daemon was last heard of, `led` which pools it leads."""
    yield from _queues(report, now)
    yield from _tiers(report)
    yield from _admission(report)
    yield from _wishes(report)
    yield _instances(report)
    yield from _health(report)
    yield from _stuck(report)
    yield from _lost_standbys(report, now)
    yield from _money(report)
    yield from _budgets(report)
    yield from _listings(report, now)
    yield from _accounts(report)
    yield from _daemon(report, led)


def pool_label(report: TickReport, pool: str) -> str:
    """The label of a machine's pool."""
    return pool if pool in report.pools else UNCONFIGURED


def provider_label(report: TickReport, provider: str) -> str:
    """The label of a machine's provider."""
    placed = (place.provider for pool in report.pools.values() for place in pool.snapshot.pool.placements)
    return provider if provider in report.listings or provider in placed else UNCONFIGURED


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"autoscaler_{name}", text, labels=labels)


def _queues(report: TickReport, now: float) -> Iterator[GaugeMetricFamily]:
    unknown = _gauge("queue_unknown", "1 while the pool's queue cannot be read, else 0.", "pool")
    age = _gauge("queue_signal_age_seconds", "Time since the pool's queue could last be read.", "pool")
    fallen = _gauge("queue_fall_doubted", "1 while jobs were gone that nothing explains, else 0.", "pool")
    in_flight = _gauge("queue_in_flight_jobs", "Jobs delivered to workers and not finished.", "pool")
    paused = _gauge("queue_paused", "1 while the queue itself is paused, else 0.", "pool")
    warnings = _gauge(
        "queue_warning", "1 for each thing that makes the queue's numbers less than exact.", "pool", "code"
    )
    for name, pool in report.pools.items():
        demand, signal = pool.snapshot.demand, pool.snapshot.signal
        unknown.add_metric([name], float(isinstance(demand, Unknown)))
        age.add_metric([name], max(0.0, now - _read_at(demand, signal)))
        fallen.add_metric([name], float(signal.fall is not None))
        if isinstance(demand, Unknown):
            continue
        paused.add_metric([name], float(demand.paused))
        for code in demand.warnings:
            warnings.add_metric([name, code], 1.0)
        if demand.in_flight is not None:
            in_flight.add_metric([name], demand.in_flight)
    yield from (unknown, age, fallen, in_flight, paused, warnings)


def _read_at(demand: Demand | Unknown, signal: Signal) -> float:
    """When the queue was last read; where it never was, since when it cannot be."""
    if isinstance(demand, Demand):
        return demand.taken_at
    return demand.since if signal.good is None else signal.good.at


def _tiers(report: TickReport) -> Iterator[GaugeMetricFamily]:
    depth = _gauge("queue_depth_jobs", "Jobs that wait and could start now.", "pool", "tier")
    delayed = _gauge("queue_delayed_jobs", "Jobs that may not start yet.", "pool", "tier")
    oldest = _gauge("queue_oldest_wait_seconds", "How long the next job has waited.", "pool", "tier")
    target = _gauge("wait_target_seconds", "The longest that a job of the tier should wait.", "pool", "tier")
    for name, pool in report.pools.items():
        for each in pool.snapshot.pool.tiers:
            target.add_metric([name, each.name], each.wait_target)
        demand = pool.snapshot.demand
        for tier in () if isinstance(demand, Unknown) else demand.tiers:
            depth.add_metric([name, tier.tier], tier.waiting)
            if tier.delayed is not None:
                delayed.add_metric([name, tier.tier], tier.delayed)
            if tier.oldest_wait_s is not None:
                oldest.add_metric([name, tier.tier], tier.oldest_wait_s)
    yield from (depth, delayed, oldest, target)


def _admission(report: TickReport) -> Iterator[GaugeMetricFamily]:
    wait = _gauge("expected_wait_seconds", "What a job that comes now is expected to wait.", "pool", "tier")
    accepts = _gauge("admission_open", "1 while new jobs of the tier are accepted, 0 while refused.", "pool", "tier")
    for name, pool in report.pools.items():
        for tier in pool.admission:
            accepts.add_metric([name, tier.tier], float(tier.accept))
            if tier.expected_wait_s is not None:
                wait.add_metric([name, tier.tier], tier.expected_wait_s)
    yield from (wait, accepts)


def _wishes(report: TickReport) -> Iterator[GaugeMetricFamily]:
    hot = _gauge("desired_hot_instances", "Machines wanted running, those on their way included.", "pool")
    warm = _gauge("desired_warm_instances", "Stopped machines to keep, at most.", "pool")
    for name, pool in report.pools.items():
        hot.add_metric([name], pool.decision.hot)
        warm.add_metric([name], pool.decision.warm)
    yield from (hot, warm)


def _instances(report: TickReport) -> GaugeMetricFamily:
    family = _gauge("instances", "Machines by phase.", "pool", "provider", "phase")
    configured = {
        (name, placement.provider) for name, pool in report.pools.items() for placement in pool.snapshot.pool.placements
    }
    counts = Counter(
        (
            pool_label(report, instance.pool),
            provider_label(report, instance.provider),
            instance.phase,
        )
        for instance in report.instances.values()
        if instance.phase is not Phase.GONE
    )
    for pool, provider in sorted(configured | {(pool, provider) for pool, provider, _ in counts}):
        for phase in PHASES:
            family.add_metric([pool, provider, phase.value], counts[pool, provider, phase])
    return family


def _health(report: TickReport) -> Iterator[GaugeMetricFamily]:
    health = _gauge("health_instances", "Machines that are HOT or LOST, by health.", "pool", "health")
    use = _gauge("gpu_use_instances", "HOT machines by how their GPU was used of late.", "pool", "use")
    burns = _gauge("gpu_use_usd_per_hour", "What HOT machines cost, by how their GPU was used.", "pool", "use")
    given_up = _gauge("image_given_up", "1 while the image crashes in a loop and is rented no more, else 0.", "pool")
    for name, pool in report.pools.items():
        hot = pool.snapshot.in_phase(Phase.HOT)
        healths = Counter(condition(machine) for machine in [*hot, *pool.snapshot.in_phase(Phase.LOST)])
        uses = Counter(machine.gpu_use for machine in hot)
        for each in Condition:
            health.add_metric([name, each.value], healths[each])
        for level in Use:
            use.add_metric([name, level.value], uses[level])
            burns.add_metric([name, level.value], sum(m.burn_usd_per_hour for m in hot if m.gpu_use is level))
        given_up.add_metric([name], float(pool.snapshot.image.given_up))
    yield from (health, use, burns, given_up)


def _stuck(report: TickReport) -> Iterator[GaugeMetricFamily]:
    """Of each pool, and of machines of no pool where any is stuck."""
    count = _gauge("stuck_instances", "Machines in a phase for longer than they may, by phase.", "pool", "phase")
    burn = _gauge("stuck_usd_per_hour", "What machines cost that are in a phase for longer than they may.", "pool")
    stuck = [(pool_label(report, m.pool), m) for m in report.instances.values() if m.alarmed]
    counts = Counter((pool, machine.phase) for pool, machine in stuck)
    for pool in dict.fromkeys([*report.pools, *(pool for pool, _ in stuck)]):
        for phase in ESCALATIONS:
            count.add_metric([pool, phase.value], counts[pool, phase])
        burn.add_metric([pool], sum(m.burn_usd_per_hour for label, m in stuck if label == pool))
    yield from (count, burn)


def _lost_standbys(report: TickReport, now: float) -> Iterator[GaugeMetricFamily]:
    count = _gauge("lost_standby_instances", "Stopped machines whose resume is refused again and again.", "pool")
    cost = _gauge(
        "lost_standby_usd", "What these have cost: stopped, and their resume refused again and again.", "pool"
    )
    for name, pool in report.pools.items():
        lost = [machine for machine in pool.snapshot.instances if lost_standby(machine)]
        count.add_metric([name], len(lost))
        cost.add_metric([name], sum(machine.cost_usd(now) for machine in lost))
    yield from (count, cost)


def _money(report: TickReport) -> Iterator[GaugeMetricFamily]:
    burn = _gauge("usd_per_hour", "What the pool's machines cost at this moment.", "pool")
    there = _gauge("provider_usd_per_hour", "What the machines at the provider cost at this moment.", "provider")
    today = _gauge("usd_today", "What the pool has cost on this UTC day.", "pool")
    month = _gauge("month_to_date_usd", "What the pool has cost in this UTC month.", "pool")
    forecast = _gauge("month_forecast_usd", "What the month will have cost at the pace of the last 7 days.", "pool")
    burning, at_provider = dict.fromkeys(report.pools, 0.0), dict.fromkeys(report.listings, 0.0)
    for instance in report.instances.values():
        if instance.phase is not Phase.GONE:
            label, provider = pool_label(report, instance.pool), provider_label(report, instance.provider)
            burning[label] = burning.get(label, 0.0) + instance.burn_usd_per_hour
            at_provider[provider] = at_provider.get(provider, 0.0) + instance.burn_usd_per_hour
    for gauge, costs in ((burn, burning), (there, at_provider)):
        for label, usd_per_hour in costs.items():
            gauge.add_metric([label], usd_per_hour)
    spent = {name: of_pool(pool) for name, pool in report.pools.items()}
    former = of_former_pools(report)
    if former.month:
        spent[UNCONFIGURED] = former
    for label, spending in spent.items():
        today.add_metric([label], spending.today)
        month.add_metric([label], spending.month)
        if spending.forecast is not None:
            forecast.add_metric([label], spending.forecast)
    yield from (burn, there, today, month, forecast)


def _budgets(report: TickReport) -> Iterator[GaugeMetricFamily]:
    """The caps that are set, of each pool and of the whole fleet."""
    for name in CAPS:
        period = name.removeprefix("usd_per_")
        for part, text in (("warn", "above which a warning is raised"), ("stop", "that only floors exceed")):
            own = _gauge(f"budget_{part}_{name}", f"Cost of the pool per {period} (UTC) {text}.", "pool")
            for pool, found in report.pools.items():
                _add(own, [pool], caps(found.snapshot.pool.limits).get(name), part)
            whole = _gauge(f"fleet_budget_{part}_{name}", f"Cost of the whole fleet per {period} (UTC) {text}.")
            _add(whole, [], caps(report.limits).get(name), part)
            yield from (own, whole)


def _add(gauge: GaugeMetricFamily, labels: Sequence[str], cap: Cap | None, part: str) -> None:
    if cap is not None:
        gauge.add_metric(labels, getattr(cap, part))


def _listings(report: TickReport, now: float) -> Iterator[GaugeMetricFamily]:
    unknown = _gauge("listing_unknown", "1 while the provider's machines cannot be listed, else 0.", "provider")
    age = _gauge("listing_age_seconds", "Time since the provider was asked for its newest listing.", "provider")
    for name, listing in report.listings.items():
        unknown.add_metric([name], float(isinstance(listing, Unknown)))
        if not isinstance(listing, Unknown):
            age.add_metric([name], max(0.0, now - listing.asked_at))
    yield from (unknown, age)


def _accounts(report: TickReport) -> Iterator[GaugeMetricFamily]:
    balance = _gauge("provider_balance_usd", "Money left in the account at the provider.", "provider")
    billed = _gauge("provider_billed_usd", "Billed for the fleet's machines on a UTC day.", "provider", "day")
    for name, account in report.accounts.items():
        if account.balance_usd is not None:
            balance.add_metric([name], account.balance_usd)
        for day, usd in (("today", account.billed_today_usd), ("yesterday", account.billed_yesterday_usd)):
            if usd is not None:
                billed.add_metric([name, day], usd)
    yield from (balance, billed)


def _daemon(report: TickReport, led: Collection[str]) -> Iterator[GaugeMetricFamily]:
    paused = _gauge("pool_paused", "1 while an operator has paused the pool, alone or with the fleet, else 0.", "pool")
    for name in report.pools:
        paused.add_metric([name], float(report.orders.pause(name) is not None))
    leader = _gauge("pool_leader", "1 while this daemon leads the pool, 0 while another does or nobody.", "pool")
    for name in report.leaders:
        leader.add_metric([name], float(name in led))
    good = _gauge("last_good_tick_timestamp_seconds", "When the newest good tick began, in Unix time.")
    good.add_metric([], report.at)
    yield from (paused, leader, good)
