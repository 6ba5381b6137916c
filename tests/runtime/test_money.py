"""Money is a promise, whatever else is not known: caps of pools and of the whole fleet, and the books of the month."""

from __future__ import annotations

from dataclasses import fields

import pytest

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, FleetLimits, Limits, Pace, Pool
from autoscaler.core.units import Span
from autoscaler.store.memory import MemoryState
from policies.thresholds import Thresholds
from tests.support.build import NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

DAY = 24 * HOUR
PLENTY = Cap(warn=1_000.0, stop=2_000.0)
EAGER = Thresholds(resume_depth=0, rent_depth=0)


def limited(name: str = "images", *, pace: Pace | None = None, **limits: object) -> Pool:
    values = {"hot": Span(1, 6), "warm": Span(0, 3), "usd_per_day": PLENTY}
    return pool(name=name, limits=Limits(**values | limits), pace=pace or Pace())  # type: ignore[arg-type]


def seen(daemon: Daemon, name: str = "images") -> PoolSnapshot:
    return daemon.report.pools[name].snapshot


def usd_per_hour(daemon: Daemon) -> float:
    """What all machines cost an hour that are up, or will be."""
    machines = [i for i in daemon.report.instances.values() if i.phase not in (Phase.WARM, Phase.GONE)]
    return sum(machine.usd_per_hour for machine in machines)


async def test_the_day_budget_is_kept_while_the_queue_cannot_be_read() -> None:
    world = Rehearsal(CALM, pools=(limited(usd_per_day=Cap(warn=20.0, stop=30.0)),))
    daemon = world.daemon()
    world.queue.waiting = 10_000
    await daemon.live(4 * HOUR)
    world.queue.waiting = Unknown("connection refused", NOW)

    for _ in range(20):
        await daemon.live(HOUR)
        assert daemon.usd_today() <= 30.0


async def test_a_machine_that_the_money_starts_is_up_before_the_money_ends() -> None:
    # A boot takes half an hour here: with one hour's money some would be drained as they come up.
    world = Rehearsal(CALM, pools=(limited(usd_per_day=Cap(warn=20.0, stop=30.0)),), policy=EAGER)
    daemon = world.daemon()
    world.queue.waiting = 10_000

    records: dict[str, Instance] = {}
    for _ in range(16 * 6):
        await daemon.live(HOUR / 6)
        records |= daemon.report.instances

    drained = [record.drained_at for record in records.values() if record.drained_at]
    assert drained, "the day's money ends before the day"
    assert all(record.drained_at - record.ordered_at > HOUR for record in records.values() if record.drained_at)
    assert not [record for record in records.values() if record.ordered_at > min(drained)], "none is started after that"


async def test_two_pools_that_grow_in_one_tick_stay_below_the_fleets_cap_together() -> None:
    caps = FleetLimits(usd_per_hour=Cap(warn=3.0, stop=4.0))
    world = Rehearsal(CALM, pools=(limited(), limited("speech")), policy=EAGER, limits=caps)
    daemon = world.daemon()
    world.queue.waiting, world.queue.others = 10_000, {"speech": 10_000}

    dearest = 0.0
    for _ in range(60):
        await daemon.live(TICK_S)
        dearest = max(dearest, usd_per_hour(daemon))

    assert 3.0 < dearest <= 4.0
    machines = {name: report.snapshot.up for name, report in daemon.report.pools.items()}
    assert min(machines.values()) >= 1, "each has its floor"
    assert any("the whole fleet: 4 USD an hour allowed" in text for text in daemon.texts(Kind.DECISION))


async def test_what_one_pool_starts_is_reserved_before_the_next_one_decides() -> None:
    # The fleet has room for one machine above the two floors, and both want it in the same tick.
    caps = FleetLimits(usd_per_hour=Cap(warn=3.0, stop=3.0))
    world = Rehearsal(CALM, pools=(limited(), limited("speech")), policy=EAGER, limits=caps)
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    before = {name: report.snapshot.up for name, report in daemon.report.pools.items()}
    world.queue.waiting, world.queue.others = 10_000, {"speech": 10_000}

    await daemon.live(3 * TICK_S)

    after = {name: report.snapshot.up for name, report in daemon.report.pools.items()}
    assert (before, after) == ({"images": 1, "speech": 1}, {"images": 2, "speech": 1}), "listed first, served first"


async def test_the_months_cap_and_forecast_outlive_the_daemon_and_the_store() -> None:
    world = Rehearsal(CALM, pools=(limited(usd_per_month=Cap(warn=20.0, stop=500.0)),))
    first = world.daemon()
    await first.live(3 * DAY)
    await first.stop()
    second = world.daemon()
    await second.live(60.0)
    for part in fields(MemoryState):
        setattr(world.state, part.name, getattr(MemoryState(), part.name))
    await second.live(5 * 60.0)

    assert seen(second).spent_month_usd == pytest.approx(world.billed_usd(), rel=0.02)
    assert len(world.state.ledger) == 4, "the days of the new store are those of the one that was lost"
    [machine] = second.report.instances.values()
    left_h = seen(second).month_left_s / HOUR
    # Until the provider shows a new machine as running it costs its disk alone; the pace has that in it.
    foretold = world.billed_usd() + machine.burn_usd_per_hour * left_h
    assert seen(second).forecast_usd == pytest.approx(foretold, rel=0.05)
    assert any("at the pace of the last 7 days the month will have cost" in t for t in second.texts(Kind.DECISION))


async def test_what_was_drained_a_while_ago_counts_though_it_is_gone_by_now() -> None:
    slow = limited(pace=Pace(down=1, per=HOUR), warm=Span(0, 0))
    world = Rehearsal(CALM, pools=(slow,), policy=Thresholds(resume_depth=0, rent_depth=0, idle_for=TICK_S))
    daemon = world.daemon()
    world.queue.waiting = 10_000
    await daemon.live(2 * HOUR)
    assert daemon.count(Phase.HOT) == 6
    world.queue.waiting = 0

    left = []
    for _ in range(4):
        await daemon.live(HOUR)
        left.append(daemon.count(Phase.HOT))

    assert left == [5, 4, 3, 2]
