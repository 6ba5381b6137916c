"""What the policy `forecast` costs for a pool that it has followed for four weeks."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

from autoscaler.core.load import Load
from autoscaler.core.samples import PoolSample, TierSample
from autoscaler.core.snapshot import PoolSnapshot
from policies.base import State
from policies.forecast import Forecast, decide
from policies.profile import DAY, SLOT_S
from tests.benchmarks.figures import Figure
from tests.support import build
from tests.support.build import NOW

_DAYS = 28
_REPEATS = 200
_TARGET_TICK_MS = 0.5
_TARGET_KB = 64.0


def policy() -> Iterator[Figure]:
    """One decision, and the state."""
    load, state = _followed()
    for what, after_s, target in (
        ("a tick with nothing new", 0.0, _TARGET_TICK_MS),
        ("a new minute", 60.0, _TARGET_TICK_MS),
        ("a new quarter of an hour", SLOT_S, None),
    ):
        seen = _seen(_later(load, after_s) if after_s else load)
        value = _median_ms(partial(decide, seen, state, seen.load.until, Forecast()))
        yield Figure(what=f"{what}, median of {_REPEATS}", value=value, unit="ms", target=target)
    kilobytes = len(json.dumps(state)) / 1024.0
    yield Figure(what=f"stored after {_DAYS} days", value=kilobytes, unit="KB", target=_TARGET_KB)


def _followed() -> tuple[Load, State]:
    """Days and nights by the quarter of an hour: the history and the state at their end."""
    load = Load()
    state: State = {}
    for quarter in range(_DAYS * DAY):
        load = _later(load, SLOT_S, jobs=100 if quarter % DAY > DAY // 2 else 10)
        _, state = decide(_seen(load), state, load.until, Forecast())
    return load, state


def _later(load: Load, seconds: float, *, jobs: int = 10) -> Load:
    sample = PoolSample(tiers={"pro": TierSample(jobs, 0, 0, None)}, seen_s=seconds)
    return load.learned(sample, {"pro": (jobs, 20.0 * jobs)}, (load.until or NOW) + seconds)


def _seen(load: Load) -> PoolSnapshot:
    return build.snapshot(build.instance(), load=load)


def _median_ms(work: Callable[[], object]) -> float:
    times_ms = []
    for _ in range(_REPEATS):
        started = perf_counter()
        work()
        times_ms.append(1000.0 * (perf_counter() - started))
    return statistics.median(times_ms)
