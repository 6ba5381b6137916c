"""Machines that are given back when they are idle, and take their time to come up, in the whole simulated world."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import takewhile

import pytest

from autoscaler.core.units import DurationRange
from autoscaler.sim.baselines.base import NOTHING, Orders, PeerView
from autoscaler.sim.books import JobLog
from autoscaler.sim.workload import Job
from tests.support.peer_world import market, play
from tests.support.theory import Estimate, poisson_jobs

REPLICATIONS = 8
HORIZON_S = 700_000.0
PER_S = 1 / 200.0
SERVICES_S = (30.0, 30.0, 30.0, 300.0)
"""Each as likely as the others: the squared coefficient of variation is 1.4."""
SETUPS = {
    "always the same": DurationRange(180.0, 180.0),
    "measured": DurationRange(95.0, 1260.0, (110.0, 130.0, 180.0, 400.0)),
}
_A_MOMENT_S = 0.001
_LOOK_AT_BOOT_S = min(SERVICES_S) / 2
"""So short that no job can be done between two looks."""


def moments(setup: DurationRange) -> tuple[float, float]:
    """Mean and mean square of what is drawn: evenly between two neighbours, each pair as likely as the others."""
    pairs = list(zip(setup.points, setup.points[1:], strict=False))
    mean = math.fsum((a + b) / 2 for a, b in pairs) / len(pairs)
    return mean, math.fsum((a * a + a * b + b * b) / 3 for a, b in pairs) / len(pairs)


class OneMachineOnDemand:
    """Rents one machine for the first job, and gives it back the moment nothing is left to do.

    It looks when it has something to do, which it can tell: jobs come and take as long as it was told.
    """

    grace_s = math.inf

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._begun = 0
        self._done_s = 0.0
        self.every_s = jobs[0].arrived_s

    def step(self, view: PeerView) -> Orders:
        came = view.arrived(math.inf)
        [ready_s] = [machine.ready_at for machine in view.machines] or [None]
        if not view.machines and view.waiting:
            self.every_s = _LOOK_AT_BOOT_S
            return Orders(rent=1)
        if view.machines and ready_s is None:
            self.every_s = _LOOK_AT_BOOT_S
            return NOTHING
        if view.running and ready_s is not None:
            for job in self._jobs[self._begun : came - view.waiting]:
                self._done_s = max(self._done_s, job.arrived_s, ready_s) + job.service_s
            self._begun = came - view.waiting
            self.every_s = self._done_s - view.now + _A_MOMENT_S
            return NOTHING
        next_s = self._jobs[came].arrived_s if came < len(self._jobs) else HORIZON_S
        self.every_s = max(_A_MOMENT_S, next_s - view.now)
        return Orders(end=tuple(machine.id for machine in view.machines))


def log_of(setup: DurationRange, seed: int) -> JobLog:
    rng = random.Random(seed)
    coming = poisson_jobs(rng, per_s=PER_S, service=lambda rng: rng.choice(SERVICES_S))
    jobs = list(takewhile(lambda job: job.arrived_s < HORIZON_S, coming))
    world = play(
        OneMachineOnDemand(jobs),
        jobs,
        until_s=HORIZON_S,
        providers={"mock": market(setup=setup)},
        boot_deadline_s=math.inf,
        seed=seed,
    )
    return world.floors["images"].log


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_the_mean_wait_is_that_of_a_queue_with_set_up(setup: DurationRange) -> None:
    """M/G/1 with set-up time Y: λE[S²]/2(1−ρ) + (2E[Y] + λE[Y²]) / 2(1 + λE[Y]) (P. D. Welch, 1964)."""
    mean_s, square_s = moments(setup)
    service_s = math.fsum(SERVICES_S) / len(SERVICES_S)
    service_square = math.fsum(s * s for s in SERVICES_S) / len(SERVICES_S)
    queueing_s = PER_S * service_square / (2 * (1 - PER_S * service_s))
    setup_s = (2 * mean_s + PER_S * square_s) / (2 * (1 + PER_S * mean_s))

    waits = [[wait for wait in log_of(setup, seed).waits_s(0) if math.isfinite(wait)] for seed in range(REPLICATIONS)]
    found = Estimate.of([math.fsum(each) / len(each) for each in waits])

    assert found.agrees_with(queueing_s + setup_s, within=0.08), (found, queueing_s + setup_s)
