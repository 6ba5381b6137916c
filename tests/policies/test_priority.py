"""The priority rules: how long a tier waits, what that orders, and when it is let go."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Decision
from autoscaler.core.demand import TierDemand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Tier
from policies.base import State
from policies.priority import POLICY, Priority, decide
from tests.support.build import NOW, demand, instance, pool, snapshot

P = Phase
SETTINGS = Priority()
TIERS = ("enterprise", "pro", "premium", "free")
Waits = dict[str, tuple[int, float | None]]


def fleet(*phases: Phase) -> list[Instance]:
    return [instance(phase, id=f"i{n}", created_at=NOW - 100 + n) for n, phase in enumerate(phases)]


def seen(waits: Waits, *phases: Phase, **changes: Any) -> PoolSnapshot:
    """A pool whose tiers have so many jobs waiting, the oldest for so many seconds."""
    tiers = [
        TierDemand(tier=name, waiting=waits.get(name, (0, None))[0], oldest_wait_s=waits.get(name, (0, None))[1])
        for name in TIERS
    ]
    names = tuple(Tier(name=name) for name in TIERS)
    return snapshot(*fleet(*phases), **({"pool": pool(tiers=names), "demand": demand(tiers=tuple(tiers))} | changes))


def first(waits: Waits, *phases: Phase, state: State | None = None, **changes: Any) -> Decision:
    return decide(seen(waits, *phases, **changes), state or {}, NOW, SETTINGS)[0]


def said(decision: Decision, rule: str) -> list[str]:
    return [reason.text for reason in (*decision.why, *decision.why_not) if reason.rule == rule]


@pytest.mark.parametrize(("wait_s", "hot"), [(120.0, 0), (121.0, 2)])
def test_premium_waiting_for_over_120_s_resumes_a_standby(wait_s: float, hot: int) -> None:
    assert first({"premium": (1, wait_s)}, P.HOT, P.WARM).hot == hot


def test_premium_rents_nothing_and_says_that_no_machine_is_stopped() -> None:
    decision = first({"premium": (1, 150.0)}, P.HOT)

    assert decision.hot == 0
    assert said(decision, "priority.resume") == [
        "a premium job waits for 2m 30s, more than 2m, but no machine is stopped"
    ]


@pytest.mark.parametrize("tier", ["pro", "enterprise"])
@pytest.mark.parametrize(("wait_s", "hot"), [(30.0, 0), (31.0, 2)])
def test_pro_or_enterprise_waiting_for_over_30_s_has_a_machine_more(tier: str, wait_s: float, hot: int) -> None:
    assert first({tier: (1, wait_s)}, P.HOT).hot == hot
    assert first({tier: (1, wait_s)}, P.HOT, P.WARM).hot == hot


def test_free_jobs_may_wait_for_ever() -> None:
    assert first({"free": (9, 9999.0)}, P.HOT, P.WARM).hot == 0


@pytest.mark.parametrize(("waiting", "hot"), [(20, 0), (21, 2)])
def test_more_than_20_jobs_have_a_second_machine(waiting: int, hot: int) -> None:
    assert first({"free": (waiting, 1.0)}, P.HOT).hot == hot


@pytest.mark.parametrize("coming", [P.PLANNED, P.RENTING, P.BOOTING, P.RESUMING])
def test_one_overflow_at_a_time_until_it_is_up(coming: Phase) -> None:
    decision = first({"pro": (5, 600.0), "premium": (5, 600.0)}, P.HOT, P.HOT, coming, P.WARM)

    assert decision.hot == 3
    assert "1 on the way, no further one before it is up" in said(decision, "priority.rent")[0]


def test_the_next_overflow_follows_once_the_last_is_up() -> None:
    _, state = decide(seen({"pro": (5, 40.0)}, P.HOT), {}, NOW, SETTINGS)

    assert first({"pro": (5, 40.0)}, P.HOT, P.HOT, state=state).hot == 3


def test_what_is_not_triggered_says_how_far_it_is() -> None:
    decision = first({"pro": (1, 12.0)}, P.HOT)

    assert said(decision, "priority.rent") == [
        "no enterprise job waits; it takes one that waits more than 30s",
        "a pro job waits for 12s; it takes more than 30s",
        "1 jobs wait; for a second machine it takes more than 20",
    ]
    assert said(decision, "priority.resume") == ["no premium job waits; it takes one that waits more than 2m"]


def run(views: list[PoolSnapshot], every_s: float = 10.0, state: State | None = None) -> list[int]:
    wanted, state = [], state or {}
    for n, view in enumerate(views):
        decision, state = decide(view, state, NOW + n * every_s, SETTINGS)
        wanted.append(decision.hot)
    return wanted


def test_a_machine_more_stays_until_no_job_needed_it_for_30_minutes() -> None:
    late = seen({"pro": (5, 31.0)}, P.HOT, P.HOT)
    idle = seen({}, P.HOT, P.HOT, P.HOT)

    wanted = run([late] + [idle] * 200)

    assert wanted[:181] == [3] * 181
    assert wanted[181:] == [0] * 20


def test_a_machine_with_a_job_or_of_which_nothing_is_known_is_not_let_go() -> None:
    late = seen({"pro": (5, 31.0)}, P.HOT, P.HOT)
    busy = seen({}, P.HOT, P.HOT, P.HOT, busy={"i0": 1, "i1": 0})

    assert run([late] + [busy] * 200)[-1] == 2


def test_machines_at_work_are_wanted_only_as_far_as_a_rule_asked_for_them() -> None:
    assert run([seen({}, P.HOT, P.HOT, P.HOT, busy={})] * 3) == [0, 0, 0]


def test_a_boot_longer_than_30_minutes_does_not_end_the_wish_for_it() -> None:
    late, coming = seen({"pro": (5, 31.0)}, P.HOT), seen({}, P.HOT, P.BOOTING, busy={"i0": 1})

    assert run([late] + [coming] * 400)[-1] == 2


def test_an_unknown_queue_starts_nothing_and_what_was_wished_for_is_remembered() -> None:
    late, again = seen({"pro": (5, 31.0)}, P.HOT, P.HOT), seen({}, P.HOT, busy={"i0": 1})
    blind = seen({}, P.HOT, demand=Unknown("timeout", NOW))

    wishes = run([late] + [blind] * 400 + [again])

    assert (wishes[0], set(wishes[1:-1]), wishes[-1]) == (3, {1}, 3)


def test_a_wait_that_nobody_knows_holds_and_says_so() -> None:
    late, unknown = seen({"pro": (5, 31.0)}, P.HOT, P.HOT), seen({"pro": (5, None)}, P.HOT, P.HOT, P.HOT)

    assert set(run([late] + [unknown] * 400)) == {3}
    decision = first({"pro": (5, None)}, P.HOT)
    assert decision.hot == 0
    assert said(decision, "priority.unknown") == [
        "5 pro jobs wait, nobody knows for how long; it takes more than 30s: hold"
    ]


depths = st.fixed_dictionaries(
    {name: st.tuples(st.integers(1, 40), st.floats(0, 300)) | st.just((0, None)) for name in TIERS}
)
fleets = st.lists(st.sampled_from([P.HOT, P.WARM, P.BOOTING, P.DRAINING, P.RESUMING]), max_size=6)
states = st.builds(
    lambda value, lower: {"value": value, "lower_since": NOW if lower else None, "highest": min(value, 1)},
    st.integers(0, 5),
    st.booleans(),
)


@given(depths, fleets, states, st.floats(0, 600), st.integers(0, 30))
def test_longer_waits_and_more_jobs_never_mean_fewer_machines(
    waits: Waits, phases: list[Phase], state: State, more_s: float, more: int
) -> None:
    longer: Waits = {
        n: (jobs + more, wait + more_s) if wait is not None else (0, None) for n, (jobs, wait) in waits.items()
    }

    assert first(waits, *phases, state=state).hot <= first(longer, *phases, state=state).hot


@given(depths, fleets, states)
def test_the_same_input_gives_the_same_decision_with_a_reason_and_is_left_alone(
    waits: Waits, phases: list[Phase], state: State
) -> None:
    before, view = dict(state), seen(waits, *phases)

    decision, after = decide(view, state, NOW, SETTINGS)

    assert (decision, after) == decide(view, state, NOW, SETTINGS)
    assert state == before
    assert decision.why or decision.why_not


@given(depths, st.integers(1, 6))
def test_constant_waits_never_make_the_wish_swing(waits: Waits, most: int) -> None:
    state: State = {}
    machines, wanted = 1, []
    for n in range(500):
        view = seen(waits, *[P.HOT] * machines, busy={})
        decision, state = decide(view, state, NOW + n * 60.0, SETTINGS)
        wanted.append(min(decision.hot, most))
        machines = max(1, wanted[-1])

    assert all(after >= before for before, after in pairwise(wanted))


def wrong(**changes: Any) -> list[tuple[str, str]]:
    tiers = (Tier(name="pro"), Tier(name="free"))
    found = POLICY.check(Priority(**changes), pool(tiers=tiers))
    return [(".".join(map(str, where)), text) for where, text in found]


def test_tiers_that_the_pool_does_not_have_are_a_mistake_only_where_they_were_written() -> None:
    assert wrong() == []
    assert wrong(rent_above={"gold": 30.0}) == [("rent_above.gold", "this pool has no such tier; its tiers: pro, free")]


def test_all_mistakes_are_found_together() -> None:
    found = wrong(
        resume_above={"premium": 60.0, "pro": 40.0}, rent_above={"pro": 30.0}, second_machine_above=-1, idle_for=0.0
    )

    assert [where for where, _ in found] == [
        "resume_above.premium",
        "resume_above.pro",
        "second_machine_above",
        "idle_for",
    ]
    assert "rent_above (30s) comes first" in found[1][1]
