"""M/M/n: the wait in front of n machines that are always up is the one that Erlang's C formula gives."""

from __future__ import annotations

import math
import random

import pytest

from autoscaler.sim.floor import Floor
from tests.support.build import pool
from tests.support.theory import Estimate, exponential, poisson_jobs

SERVICE_S = 40.0
REPLICATIONS = 10
JOBS = 25_000
WARM_UP = 2_000
"""The first jobs, which found the queue emptier than it is in the long run, are left out."""


def erlang_c(machines: int, load: float) -> float:
    """The probability that a job has to wait (A. K. Erlang, 1917); the load is in machines."""
    blocked = 1.0  # Erlang's B, by its recursion over the machines
    for n in range(1, machines + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1.0 - load / machines * (1.0 - blocked))


def waits_s(machines: int, slots: int, utilization: float, seed: int) -> list[float]:
    per_s = machines * slots * utilization / SERVICE_S
    jobs = poisson_jobs(random.Random(seed), per_s=per_s, service=exponential(SERVICE_S))
    floor = Floor(pool(), jobs, order="priority", model_load_s=0.0)
    for number in range(machines):
        floor.man(f"m{number}", slots)
    floor.advance((JOBS + WARM_UP) / per_s)
    return [wait for wait in floor.log.waits_s(0)[WARM_UP:] if math.isfinite(wait)]


@pytest.mark.parametrize(("machines", "slots", "utilization"), [(1, 1, 0.6), (4, 1, 0.8), (4, 4, 0.8), (10, 1, 0.75)])
def test_the_share_of_jobs_that_wait_and_their_mean_wait_are_erlangs(
    machines: int, slots: int, utilization: float
) -> None:
    servers = machines * slots
    delayed = erlang_c(servers, servers * utilization)
    replications = [waits_s(machines, slots, utilization, seed) for seed in range(REPLICATIONS)]

    share = Estimate.of([sum(wait > 0 for wait in waits) / len(waits) for waits in replications])
    mean_s = Estimate.of([math.fsum(waits) / len(waits) for waits in replications])

    assert share.agrees_with(delayed, within=0.15), share
    assert mean_s.agrees_with(delayed * SERVICE_S / (servers * (1.0 - utilization)), within=0.25), mean_s


def test_erlangs_formula_gives_the_published_values() -> None:
    assert erlang_c(1, 0.6) == pytest.approx(0.6), "M/M/1: the utilization"
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(10, 8.0) == pytest.approx(0.4092, abs=5e-5)
