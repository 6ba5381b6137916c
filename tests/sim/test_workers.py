"""Simulated workers serve like real ones: on machines that are up, most urgent first, and until they are drained."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from autoscaler.core.units import DurationRange
from providers.mock import Fault, Step
from tests.support.build import NOW
from tests.support.jobs import WorkersBench
from tests.support.market import CALM

pytestmark = pytest.mark.looptime

UP_S = CALM.setup.high
OUTBID_S = UP_S + 100.0
OUTBID = replace(CALM, scenario=(Step(fault=Fault.OUTBID, at=OUTBID_S),), outbid_returns=1.0)


async def test_every_job_is_served_once_and_the_most_urgent_first() -> None:
    bench = WorkersBench()
    pushed = [bench.queue.push(tier, 20.0) for tier in ("free", "free", "pro", "free", "pro") * 10]
    await bench.rent_up("a")
    await bench.rent_up("b", slots=2)
    await bench.live(2000.0)
    assert Counter(job.id for job, _ in bench.queue.served) == Counter(job.id for job in pushed)
    assert bench.workers.served == len(pushed)
    order = [job.tier for job, _, _ in bench.queue.started]
    assert order == sorted(order, key=["pro", "free"].index)


async def test_a_job_takes_its_service_time() -> None:
    bench = WorkersBench()
    await bench.rent_up()
    bench.queue.push("pro", 12.5)
    started = bench.clock.now()
    await bench.live(60.0)
    [(_, _, begun)], [(_, ended)] = bench.queue.started, bench.queue.served
    assert begun == pytest.approx(started)
    assert ended - begun == pytest.approx(12.5)


async def test_no_job_starts_before_its_machine_is_up() -> None:
    bench = WorkersBench()
    for _ in range(20):
        bench.queue.push("pro", 30.0)
    await bench.rent()
    await bench.live(UP_S - 1.0)
    assert not bench.queue.started
    await bench.live(1000.0)
    assert len(bench.queue.served) == 20
    assert min(at for _, _, at in bench.queue.started) >= NOW + UP_S


async def test_a_stopped_machine_takes_no_job() -> None:
    bench = WorkersBench()
    machine = await bench.rent_up()
    await bench.provider.stop(machine)
    await bench.live(20.0)
    bench.queue.push("pro", 5.0)
    await bench.live(600.0)
    assert not bench.queue.started
    assert len(bench.queue.beaten_at["a"]) == 2, "one while it was up, one while it was being stopped"


async def test_a_machine_never_works_on_more_jobs_than_it_has_slots() -> None:
    bench = WorkersBench()
    for _ in range(12):
        bench.queue.push("free", 60.0)
    await bench.rent_up(slots=3)
    busy = []
    for _ in range(60):
        await bench.live(5.0)
        busy.append(len(bench.queue.started) - len(bench.queue.served))
    assert max(busy) == 3
    assert len(bench.queue.served) == 12


async def test_jobs_are_spread_over_idle_machines() -> None:
    bench = WorkersBench()
    await bench.rent("a", slots=2)
    await bench.rent_up("b", slots=2)
    bench.queue.push("pro", 60.0)
    bench.queue.push("pro", 60.0)
    await bench.live(30.0)
    assert {instance for _, instance, _ in bench.queue.started} == {"a", "b"}


async def test_the_provider_shows_the_slots_at_work() -> None:
    bench = WorkersBench()
    machine = await bench.rent_up(slots=2)
    bench.queue.push("pro", 60.0)
    await bench.live(30.0)
    assert bench.provider.market.machines[machine].busy == 1
    await bench.live(60.0)
    assert bench.provider.market.machines[machine].busy == 0


async def test_a_machine_of_somebody_else_never_takes_a_job() -> None:
    bench = WorkersBench()
    await bench.rent_up(None)
    bench.queue.push("pro", 5.0)
    await bench.live(600.0)
    assert not bench.queue.started
    assert not bench.queue.beats


async def test_a_drained_worker_ends_its_job_pulls_no_more_and_says_so() -> None:
    bench = WorkersBench()
    await bench.rent_up()
    in_hand = bench.queue.push("free", 100.0)
    await bench.live(20.0)
    bench.queue.marks.add("a")
    bench.queue.push("pro", 5.0)
    await bench.live(20.0)
    assert (bench.queue.beats["a"].busy, bench.queue.beats["a"].drained) == (1, True)
    await bench.live(600.0)
    assert [job for job, _ in bench.queue.served] == [in_hand]
    assert (bench.queue.beats["a"].busy, bench.queue.beats["a"].drained) == (0, True)


async def test_a_worker_whose_drain_is_taken_back_pulls_again() -> None:
    bench = WorkersBench()
    await bench.rent_up()
    bench.queue.marks.add("a")
    bench.queue.push("pro", 5.0)
    await bench.live(60.0)
    assert not bench.queue.served
    bench.queue.marks.clear()
    await bench.live(30.0)
    assert len(bench.queue.served) == 1
    assert not bench.queue.beats["a"].drained


async def test_a_machine_set_apart_for_a_tier_leaves_lower_tiers_to_others() -> None:
    bench = WorkersBench()
    bench.queue.tiers["apart"] = "pro"
    await bench.rent("apart")
    await bench.rent_up("shared")
    for _ in range(3):
        bench.queue.push("free", 60.0)
    bench.queue.push("pro", 60.0)
    await bench.live(30.0)
    assert sorted((instance, job.tier) for job, instance, _ in bench.queue.started) == [
        ("apart", "pro"),
        ("shared", "free"),
    ]
    await bench.live(600.0)
    assert {instance for job, instance, _ in bench.queue.started if job.tier == "free"} == {"shared"}
    bench.queue.tiers.clear()
    bench.queue.push("free", 60.0)
    bench.queue.push("free", 60.0)
    await bench.live(30.0)
    assert {instance for _, instance, _ in bench.queue.started[-2:]} == {"apart", "shared"}


async def test_workers_beat_steadily_and_each_beat_differs() -> None:
    bench = WorkersBench()
    await bench.rent_up()
    stamps = set()
    for _ in range(30):
        await bench.live(10.0)
        stamps.add(bench.queue.beats["a"].stamp)
    assert len(stamps) == 30
    beaten_at = bench.queue.beaten_at["a"]
    gaps = {round(later - earlier, 3) for earlier, later in pairwise(beaten_at)}
    assert gaps == {10.0}


async def test_the_job_of_an_interrupted_machine_is_lost_and_counted() -> None:
    bench = WorkersBench(OUTBID)
    await bench.rent_up(spot=True)
    lost = bench.queue.push("pro", 500.0)
    await bench.live(OUTBID_S - bench.elapsed_s + 20.0)
    assert bench.queue.lost == [lost]
    assert (bench.workers.interrupted, bench.provider.killed, bench.workers.served) == (1, 0, 0)


async def test_a_job_does_not_outlive_a_start_that_ended_unseen() -> None:
    bench = WorkersBench(replace(OUTBID, let_to_others=DurationRange(1.0, 1.0), resume=DurationRange(1.0, 1.0)))
    await bench.rent_up(spot=True)
    bench.queue.push("pro", 500.0)
    await bench.live(OUTBID_S - bench.elapsed_s + 20.0)
    bench.queue.push("pro", 5.0)
    await bench.live(600.0)
    assert (bench.workers.interrupted, bench.workers.served) == (1, 1)


async def test_a_job_in_hand_when_we_order_its_machines_end_is_counted_as_killed() -> None:
    bench = WorkersBench()
    stopped, released = await bench.rent("a"), await bench.rent_up("b")
    bench.queue.push("pro", 500.0)
    bench.queue.push("pro", 500.0)
    await bench.live(20.0)
    await bench.provider.stop(stopped)
    await bench.provider.release(released)
    await bench.live(600.0)
    assert bench.provider.killed == 2
    assert len(bench.queue.lost) == 2


async def test_to_end_an_idle_or_booting_machine_kills_nothing() -> None:
    bench = WorkersBench()
    idle = await bench.rent_up("a")
    booting = await bench.rent("b")
    await bench.provider.release(idle)
    await bench.provider.release(booting)
    await bench.provider.release("never-there")
    assert bench.provider.killed == 0


async def test_idle_workers_look_for_jobs_no_more_often_than_they_beat() -> None:
    bench = WorkersBench()
    await bench.rent_up()
    looks = bench.queue.looks
    await bench.live(3600.0)
    assert bench.queue.looks - looks <= 361


async def test_busy_workers_look_once_for_each_job() -> None:
    bench = WorkersBench()
    for _ in range(1000):
        bench.queue.push("free", 7.0)
    await bench.rent_up()
    await bench.live(7100.0)
    assert len(bench.queue.served) == 1000
    assert bench.queue.looks <= 1000 + 15
