"""The strategy, line by line: each case names its line and holds the real policies, guards and plan to it.

Its numbers are the shipped defaults; what a person must say for a line to count is said beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from autoscaler.core.admission import admit
from autoscaler.core.decision import Action, Command, Decision
from autoscaler.core.demand import Demand, TierDemand
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Limits, Pool, Tier
from autoscaler.core.units import Span
from autoscaler.core.utilisation import Use
from autoscaler.runtime.decide import decide
from policies import POLICIES
from policies.base import State
from policies.combine import Entry
from tests.support.build import NOW, instance, offer, pool, snapshot

P = Phase
HOUR = 3600.0
TIERS = ("enterprise", "pro", "premium", "free")
RENT, RESUME, DRAIN, RELEASE = Action.RENT, Action.RESUME, Action.DRAIN, Action.RELEASE


def strategy_pool(**changes: Any) -> Pool:
    tiers = (
        Tier(name="enterprise", wait_target=30.0),
        Tier(name="pro", wait_target=30.0),
        Tier(name="premium", wait_target=120.0),
        Tier(name="free", wait_target=300.0, refuse_above=60.0),
    )
    return pool(**({"tiers": tiers, "limits": Limits(hot=Span(1, 6), warm=Span(0, 3))} | changes))


def entries(*names: str) -> list[Entry]:
    return [(name, POLICIES[name], POLICIES[name].settings()) for name in names]


BOTH = ("thresholds", "priority")
"""The policies that are the strategy's own rules."""


def queue(depth: Mapping[str, int], wait_s: Mapping[str, float], in_flight: int) -> Demand:
    """Jobs waiting by tier, the oldest of each for so long; for no time where nothing is said."""
    tiers = (
        TierDemand(
            tier=name, waiting=depth.get(name, 0), oldest_wait_s=wait_s.get(name, 0.0) if depth.get(name) else None
        )
        for name in TIERS
    )
    return Demand(taken_at=NOW, tiers=tuple(tiers), in_flight=in_flight)


def seen(
    phases: Sequence[Phase], depth: Mapping[str, int], wait_s: Mapping[str, float], **changes: Any
) -> PoolSnapshot:
    """Machines in these phases, each HOT one with a job; the market has offers enough."""
    machines = [instance(phase, id=f"m{n}", created_at=NOW - HOUR + n) for n, phase in enumerate(phases)]
    busy = {machine.id: 1 for machine in machines if machine.phase is P.HOT}
    values: dict[str, Any] = {
        "pool": strategy_pool(),
        "demand": queue(depth, wait_s, len(busy)),
        "busy": busy,
        "offers": {"mock-on-demand": tuple(offer(offer_id=f"o-{n}", host=f"h-{n}") for n in range(4))},
    }
    return snapshot(*machines, **(values | changes))


def decided(
    view: PoolSnapshot, state: Mapping[str, State] | None = None, *, names: Sequence[str] = BOTH, now: float = NOW
) -> tuple[Decision, tuple[Command, ...]]:
    decision, commands, _ = decide(entries(*names), view, state or {}, now)
    return decision, commands


def done(view: PoolSnapshot, names: Sequence[str] = BOTH) -> list[Action]:
    return [command.action for command in decided(view, names=names)[1]]


# --- scale out --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a line of the strategy asks for, and how little less does not."""

    text: str
    phases: Sequence[Phase]
    depth: Mapping[str, int]
    wait_s: Mapping[str, float] = field(default_factory=dict)
    follows: Sequence[Action]
    rule: str
    no_more: Mapping[str, int] | None = None
    """With these depths instead, nothing follows."""
    no_longer: Mapping[str, float] | None = None
    """With these waits instead, nothing follows."""


LINES = [
    Line(
        text="IF queue_depth > 10 jobs AND standby = WARM: Resume standby",
        phases=[P.HOT, P.WARM],
        depth={"free": 11},
        follows=[RESUME],
        rule="thresholds.resume",
        no_more={"free": 10},
    ),
    Line(
        text="IF queue_depth > 30 jobs AND all instances HOT: Rent new instance from pool",
        phases=[P.HOT, P.HOT],
        depth={"free": 31},
        follows=[RENT],
        rule="thresholds.rent",
        no_more={"free": 30},
    ),
    Line(
        text='IF queue_wait_time > 120s and tier == "premium": spin_up_standby()',
        phases=[P.HOT, P.WARM],
        depth={"premium": 1},
        wait_s={"premium": 121.0},
        follows=[RESUME],
        rule="priority.resume",
        no_longer={"premium": 120.0},
    ),
    Line(
        text='IF queue_wait_time > 30s and tier in ["pro", "enterprise"]: spin_up_overflow()  # pro',
        phases=[P.HOT],
        depth={"pro": 1},
        wait_s={"pro": 31.0},
        follows=[RENT],
        rule="priority.rent",
        no_longer={"pro": 30.0},
    ),
    Line(
        text='IF queue_wait_time > 30s and tier in ["pro", "enterprise"]: spin_up_overflow()  # enterprise',
        phases=[P.HOT],
        depth={"enterprise": 1},
        wait_s={"enterprise": 31.0},
        follows=[RENT],
        rule="priority.rent",
        no_longer={"enterprise": 30.0},
    ),
    Line(
        text="Overflow (queue > 20) -> GPU 2 (standby)",
        phases=[P.HOT],
        depth={"free": 21},
        follows=[RENT],
        rule="priority.second",
        no_more={"free": 20},
    ),
    Line(
        text="Overflow (queue > 20) -> GPU 2 (standby)  # it is there",
        phases=[P.HOT, P.WARM],
        depth={"free": 21},
        follows=[RESUME],
        rule="priority.second",
        no_more={"free": 10},
    ),
    Line(
        text="Queue depth | > 10 warning | > 30 critical | Scale up  # above 10",
        phases=[P.HOT, P.WARM],
        depth={"pro": 6, "free": 5},
        follows=[RESUME],
        rule="thresholds.resume",
        no_more={"pro": 5, "free": 5},
    ),
    Line(
        text="Queue wait (Pro) | > 30s | > 60s | Scale up immediately",
        phases=[P.HOT, P.HOT],
        depth={"pro": 2},
        wait_s={"pro": 61.0},
        follows=[RENT],
        rule="priority.rent",
        no_longer={"pro": 29.0},
    ),
    Line(
        text="Pro: Next in queue after enterprise, max 30s wait",
        phases=[P.HOT, P.WARM],
        depth={"pro": 1},
        wait_s={"pro": 31.0},
        follows=[RESUME],
        rule="priority.rent",
        no_longer={"pro": 30.0},
    ),
    Line(
        text="Premium: Standard queue, max 2 min wait target",
        phases=[P.HOT, P.WARM],
        depth={"premium": 3},
        wait_s={"premium": 130.0},
        follows=[RESUME],
        rule="priority.resume",
        no_longer={"premium": 119.0},
    ),
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.text)
def test_the_line_is_followed(line: Line) -> None:
    decision, commands = decided(seen(line.phases, line.depth, line.wait_s))

    assert [command.action for command in commands] == line.follows
    assert line.rule in [reason.rule for reason in decision.why]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.text)
def test_a_little_less_than_the_line_says_does_nothing_and_says_why_not(line: Line) -> None:
    view = seen(line.phases, line.no_more or line.depth, line.no_longer or line.wait_s)
    decision, commands = decided(view)

    assert [command.action for command in commands] == []
    assert decision.why_not


def test_free_waits_at_the_back_of_the_queue_and_starts_no_machine_by_its_wait() -> None:
    """Free: Back of queue, max 5 min wait, deprioritized during peaks."""
    assert done(seen([P.HOT, P.WARM], {"free": 3}, {"free": 299.0})) == []


def test_free_is_given_its_five_minutes_where_waits_are_sized_for() -> None:
    """Free: max 5 min wait. `wait_target` starts a machine before the target is missed for good."""
    assert RESUME in done(seen([P.HOT, P.WARM], {"free": 60}, {"free": 250.0}), ["wait_target"])


# --- always there -----------------------------------------------------------------------------------------------------


def test_one_hot_instance_is_always_running() -> None:
    """MVP: 1 Hot Instance Always Running."""
    assert done(seen([], {}, {})) == [RENT]
    assert done(seen([P.HOT], {}, {}, busy={"m0": 0})) == []


def test_growth_has_one_hot_and_one_warm() -> None:
    """Growth: 1 Hot + 1 Warm + Auto-scale, which is `limits: {hot: 1.., warm: 1..}`."""
    growth = strategy_pool(limits=Limits(hot=Span(1, 6), warm=Span(1, 3)))

    assert done(seen([P.HOT], {}, {}, pool=growth)) == [RENT]
    assert done(seen([P.HOT, P.WARM], {}, {}, pool=growth)) == []


def test_enterprise_has_dedicated_capacity() -> None:
    """Enterprise: Immediate, dedicated capacity, which is `reserve: 1` of its tier."""
    tiers = (Tier(name="enterprise", reserve=1), *strategy_pool().tiers[1:])

    assert decided(seen([], {}, {}, pool=strategy_pool(tiers=tiers)))[0].hot == 2


# --- scale in ---------------------------------------------------------------------------------------------------------


def lived(phases: Sequence[Phase], depth: int, minutes: int) -> list[tuple[Decision, tuple[Command, ...]]]:
    """What was decided, minute by minute, while nothing of what was decided was done."""
    states: dict[str, State] = {}
    told = []
    for minute in range(minutes + 1):
        view = seen(phases, {"free": depth}, {})
        decision, commands, states = decide(entries("thresholds"), view, states, NOW + 60.0 * minute)
        told.append((decision, commands))
    return told


def test_depth_under_3_for_30_min_stops_the_oldest_non_primary_instance() -> None:
    """IF queue_depth < 3 jobs for 30 min AND instances > 1: Stop oldest non-primary instance."""
    told = lived([P.HOT, P.HOT, P.HOT], 2, 30)

    assert all(not commands for _, commands in told[:30])
    [drain] = told[30][1]
    assert (drain.action, drain.instance) == (DRAIN, "m1")


def test_depth_of_3_stops_nothing() -> None:
    assert all(not commands for _, commands in lived([P.HOT, P.HOT], 3, 60))


def test_the_only_instance_is_never_stopped() -> None:
    """… AND instances > 1."""
    assert all(not commands for _, commands in lived([P.HOT], 0, 60))


def test_a_stopped_instance_becomes_warm() -> None:
    """Stop … → WARM: once it has drained."""
    assert done(seen([P.HOT, P.DRAINING], {}, {}, busy={"m0": 1, "m1": 0})) == [Action.STOP]


@pytest.mark.parametrize(("hours", "follows"), [(24.0, []), (24.1, [RELEASE])])
def test_warm_for_over_24_hours_is_released(hours: float, follows: list[Action]) -> None:
    """IF instance WARM for > 24 hours AND no spikes predicted: Consider releasing."""
    machines = [instance(id="hot"), instance(P.WARM, id="warm", phase_since=NOW - hours * HOUR)]

    assert done(snapshot(*machines, pool=strategy_pool(), demand=queue({}, {}, 0))) == follows


# --- overflow, money and health ---------------------------------------------------------------------------------------


def test_a_free_job_that_would_wait_over_60_s_is_refused_with_the_strategys_words() -> None:
    """IF queue_wait_time > 60s and tier == "free": return "Server busy, try again in a few minutes"."""
    told = {each.tier: each for each in admit(seen([P.HOT], {"free": 9}, {"free": 61.0}), {}, NOW)}

    assert not told["free"].accept
    assert told["free"].message == "Server busy, try again in a few minutes"
    assert told["pro"].accept


@pytest.mark.parametrize(("usd", "rule", "hot"), [(20.0, "budget.warn", None), (30.0, "budget.stop", 1)])
def test_a_day_that_costs_more_than_20_usd_warns_and_one_of_30_stops(usd: float, rule: str, hot: int | None) -> None:
    """Cost/day | > $20 | > $30 | Review, notify."""
    decision, _ = decided(seen([P.HOT, P.HOT], {"pro": 40}, {"pro": 90.0}, spent_today_usd=usd))

    assert rule in [reason.rule for reason in decision.why]
    assert hot is None or decision.hot == hot


def test_a_degraded_instance_is_replaced() -> None:
    """Instance health | Degraded | Down | Failover."""
    machines = [instance(id="well"), instance(id="sick", ailment="its worker has fallen silent")]
    view = snapshot(*machines, pool=strategy_pool(), demand=queue({}, {}, 2), busy={"well": 1, "sick": 1})

    [rent] = decided(view, {"thresholds": {"hot": 2, "quiet_since": None}})[1]
    assert rent.action is RENT


def test_a_gpu_that_is_hardly_used_is_the_one_that_goes() -> None:
    """GPU utilization | < 20% for 1hr | < 10% for 2hr | Scale down."""
    machines = [instance(id=name, created_at=NOW - HOUR + n) for n, name in enumerate(("primary", "used", "unused"))]
    machines[2] = instance(id="unused", created_at=NOW - 60.0, gpu_use=Use.IDLE)
    view = snapshot(*machines, pool=strategy_pool(), demand=queue({}, {}, 0))

    [drain] = decided(view, {"thresholds": {"hot": 3, "quiet_since": NOW - 1800.0}})[1]
    assert (drain.action, drain.instance) == (DRAIN, "unused")
