"""The daemon records its own history: the real loop over known jobs, and what a trace of the record says of them."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import Sample, totals, window
from autoscaler.core.spec import Limits, Tier
from autoscaler.core.units import DurationRange, Span
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Heartbeat
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.sim.record import record
from autoscaler.sim.traffic import Arrival, Traffic, arrivals
from autoscaler.sim.workers import SimulatedWorkers
from autoscaler.store.memory import MemoryState, MemoryStore
from policies import POLICIES
from policies.thresholds import Thresholds
from tests.support.build import FLEET, NOW, pool
from tests.support.jobs import MemoryQueue
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, NoProbe, Watcher

MINUTE = 60.0
LATE_S = 20.0
"""A heartbeat and a tick: how late a job may be counted."""
SLOTS = 4
TRAFFIC = Traffic(
    quiet_per_h=60.0, burst_per_h=500.0, period_s=2 * HOUR, shares={"pro": 1.0, "free": 2.0}, service_s=25.0
)


def known_jobs(hours: float) -> list[Arrival]:
    """Jobs that come neither while a sample may end nor so shortly before that they may be counted in the next."""
    jobs: list[Arrival] = []
    for job in arrivals(TRAFFIC, seeded(5)):
        if job.t_s >= hours * HOUR:
            return jobs
        if TICK_S <= job.t_s % MINUTE < MINUTE - LATE_S:
            jobs.append(job)
    raise AssertionError("the traffic has no end")


class SilentQueue(MemoryQueue):
    """Its workers say whether they are busy, and count nothing."""

    async def beat(self, beats: Mapping[str, Heartbeat], /) -> None:
        await super().beat({name: replace(beat, taken=None) for name, beat in beats.items()})


class Place:
    """A fleet of two machines at least, which simulated workers work on while daemons come and go."""

    def __init__(self, queue: type[MemoryQueue] = MemoryQueue) -> None:
        self.clock, self.state, self.watcher = LoopClock(epoch=NOW), MemoryState(), Watcher()
        self.clock.now()
        settings = replace(CALM, setup=DurationRange(120.0, 120.0))
        self.provider = SimulatedProvider("mock", settings, now=self.clock.now, rng=random.Random(1))
        self.queue = queue(self.clock, ["pro", "free"], self.state)
        self.workers = SimulatedWorkers(self.provider.market, self.queue, self.clock)
        self._tasks = [asyncio.create_task(self.workers.run())]
        self._daemons = 0

    def start_daemon(self) -> None:
        self._daemons += 1
        limits = Limits(hot=Span(2, SLOTS), warm=Span(0, 2))
        images = pool(tiers=(Tier(name="pro"), Tier(name="free")), limits=limits)
        wake = Wake()
        loop = Loop(
            fleet=FLEET,
            pools=[PoolSetup(pool=images, policies=(("thresholds", POLICIES["thresholds"], Thresholds()),))],
            store=MemoryStore(self.state, f"daemon-{self._daemons}", self.clock),
            demand=self.queue,
            providers={"mock": self.provider},
            probe=NoProbe(),
            clock=self.clock,
            entropy=Entropy(self._daemons),
            listener=self.watcher,
            wake=wake,
            tick_s=TICK_S,
        )
        self._daemon = asyncio.create_task(go_round(loop.tick_safely, wake, self.clock, lambda: TICK_S))
        self._tasks.append(self._daemon)

    def kill_daemon(self) -> None:
        self._daemon.cancel()

    def push(self, jobs: list[Arrival]) -> None:
        async def produce() -> None:
            for job in jobs:
                await self.clock.sleep(max(0.0, NOW + job.t_s - self.clock.now()))
                self.queue.push(job.tier, job.service_s)

        self._tasks.append(asyncio.create_task(produce()))

    async def end(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert not self.watcher.failures

    @property
    def samples(self) -> list[Sample]:
        return window(self.state.samples)


def came(jobs: list[Arrival], sample: Sample) -> Counter[str]:
    """What truly came in a sample's time."""
    times = [NOW + job.t_s for job in jobs]
    return Counter(job.tier for job in jobs[bisect_left(times, sample.at) : bisect_left(times, sample.until)])


def recorded(sample: Sample) -> Counter[str]:
    return Counter({tier: tally.arrived for tier, tally in sample.pools["images"].tiers.items()})


async def test_where_workers_count_every_minute_of_the_trace_has_the_jobs_that_came_in_it() -> None:
    place, jobs = Place(), known_jobs(8.0)
    place.push(jobs)
    place.start_daemon()
    await place.clock.sleep(8 * HOUR + MINUTE)
    await place.end()

    assert all(sample.pools["images"].counted for sample in place.samples)
    for sample in place.samples:
        assert +recorded(sample) == came(jobs, sample), f"{sample.at - NOW}"
    trace = record(place.samples, "images")
    assert (trace.inferred, trace.blind_s, trace.totals.gap_s) == (0, 0.0, 0.0)
    assert Counter(job.tier for job in trace.jobs) == Counter(job.tier for job in jobs)
    assert [job.t_s for job in trace.jobs] == sorted(job.t_s for job in trace.jobs)


async def test_where_workers_count_the_trace_holds_the_work_that_was_done() -> None:
    place, jobs = Place(), known_jobs(8.0)
    place.push(jobs)
    place.start_daemon()
    await place.clock.sleep(8 * HOUR + MINUTE)
    await place.end()

    trace = record(place.samples, "images")
    assert sum(job.service_s or 0.0 for job in trace.jobs) == pytest.approx(sum(j.service_s for j in jobs), rel=0.05)
    assert trace.totals.busy_s == pytest.approx(sum(job.service_s for job in jobs), rel=0.05)


async def test_where_no_worker_counts_the_jobs_follow_from_the_work_and_their_service_time() -> None:
    place, jobs = Place(SilentQueue), known_jobs(8.0)
    place.push(jobs)
    place.start_daemon()
    await place.clock.sleep(8 * HOUR + MINUTE)
    await place.end()

    with pytest.raises(SettingsError, match="--service 40s"):
        record(place.samples, "images")
    mean_s = sum(job.service_s for job in jobs) / len(jobs)
    trace = record(place.samples, "images", mean_s)
    assert trace.inferred > 0
    assert len(trace.jobs) == pytest.approx(len(jobs), rel=0.05)
    assert sum(job.service_s or 0.0 for job in trace.jobs) == pytest.approx(sum(j.service_s for j in jobs), rel=0.05)
    by_tier, truth = Counter(job.tier for job in trace.jobs), Counter(job.tier for job in jobs)
    assert by_tier["free"] == pytest.approx(truth["free"], rel=0.15)


async def test_what_each_machine_did_follows_without_a_hole_up_to_what_its_record_says() -> None:
    place = Place()
    place.push(known_jobs(4.0))
    place.start_daemon()
    await place.clock.sleep(4 * HOUR)
    machines = dict(place.state.instances)
    await place.clock.sleep(2 * MINUTE)
    await place.end()

    stays = [stay for sample in place.samples for stay in sample.stays]
    assert machines
    for machine in machines.values():
        own = [stay for stay in stays if stay.instance == machine.id]
        begins = [*(stay.since for stay in own), machine.phase_since]
        assert [stay.until for stay in own][: len(begins) - 1] == begins[1:]
        assert own[0].since == machine.created_at
        assert Phase.BOOTING in {stay.phase for stay in own}
        assert {(stay.pool, stay.provider) for stay in own} == {(machine.pool, machine.provider)}
        assert all(stay.usd_per_hour > 0.0 for stay in own if stay.phase is Phase.HOT)


async def test_each_minute_says_how_many_machines_were_wanted() -> None:
    place = Place()
    place.push(known_jobs(1.0))
    place.start_daemon()
    await place.clock.sleep(HOUR)
    await place.end()

    decided = {entry.hot for entry in place.state.journal if entry.kind is Kind.DECISION}
    assert {sample.pools["images"].wanted for sample in place.samples} <= decided
    assert None not in decided


async def test_while_no_daemon_runs_there_is_a_gap_and_after_it_the_record_is_right_again() -> None:
    place, jobs = Place(), known_jobs(4.0)
    place.push(jobs)
    place.start_daemon()
    await place.clock.sleep(2 * HOUR + 45.0)
    place.kill_daemon()
    await place.clock.sleep(10 * MINUTE)
    place.start_daemon()
    await place.clock.sleep(2 * HOUR)
    await place.end()

    samples = place.samples
    [(before, after)] = [pair for pair in pairwise(samples) if pair[0].until != pair[1].at]
    assert before.until - NOW == pytest.approx(2 * HOUR, abs=TICK_S)
    assert after.at - NOW == 2 * HOUR + 45.0 + 10 * MINUTE
    ahead = 0
    for sample in samples:
        ahead += recorded(sample).total() - came(jobs, sample).total()
        assert -SLOTS <= ahead <= (SLOTS if sample.at >= after.at else 0), "heartbeats are late, at most one for a slot"
    assert 0 <= ahead <= SLOTS, "in the end only jobs taken before the new daemon's first look are too many"
    assert totals(samples, "images").gap_s == pytest.approx(after.at - before.until)


async def test_the_history_costs_what_the_provider_bills() -> None:
    place = Place()
    place.push(known_jobs(4.0))
    place.start_daemon()
    await place.clock.sleep(4 * HOUR)
    await place.end()

    found = totals(place.samples, "images")
    billed = sum(place.provider.market.billed_usd(NOW + 4 * HOUR).values())
    assert found.usd == pytest.approx(billed, rel=0.02)
    assert found.machine_s[Phase.HOT] >= 2 * 3.9 * HOUR
