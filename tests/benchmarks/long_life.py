"""A daemon's memory over a million ticks: 116 days of a fleet that breathes with the hours, on virtual time.

The daemon is the real one with all that listens to it; its store is the one in memory, whose journal and history are
bounded as those in Redis are.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from prometheus_client import CollectorRegistry, generate_latest

from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Heartbeat
from autoscaler.runtime.report import Listener
from autoscaler.runtime.supervise import Wake
from autoscaler.sim.virtual import VirtualLoop
from autoscaler.store.memory import MemoryState, MemoryStore
from autoscaler.telemetry.listeners import Listeners
from autoscaler.telemetry.logging import LogListener
from autoscaler.telemetry.metrics import Metrics
from autoscaler.web.views import Board
from policies import POLICIES, RECOMMENDED
from providers.mock import MockProvider, MockSettings
from tests.benchmarks.figures import Figure
from tests.support.build import FLEET, NOW, pool
from tests.support.rehearsal import TICK_S, NoProbe, Queue

_TICKS = 1_000_000
_SETTLED = 300_000
"""Ticks after which all that is bounded is full: the journal, and with 259,200 ticks a month of history."""
_GROWTH_MB = 5.0
_DAY = round(86400.0 / TICK_S)


def ticks() -> Iterator[Figure]:
    """Resident memory after the first and after all of a million ticks."""
    started = perf_counter()
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        early_mb, late_mb, tasks, machines = runner.run(_live())
    yield Figure(what=f"resident memory after {_SETTLED:,} ticks", value=early_mb, unit="MB")
    what = f"growth up to {_TICKS:,} ticks ({machines:,} machines rented)"
    yield Figure(what=what, value=late_mb - early_mb, unit="MB", target=_GROWTH_MB)
    yield Figure(what="tasks at the end", value=tasks, unit="", target=10)
    yield Figure(what="real time of all ticks", value=perf_counter() - started, unit="s")


async def _live() -> tuple[float, float, int, int]:
    clock = LoopClock(epoch=NOW)
    provider = MockProvider("mock", MockSettings(), now=clock.now, rng=random.Random(1))
    state, queue, board, registry = MemoryState(), Queue(), Board(FLEET), CollectorRegistry()
    listeners: list[Listener] = [board, Metrics(registry, frozenset), LogListener()]
    policies = tuple((name, POLICIES[name], POLICIES[name].settings()) for name in RECOMMENDED)
    loop = Loop(
        fleet=FLEET,
        pools=[PoolSetup(pool=pool(), policies=policies)],
        store=MemoryStore(state, "long-life", clock),
        demand=queue,
        providers={"mock": provider},
        probe=NoProbe(),
        clock=clock,
        entropy=Entropy(1),
        listener=Listeners(listeners),
        wake=Wake(),
        tick_s=TICK_S,
    )
    early_mb = 0.0
    for tick in range(_TICKS):
        queue.waiting = max(0, round(40.0 * math.sin(2.0 * math.pi * tick / _DAY * 4.0)))
        state.heartbeats = {
            record.id: Heartbeat(
                busy=int(record.phase is Phase.HOT and queue.waiting > 0),
                drained=record.phase is Phase.DRAINING,
                stamp=str(tick),
            )
            for record in state.instances.values()
            if record.phase in (Phase.HOT, Phase.DRAINING)
        }
        await loop.tick_safely()
        await clock.sleep(TICK_S)
        if tick % _DAY == 0:
            board.status(clock.now())
            generate_latest(registry)
        if tick == _SETTLED:
            early_mb = _resident_mb()
    return early_mb, _resident_mb(), len(asyncio.all_tasks()), len(provider.market.released)


def _resident_mb() -> float:
    gc.collect()
    [resident_kb] = (
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:")
    )
    return resident_kb / 1024.0
