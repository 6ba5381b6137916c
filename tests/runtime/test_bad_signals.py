"""What a daemon does while the queue cannot be read, or tells what cannot be: over days, restarts and lost stores."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from autoscaler.config import load_config
from autoscaler.core.decision import Action
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Cap, Fallback, FleetLimits, Limits
from autoscaler.core.units import Span
from autoscaler.rehearsal import scenario_of
from autoscaler.runtime.decider import PoolSetup
from autoscaler.sim.run import simulate
from autoscaler.store.memory import MemoryState
from policies import POLICIES
from policies.thresholds import Thresholds
from tests.support.build import NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal
from tests.support.simulating import CONFIG
from tests.support.traces import real_trace

P = Phase
BLIND = Unknown("connection refused", NOW)
JOBS = 1000
HASTY = Thresholds(idle_for=30.0)
"""Machines go as soon as half a minute was quiet."""
PLENTY = Limits(hot=Span(1, 6), warm=Span(0, 3), usd_per_day=Cap(warn=1000.0, stop=2000.0))


def a_world(*, hot: Span = PLENTY.hot, **fallback: Any) -> Rehearsal:
    limits = Limits(hot=hot, warm=PLENTY.warm, usd_per_day=PLENTY.usd_per_day)
    return Rehearsal(CALM, pools=(pool(limits=limits, fallback=Fallback(**fallback)),), policy=HASTY)


async def with_two_machines(world: Rehearsal) -> Daemon:
    daemon = world.daemon()
    await daemon.live(HOUR)
    world.queue.waiting = 31
    await daemon.live(60)
    world.queue.waiting = 10
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == 2
    return daemon


def lose_one(world: Rehearsal) -> None:
    """Its provider loses a machine, and all that was on it."""
    world.market.release(world.clock.now(), next(iter(world.rented())))


@pytest.mark.parametrize(
    ("fallback", "left"),
    [({}, 1), ({"then": "last_good"}, 2), ({"then": "floor", "floor": 3}, 3)],
    ids=["hold", "last good", "floor"],
)
async def test_what_is_left_of_two_machines_when_one_dies_while_the_queue_cannot_be_read(
    fallback: dict[str, Any], left: int
) -> None:
    world = a_world(**fallback)
    daemon = await with_two_machines(world)
    world.queue.waiting = BLIND
    await daemon.live(60)
    lose_one(world)
    await daemon.live(4 * HOUR)

    assert daemon.count(P.HOT) == left
    hot = [name for name, phase in daemon.phases().items() if phase is P.HOT]
    assert not [each for each in daemon.watcher.outcomes if each.instance in hot and each.action is not Action.RENT]
    assert sum("cannot be read" in text for text in daemon.texts(Kind.ALARM)) == 1


async def test_a_floor_is_started_where_nothing_runs() -> None:
    world = a_world(hot=Span(0, 6), then="floor", floor=2)
    world.queue.waiting = BLIND
    daemon = world.daemon()
    await daemon.live(2 * HOUR)

    assert daemon.count(P.HOT) == 2


async def test_the_alarm_is_told_once_over_restarts_and_so_is_its_end() -> None:
    world = a_world()
    first = await with_two_machines(world)
    world.queue.waiting = BLIND
    await first.live(60)
    [alarm] = first.texts(Kind.ALARM)
    assert alarm.startswith("images: the queue cannot be read (connection refused): 3 readings in a row failed")
    assert "2 up" in alarm
    assert "USD/h" in alarm
    await first.kill()

    second = world.daemon()
    await second.live(600)
    assert second.texts(Kind.ALARM) == []
    assert second.report.pools["images"].snapshot.signal.wanted == 2
    world.queue.waiting = 10
    await second.live(60)
    [relief] = second.texts(Kind.SIGNAL)
    assert "can be read again, after 1" in relief


async def test_a_fall_to_nothing_stops_nothing_for_five_minutes() -> None:
    world = a_world(hot=Span(1, 2))
    daemon = await with_two_machines(world)
    world.queue.waiting = JOBS
    await daemon.live(60)
    world.queue.waiting = 0
    await daemon.live(290)
    assert daemon.count(P.DRAINING, P.STOPPING, P.WARM) == 0

    await daemon.live(120)
    assert len(daemon.texts(Kind.ALARM)) == 1
    assert daemon.count(P.DRAINING, P.STOPPING, P.WARM) > 0


async def test_a_store_that_comes_back_empty_with_its_queue_is_told_all_the_same() -> None:
    world = a_world(hot=Span(1, 2))
    daemon = await with_two_machines(world)
    world.queue.waiting = JOBS
    await daemon.live(60)
    machines = set(world.rented())
    for part in fields(MemoryState):
        setattr(world.state, part.name, getattr(MemoryState(), part.name))
    world.queue.waiting = 0
    await daemon.live(290)

    assert set(world.rented()) == machines
    assert sum("fell from 1,000 to 0" in text for text in daemon.texts(Kind.ALARM)) == 1


async def test_what_was_known_of_a_queue_is_not_held_against_another() -> None:
    world = a_world()
    daemon = await with_two_machines(world)
    world.queue.waiting = JOBS
    await daemon.live(60)
    daemon.loop.adapt(
        pools=[PoolSetup(pool=world.pools[0], policies=(("thresholds", POLICIES["thresholds"], HASTY),))],
        providers={"mock": world.provider},
        limits=FleetLimits(),
        tick_s=TICK_S,
        requeued=["images"],
    )
    world.queue.waiting = 0
    await daemon.live(60)

    assert daemon.texts(Kind.ALARM) == []


@pytest.mark.parametrize(
    ("trace", "service"),
    [("azure_llm_2023_code_1h.csv.gz", "500ms..3s"), ("azure_llm_2023_code_1h.csv.gz", "10ms..20ms")],
    ids=["short jobs", "very short jobs"],
)
def test_the_bursts_of_a_real_trace_raise_no_alarm(tmp_path: Path, trace: str, service: str) -> None:
    file = tmp_path / "fleet.yaml"
    jobs = CONFIG.replace("service: 20s..60s, tier_column: user, model_load: 15s", f"service: {service}")
    file.write_text(jobs.replace("ready: running", "ready: running, slots: 4"))

    books = simulate(scenario_of(load_config(file, {}), [str(real_trace(trace))], market=None, seed=1))

    assert [entry.text for entry in books.entries if entry.kind in (Kind.ALARM, Kind.SIGNAL)] == []
