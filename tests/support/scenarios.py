"""Small random scenarios: a trace on disk, a pool or two, a market in which things go wrong."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hypothesis import strategies as st

from autoscaler.core.spec import Limits, MachineSpec, Placement, Pool, Tier
from autoscaler.core.units import DurationRange, Span
from autoscaler.sim.scenario import PolicyChoice, PoolScenario, Scenario
from autoscaler.sim.workload import Workload
from policies.thresholds import Thresholds
from providers.mock import MockSettings
from providers.mock.faults import Fault

TIERS = ("pro", "premium", "free")
MODELS = ("", "x", "y")
SILENT = frozenset({Fault.HANGS, Fault.ANSWER_HANGS})
"""Calls that never answer hold a tick up until its time is over."""
FAULTS = sorted(set(Fault) - SILENT - {Fault.BALANCE_SPENT})

Line = tuple[int, str, int, str]
"""Gap before the job in seconds, tier, service time in seconds, model."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a scenario is made from."""

    lines: list[Line]
    order: Literal["priority", "fifo"]
    model_load_s: float
    slots: int
    spot: bool
    faults: dict[Fault, float]
    seed: int


settings_of_scenarios = st.builds(
    Setting,
    lines=st.lists(
        st.tuples(
            st.integers(0, 600), st.sampled_from(TIERS), st.sampled_from([1, 20, 45, 300]), st.sampled_from(MODELS)
        ),
        max_size=40,
    ),
    order=st.sampled_from(["priority", "fifo"]),
    model_load_s=st.sampled_from([0.0, 17.0]),
    slots=st.integers(1, 3),
    spot=st.booleans(),
    faults=st.dictionaries(st.sampled_from(FAULTS), st.sampled_from([0.05, 0.3, 0.9]), max_size=4),
    seed=st.integers(0, 1000),
)


def write_trace(path: Path, lines: list[Line]) -> Path:
    """A trace of these jobs."""
    now_s = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["t_s", "tier", "service_s", "model"])
        for gap, tier, service_s, model in lines:
            now_s += gap
            writer.writerow([now_s, tier, service_s, model])
    return path


def a_pool(name: str, setting: Setting) -> Pool:
    """A pool with a cap on price that every offer of the market keeps."""
    return Pool(
        name=name,
        tiers=tuple(
            Tier(name=tier, wait_target=target) for tier, target in zip(TIERS, (30.0, 120.0, 300.0), strict=True)
        ),
        machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=setting.slots, ready="running"),
        placements=(Placement(provider="mock", buy="spot" if setting.spot else "on_demand", max_usd_per_hour=1.2),),
        limits=Limits(hot=Span(0, 4), warm=Span(0, 2)),
    )


def scenario(setting: Setting, directory: Path, **changes: Any) -> Scenario:
    """The scenario of a setting; its trace is written to the directory."""
    trace = write_trace(directory / "trace.csv", setting.lines)
    workload = Workload(order=setting.order, model_load=setting.model_load_s)
    images = PoolScenario(
        pool=a_pool("images", setting),
        policies=(("thresholds", Thresholds()),),
        workload=workload,
        trace=trace,
    )
    market = MockSettings(
        setup=DurationRange(60.0, 300.0, (90.0,)),
        resume=DurationRange(20.0, 60.0),
        stop=DurationRange(5.0, 20.0),
        let_to_others=DurationRange(300.0, 1800.0),
        offline=DurationRange(60.0, 900.0),
        faults=setting.faults,
    )
    made = Scenario(fleet="acme", pools=(images,), providers={"mock": market}, tick_s=30.0, seed=setting.seed)
    return replace(made, **changes)


def with_two_pools(made: Scenario, peer: PolicyChoice | None) -> Scenario:
    """The same jobs for a second pool in the same market; a peer controls both, if one is given."""
    [first] = made.pools
    second = replace(first, pool=replace(first.pool, name="speech"))
    pools = (first, second)
    return replace(made, pools=pools, peers={each.pool.name: peer for each in pools} if peer else {})
