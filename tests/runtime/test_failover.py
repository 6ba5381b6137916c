"""Machines that are not well, and images that crash, through the whole daemon on virtual time."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

from autoscaler.core.decision import Action
from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Cap, Limits, MachineSpec
from autoscaler.core.units import Span
from autoscaler.runtime.ports import Heartbeat
from providers.mock import Fault, Step
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

P = Phase


class Workers:
    """Workers that beat with each tick, on every machine of the fleet that is HOT or drains."""

    def __init__(self, world: Rehearsal) -> None:
        self.world = world
        self.silent: set[str] = set()
        self.trouble: dict[str, str] = {}
        self.gpu_util: dict[str, float] = {}
        self.fewest_hot = 99
        self._beats = 0

    async def work(self, daemon: Daemon, seconds: float) -> None:
        for _ in range(int(seconds / TICK_S)):
            self._beats += 1
            for name, phase in daemon.phases().items():
                if phase in (P.HOT, P.DRAINING) and name not in self.silent:
                    self.world.state.heartbeats[name] = Heartbeat(
                        busy=0,
                        drained=phase is P.DRAINING,
                        trouble=self.trouble.get(name, ""),
                        gpu_util=self.gpu_util.get(name),
                        stamp=str(self._beats),
                    )
            await daemon.live(TICK_S)
            self.fewest_hot = min(self.fewest_hot, daemon.count(P.HOT))


async def one_hot(world: Rehearsal) -> tuple[Daemon, Workers, str]:
    """A daemon whose only machine is HOT, and worked for two hours."""
    daemon, workers = world.daemon(), Workers(world)
    await daemon.live(HOUR)
    await workers.work(daemon, 2 * HOUR)
    [name] = daemon.phases()
    workers.fewest_hot = 1
    return daemon, workers, name


def done(daemon: Daemon) -> list[str]:
    """What was done to machines, in order."""
    return [entry.action for entry in daemon.watcher.entries if entry.kind is Kind.COMMAND]


async def test_a_degraded_machine_is_replaced_before_it_is_drained_and_released() -> None:
    world = Rehearsal(CALM)
    daemon, workers, first = await one_hot(world)
    before = len(done(daemon))

    workers.trouble[first] = "CUDA error 999"
    await workers.work(daemon, HOUR)

    assert done(daemon)[before:] == [Action.RENT, Action.DRAIN, Action.RELEASE]
    assert workers.fewest_hot == 1
    [second] = daemon.phases()
    assert second != first
    assert daemon.texts(Kind.HEALTH) == [
        f"{first}: its worker says: CUDA error 999, for 5m now: it is to be replaced, then drained"
    ]


async def test_a_machine_whose_worker_is_silent_is_replaced_and_never_stopped() -> None:
    world = Rehearsal(CALM)
    daemon, workers, first = await one_hot(world)

    workers.silent.add(first)
    await workers.work(daemon, 3 * HOUR)

    phases = daemon.phases()
    assert phases.pop(first) is P.DRAINING, "it may hold a job"
    assert list(phases.values()) == [P.HOT]


async def test_a_machine_that_is_well_again_keeps_its_place_and_the_replacement_goes() -> None:
    world = Rehearsal(CALM)
    daemon, workers, first = await one_hot(world)

    workers.trouble[first] = "too hot"
    await workers.work(daemon, 600.0)
    assert daemon.count(P.BOOTING) == 1
    del workers.trouble[first]
    await workers.work(daemon, HOUR)

    assert daemon.phases()[first] is P.HOT
    assert daemon.count(P.HOT) == 1


async def test_a_machine_that_is_down_is_replaced_at_once() -> None:
    down = Step(fault=Fault.HOST_OFFLINE, at=2 * HOUR, until=3 * HOUR)
    world = Rehearsal(replace(CALM, scenario=(down,)))
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    [first] = daemon.phases()

    await daemon.live(3 * TICK_S)

    assert daemon.phases()[first] is P.LOST
    assert daemon.count(P.PLANNED, P.RENTING, P.BOOTING) == 1


async def test_a_verdict_outlives_the_daemon() -> None:
    world = Rehearsal(CALM)
    first, workers, sick = await one_hot(world)
    workers.trouble[sick] = "CUDA error 999"
    await workers.work(first, 600.0)
    await first.kill()

    second = world.daemon()
    await second.live(60.0)
    await workers.work(second, 60.0)

    assert second.report.instances[sick].ailment
    assert second.texts(Kind.HEALTH) == []
    assert second.count(P.BOOTING) == 1


async def test_a_gpu_used_too_little_warns_once_and_stops_nothing_that_is_needed() -> None:
    world = Rehearsal(CALM)
    daemon, workers, name = await one_hot(world)

    workers.gpu_util[name] = 0.05
    await workers.work(daemon, 5 * HOUR)

    warned, counted = daemon.texts(Kind.HEALTH)
    assert warned == f"{name}: its GPU worked less than 20% of its time for 1h"
    assert "less than 10% of its time for 2h" in counted
    assert daemon.phases() == {name: P.HOT}


# --- an image that crashes --------------------------------------------------------------------------------------------

HEALS = 6 * HOUR
CRASHES = replace(CALM, scenario=(Step(fault=Fault.CRASH_LOOP, until=HEALS),))


async def test_an_image_that_crashes_on_two_hosts_is_rented_no_more_save_one_trial_an_hour() -> None:
    world = Rehearsal(CRASHES)
    daemon = world.daemon()
    await daemon.live(HEALS - HOUR)

    rents = [e.at for e in daemon.watcher.entries if e.action == Action.RENT and e.kind is Kind.COMMAND]
    assert len(rents) <= 2 + HEALS / HOUR
    assert all(later - earlier >= HOUR for earlier, later in pairwise(rents[1:]))
    [alarm] = daemon.texts(Kind.ALARM)
    assert "worker:1 crashed in a loop on 2 hosts" in alarm
    assert "name the new tag under `machine.image`" in alarm
    why_not = daemon.report.pools["images"].decision.why_not
    assert any(reason.rule == "image.rent" and "is rented no more" in reason.text for reason in why_not)


async def test_an_image_that_starts_again_is_rented_as_before() -> None:
    world = Rehearsal(CRASHES, pools=[pool(limits=Limits(hot=Span(2, 6), warm=Span(0, 1)))])
    daemon = world.daemon()
    await daemon.live(HEALS + 4 * HOUR)

    assert daemon.count(P.HOT) == 2
    assert json.loads(world.state.documents["images"]) == {}


async def test_what_crashed_is_known_to_the_next_daemon_and_another_tag_is_rented_at_once() -> None:
    world = Rehearsal(CRASHES)
    first = world.daemon()
    while not first.texts(Kind.ALARM):
        await first.live(TICK_S)
    await first.live(TICK_S)
    await first.kill()
    machines = world.market.rented

    second = world.daemon()
    await second.live(600.0)
    assert world.market.rented == machines
    await second.kill()

    world.pools = (pool(machine=MachineSpec(image="worker:2", gpus=("RTX 4090",))),)
    third = world.daemon()
    await third.live(120.0)
    assert world.market.rented == machines + 1


async def test_beside_a_slow_pull_another_host_is_tried() -> None:
    slow = Step(fault=Fault.SLOW_PULL, nth=4)
    limits = Limits(hot=Span(3, 6), usd_per_day=Cap(warn=100.0, stop=200.0))
    world = Rehearsal(replace(CALM, scenario=(slow,)), pools=[pool(limits=limits)])
    daemon = world.daemon()
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == 3

    world.queue.waiting = 31
    await daemon.live(60.0)
    world.queue.waiting = 10
    await daemon.live(HOUR - 120.0)
    assert daemon.count(P.BOOTING) == 1
    await daemon.live(600.0)

    [text] = daemon.texts(Kind.DIAGNOSIS)
    assert "it boots far longer than usual" in text
    assert daemon.count(P.BOOTING) == 2
    hosts = {i.host for i in daemon.report.instances.values() if i.phase is P.BOOTING}
    assert len(hosts) == 2
