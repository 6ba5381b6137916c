"""Whole traces simulated, each in a fresh process, so that its memory is its own."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import NamedTuple

from autoscaler.config import load_config
from autoscaler.rehearsal import scenario_of
from autoscaler.sim.run import simulate
from autoscaler.sim.traces import read_trace
from autoscaler.sim.traces.write import window, write_plain
from tests.benchmarks.figures import Figure
from tests.support.traces import TRACES

_CONFIG = """
fleet: benchmark
pools:
  images:
    queue:
      kind: list
      tiers:
        - {name: pro,     key: jobs:pro,     wait_target: 30s}
        - {name: premium, key: jobs:premium, wait_target: 2m}
        - {name: free,    key: jobs:free,    wait_target: 5m}
    machine: {image: "ghcr.io/acme/comfy:1.4", gpus: [RTX 4090, RTX 3090], ready: heartbeat}
    placements:
      - {provider: mock, buy: spot,      max_usd_per_hour: 0.45}
      - {provider: mock, buy: on_demand, max_usd_per_hour: 0.90}
    limits: {hot: 1..6, warm: 0..3}
    workload: {service: 5s..15s}
providers: {mock: {}}
"""
_TRACES = {"gentd26_early.csv.gz": 15.0, "nab_elb_2014.csv.gz": 60.0}
"""With the most seconds that each may take."""
_MOST_MB = 300.0
_HALF_S = 7 * 86400.0
_LINEAR = 1.25  # what a whole trace may cost more than twice its first half


class Cost(NamedTuple):
    """What a simulation took."""

    seconds: float
    resident_mb: float
    simulated_s: float
    jobs: int


def traces() -> Iterator[Figure]:
    """The traces for which there are targets."""
    for name, most_s in _TRACES.items():
        if not (TRACES / name).exists():
            continue
        cost = _measured(TRACES / name)
        what = f"{name.partition('.')[0]}: {cost.simulated_s / 86400:.0f} days, {cost.jobs:,} jobs"
        yield Figure(what=what, value=cost.seconds, unit="s", target=most_s)
        yield Figure(what=f"{what}: times real time", value=cost.simulated_s / cost.seconds, unit="×")
        yield Figure(what=f"{what}: memory at most", value=cost.resident_mb, unit="MB", target=_MOST_MB)


def linear() -> Iterator[Figure]:
    """The larger trace against its first half."""
    path = TRACES / "nab_elb_2014.csv.gz"
    if not path.exists():
        return
    with TemporaryDirectory() as directory:
        half = Path(directory) / "half.csv"
        write_plain(window(read_trace(path), 0.0, _HALF_S), half, ())
        whole, first = _measured(path), _measured(half)
    yield Figure(
        what="nab_elb_2014: 14 days against twice its first 7",
        value=whole.seconds / (2.0 * first.seconds),
        unit="×",
        target=_LINEAR,
    )


def _measured(trace: Path) -> Cost:
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_simulate, trace).result()


def _simulate(trace: Path) -> Cost:
    scenario = scenario_of(load_config(_CONFIG, {}), [str(trace)], market=None, seed=1)
    started = process_time()
    books = simulate(scenario)
    seconds = process_time() - started
    resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return Cost(seconds, resident_mb, books.until_s, len(books.jobs["images"]))
