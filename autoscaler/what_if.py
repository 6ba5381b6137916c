"""What would be decided if things were as supposed: no Redis, no network, and the very code that decides otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from autoscaler.app import pool_setups
from autoscaler.config import Config
from autoscaler.core.demand import AgeSource, Demand, InFlightKind, TierDemand, Unknown
from autoscaler.core.errors import ProviderError
from autoscaler.core.instance import Instance
from autoscaler.core.ledger import DAY_S, Spent, day_of, month_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.market import Offer
from autoscaler.core.orders import NO_ORDERS
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Pool
from autoscaler.runtime.accounts import Spending
from autoscaler.runtime.decide import decide
from autoscaler.runtime.entropy import seeded
from autoscaler.runtime.moment import Moment
from autoscaler.runtime.report import PoolReport, TickReport
from autoscaler.suppose import Supposed
from providers.installed import provider_kinds
from providers.mock import MockProvider

_MANY_JOBS = 1000.0
"""So many that a supposed service time counts as learned."""

Offers = Mapping[str, Sequence[Offer] | Unknown]


async def what_if(config: Config, supposed: Mapping[str, Supposed], now: float) -> TickReport:
    """One tick of a daemon that has watched for long and finds every pool as supposed; pools in their order."""
    setups = {setup.pool.name: setup for setup in pool_setups(config)}
    offers = {name: await _offers(config, setup.pool, now) for name, setup in setups.items()}
    grouped = {name: _fleet(setup.pool, supposed[name], offers[name], now) for name, setup in setups.items()}
    moment = _moment(config, {name: setup.pool for name, setup in setups.items()}, supposed, grouped, now)
    reports: dict[str, PoolReport] = {}
    for name, setup in setups.items():
        snapshot = _snapshot(config, setup.pool, supposed[name], moment, offers[name])
        decision, commands, _ = decide(setup.policies, snapshot, {}, now)
        moment.over(setup.pool, commands)
        spent = Spent(running_usd=supposed[name].spent)
        reports[name] = PoolReport(snapshot=snapshot, decision=decision, commands=commands, spent_today=spent)
    return TickReport(at=now, duration_s=0.0, leads=True, limits=config.limits, pools=reports)


def _moment(
    config: Config,
    pools: Mapping[str, Pool],
    supposed: Mapping[str, Supposed],
    grouped: Mapping[str, list[Instance]],
    now: float,
) -> Moment:
    spent = sum(it.spent for it in supposed.values())
    return Moment.of(
        [machine for own in grouped.values() for machine in own],
        now=now,
        demand={name: _demand(pool, supposed[name], now) for name, pool in pools.items()},
        busy={name: slots for pool, it in supposed.items() for name, slots in _busy(grouped[pool], it)},
        orders=NO_ORDERS,
        limits=config.limits,
        pools=pools,
        spent=Spending(today=spent, month=spent, forecast=None),
        running_for_s=float("inf"),
    )


async def _offers(config: Config, pool: Pool, now: float) -> dict[str, Sequence[Offer] | Unknown]:
    found: dict[str, Sequence[Offer] | Unknown] = {}
    for placement in pool.placements:
        name = placement.provider
        market = config.market(name)
        provider = MockProvider(name, market, now=lambda: now, rng=seeded(market.seed))
        try:
            found[placement.label] = await provider.list_offers(placement, pool.machine)
        except ProviderError as error:
            found[placement.label] = Unknown(f"{type(error).__name__}: {error}", now)
    return found


def _snapshot(config: Config, pool: Pool, it: Supposed, moment: Moment, offers: Offers) -> PoolSnapshot:
    now, today = moment.now, day_of(moment.now)
    return PoolSnapshot(
        pool=pool,
        demand=moment.demand[pool.name],
        instances=tuple(moment.grouped.get(pool.name, ())),
        busy=moment.busy,
        offers=moment.left_of(offers),
        load=_load(pool, it, now),
        idle_since={name: now for name, at_work in moment.busy.items() if not at_work},
        stoppable=frozenset(
            name for name, each in config.providers.items() if provider_kinds()[each.kind].capabilities.can_stop
        ),
        spent_today_usd=it.spent,
        day_left_s=(today + 1) * DAY_S - now,
        spent_month_usd=it.spent,
        month_left_s=month_of(today).stop * DAY_S - now,
        fleet=moment.turns.money(pool.name),
    )


def _fleet(pool: Pool, it: Supposed, offers: Offers, now: float) -> list[Instance]:
    return [*_machines(pool, Phase.HOT, it.hot, offers, now), *_machines(pool, Phase.WARM, it.warm, offers, now)]


def _busy(machines: Sequence[Instance], it: Supposed) -> Iterator[tuple[str, int]]:
    """The slots at work of each HOT machine: one machine after the other is filled."""
    hot = (machine for machine in machines if machine.phase is Phase.HOT)
    for number, machine in enumerate(hot):
        yield machine.id, max(0, min(machine.slots, it.busy - number * machine.slots))


def _machines(pool: Pool, phase: Phase, count: int, offers: Offers, now: float) -> list[Instance]:
    """Machines of the first placement, at the price of the cheapest offer there, or at the cap."""
    placement = pool.placements[0]
    found = offers[placement.label]
    cheapest = None if isinstance(found, Unknown) or not found else found[0]
    usd = cheapest.usd_per_hour if cheapest else placement.max_usd_per_hour
    disk_usd = cheapest.disk_usd_per_hour if cheapest else 0.0
    return [
        Instance(
            id=f"{pool.name}-{phase}-{number}",
            pool=pool.name,
            placement=placement.label,
            provider=placement.provider,
            phase=phase,
            phase_since=now,
            created_at=now - DAY_S + number,
            buy=placement.buy,
            slots=pool.machine.slots,
            usd_per_hour=usd,
            disk_usd_per_hour=disk_usd,
            burn_usd_per_hour=usd if phase is Phase.HOT else disk_usd,
            booked_at=now,
        )
        for number in range(1, count + 1)
    ]


def _demand(pool: Pool, it: Supposed, now: float) -> Demand:
    return Demand(
        taken_at=now,
        tiers=tuple(
            TierDemand(
                tier=tier.name,
                waiting=it.depth.get(tier.name, 0),
                oldest_wait_s=it.wait.get(tier.name),
                age_source=AgeSource.EXACT if tier.name in it.wait else AgeSource.NONE,
            )
            for tier in pool.tiers
        ),
        in_flight=it.busy,
        in_flight_kind=InFlightKind.EXECUTING,
    )


def _load(pool: Pool, it: Supposed, now: float) -> Load:
    if not it.rate and not it.service:
        return Load()
    tiers = {
        tier.name: TierLoad(
            per_s=it.rate.get(tier.name, 0.0) / 60.0,
            jobs=_MANY_JOBS if tier.name in it.service else 0.0,
            work_s=_MANY_JOBS * it.service.get(tier.name, 0.0),
        )
        for tier in pool.tiers
    }
    return Load(tiers=tiers, seen_s=DAY_S, until=now)
