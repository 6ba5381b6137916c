"""All policies at once, through guards and plan: what must hold whatever they want."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Command, Decision
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Limits, Tier
from autoscaler.core.units import Span
from autoscaler.runtime.decide import decide
from policies import POLICIES, RECOMMENDED, combine
from policies.base import State
from policies.schedule import Schedule
from policies.windows import Window
from tests.support.build import NOW, instance, offer, pool, snapshot

P = Phase
TIERS = (
    Tier(name="pro", wait_target=30.0),
    Tier(name="premium", wait_target=120.0),
    Tier(name="free", wait_target=300.0),
)
FLOOR, CEILING = 1, 6
POOL = pool(tiers=TIERS, limits=Limits(hot=Span(FLOOR, CEILING), warm=Span(0, 3)))
OFFICE = Schedule(windows=(Window(cron="0 8 * * *", lasts=36000.0, floor=2, ceiling=5, spare=1, standby=1),))

CHOICES: Mapping[str, Any] = {
    **{name: POLICIES[name].settings() for name in (*RECOMMENDED, "thresholds", "priority")},
    "schedule": OFFICE,
}
NAMES = st.lists(st.sampled_from(sorted(CHOICES)), min_size=1, unique=True)
QUEUES = st.fixed_dictionaries({t.name: st.tuples(st.integers(0, 300), st.floats(1.0, 3600.0)) for t in TIERS})
FLEETS = st.lists(st.sampled_from([P.HOT, P.WARM, P.BOOTING, P.DRAINING, P.STOPPING]), max_size=8)
Queue = dict[str, tuple[int, float]]


def entries(names: list[str]) -> list[combine.Entry]:
    return [(name, POLICIES[name], CHOICES[name]) for name in names]


def seen(queue: Queue, fleet: list[Phase], **changes: Any) -> PoolSnapshot:
    machines = [
        instance(phase, id=f"i{n}", created_at=NOW - 999 + n, ordered_at=NOW, usd_per_hour=1.0)
        for n, phase in enumerate(fleet)
    ]
    tiers = tuple(
        TierDemand(tier=name, waiting=waiting, oldest_wait_s=age_s if waiting else None)
        for name, (waiting, age_s) in queue.items()
    )
    in_flight = sum(phase is P.HOT for phase in fleet) if any(waiting for waiting, _ in queue.values()) else 0
    values: dict[str, Any] = {
        "pool": POOL,
        "demand": Demand(taken_at=NOW, tiers=tiers, in_flight=in_flight),
        "offers": {"mock-on-demand": tuple(offer(offer_id=f"o-{n}", host=f"h-{n}") for n in range(9))},
    }
    return snapshot(*machines, **(values | changes))


def first(names: list[str], view: PoolSnapshot) -> tuple[Decision, tuple[Command, ...]]:
    decision, commands, _ = decide(entries(names), view, {}, NOW)
    return decision, commands


def started(commands: tuple[Command, ...]) -> int:
    return sum(command.action in (Action.RENT, Action.RESUME, Action.UNDRAIN) for command in commands)


@settings(max_examples=50)
@given(names=NAMES, queue=QUEUES, fleet=FLEETS)
def test_never_below_the_floor_and_never_above_the_ceiling(names: list[str], queue: Queue, fleet: list[Phase]) -> None:
    decision, commands = first(names, view := seen(queue, fleet))

    assert FLOOR <= decision.hot <= CEILING
    assert view.up + started(commands) <= max(CEILING, view.up)


@settings(max_examples=50)
@given(names=NAMES, queue=QUEUES, fleet=FLEETS, spent=st.floats(0.0, 40.0))
def test_never_above_the_budget(names: list[str], queue: Queue, fleet: list[Phase], spent: float) -> None:
    limits = Limits(hot=Span(FLOOR, CEILING), warm=Span(0, 3), usd_per_day=Cap(warn=20.0, stop=30.0))
    view = seen(queue, fleet, pool=pool(tiers=TIERS, limits=limits), spent_today_usd=spent, day_left_s=8 * 3600.0)
    decision, _ = first(names, view)
    for_the_floor = FLOOR * 1.0 * 8.0
    above_the_floor = max(0, decision.hot - FLOOR)

    assert above_the_floor == 0 or spent + for_the_floor + above_the_floor <= 30.0


@settings(max_examples=50)
@given(names=NAMES, fleet=FLEETS)
def test_never_down_on_unknown(names: list[str], fleet: list[Phase]) -> None:
    # Machines above a person's ceiling go all the same; there is none above the limits here.
    view = seen({}, fleet[:4], demand=Unknown("no answer", NOW))
    _, commands = first([name for name in names if name != "schedule"] or ["wait_target"], view)

    assert not [c for c in commands if c.action in (Action.DRAIN, Action.STOP, Action.RELEASE)]


@settings(max_examples=50)
@given(names=NAMES, queue=QUEUES, fleet=FLEETS, tier=st.sampled_from([t.name for t in TIERS]), more=st.integers(1, 99))
def test_more_waiting_never_means_fewer_machines(
    names: list[str], queue: Queue, fleet: list[Phase], tier: str, more: int
) -> None:
    waiting, age_s = queue[tier]
    longer = queue | {tier: (waiting + more, age_s)}

    assert first(names, seen(longer, fleet))[0].hot >= first(names, seen(queue, fleet))[0].hot


@settings(max_examples=50)
@given(names=NAMES, queue=QUEUES, fleet=FLEETS)
def test_it_is_deterministic_and_leaves_its_input_alone(names: list[str], queue: Queue, fleet: list[Phase]) -> None:
    chosen, view = entries(names), seen(queue, fleet)
    states: dict[str, State] = decide(chosen, seen(queue, []), {}, NOW - 10)[2]
    before = copy.deepcopy(states)

    assert decide(chosen, view, states, NOW) == decide(chosen, view, states, NOW)
    assert states == before


@settings(max_examples=50)
@given(names=NAMES, queue=QUEUES, fleet=FLEETS, other=st.sampled_from(sorted({*CHOICES} - {"schedule"})))
def test_one_policy_more_never_makes_service_less_safe(
    names: list[str], queue: Queue, fleet: list[Phase], other: str
) -> None:
    fewer, more = (first(chosen, seen(queue, fleet))[0] for chosen in (names, [*names, other]))

    assert other in names or more.hot >= fewer.hot


@settings(max_examples=15)
@given(names=NAMES, queue=QUEUES, fleet=FLEETS)
def test_under_constant_demand_nothing_oscillates(names: list[str], queue: Queue, fleet: list[Phase]) -> None:
    view, wishes = seen(queue, fleet), []
    states: dict[str, State] = {}
    for tick in range(200):
        decision, _, states = decide(entries(names), view, states, NOW + 60 * tick)
        wishes.append(decision.hot)
    turns = [later - earlier for earlier, later in itertools.pairwise(wishes) if later != earlier]
    changes_of_direction = sum((a > 0) != (b > 0) for a, b in itertools.pairwise(turns))

    # A schedule that opens and closes, and what was held before the first tick, may each turn it once.
    assert changes_of_direction <= 3
