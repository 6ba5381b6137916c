"""Many simulations side by side, and the search for settings."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import Limits, Placement
from autoscaler.core.units import Span
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.compare import Candidate, ablated, peer_candidates, play_all, policy_candidates, summary_of, tuned
from autoscaler.sim.report.trial import Trial
from autoscaler.sim.scenario import PoolScenario, Scenario
from autoscaler.sim.tune import tune
from policies import POLICIES
from policies.thresholds import Thresholds
from tests.support.build import pool
from tests.support.market import CALM


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    """Half an hour of jobs for a pool whose machines take half an hour to come up."""
    rng = random.Random(3)
    arrivals = sorted(rng.uniform(0.0, 1800.0) for _ in range(60))
    trace = tmp_path / "jobs.csv"
    trace.write_text("t_s,service_s\n" + "".join(f"{at:.1f},60\n" for at in arrivals), encoding="utf-8")
    spec = pool(placements=(Placement(provider="mock", max_usd_per_hour=1.0),), limits=Limits(hot=Span(1, 3)))
    each = PoolScenario(pool=spec, policies=(("thresholds", Thresholds()),), trace=trace)
    return Scenario(fleet="acme", pools=(each,), providers={"mock": CALM}, tick_s=60.0)


def trial(name: str, usd: float, attainment: float) -> Trial:
    tiers = {"pro": attainment, "free": 1.0}
    return Trial(kind="peer", name=name, title=name, usd=usd, attainment=1.0, attainment_by_tier=tiers)


def test_of_each_candidate_the_cheapest_setting_that_serves_well_enough_is_shown() -> None:
    settings = [trial("a", 9.0, 0.99), trial("a", 5.0, 0.96), trial("a", 1.0, 0.5)]

    [best] = tuned(settings, 0.95)

    assert best.usd == 5.0


def test_what_never_serves_well_enough_is_shown_at_its_nearest_and_last() -> None:
    settings = [trial("bad", 1.0, 0.5), trial("bad", 3.0, 0.7), trial("good", 20.0, 0.95)]

    assert [(each.name, each.usd) for each in tuned(settings, 0.95)] == [("good", 20.0), ("bad", 3.0)]


def test_a_policy_and_a_peer_are_tried_with_each_value_of_their_main_setting(scenario: Scenario) -> None:
    ours = list(policy_candidates(scenario, ["thresholds"]))
    theirs = list(peer_candidates(scenario, ["static"]))

    knob, values = next(iter(POLICIES["thresholds"].search.items()))
    assert [each.setting for each in ours] == [f"{knob}={value:g}" for value in values]
    assert [each.setting for each in theirs] == [f"n={value}" for value in BASELINES["static"].grid]
    assert all(each.scenario.peers for each in theirs)
    assert not any(each.scenario.peers for each in ours)


def test_each_policy_is_left_out_in_its_turn_and_the_last_one_of_a_pool_never(scenario: Scenario) -> None:
    def chosen(*names: str) -> Candidate:
        policies = tuple((name, POLICIES[name].settings()) for name in names)
        pools = tuple(replace(each, policies=policies) for each in scenario.pools)
        return Candidate(kind="policy", name="own", title="own", scenario=replace(scenario, pools=pools))

    several = list(ablated(chosen("wait_target", "retention", "forecast")))

    assert [each.name for each in several] == [
        "own without wait_target",
        "own without retention",
        "own without forecast",
    ]
    assert [name for name, _ in several[1].scenario.pools[0].policies] == ["wait_target", "forecast"]
    assert list(ablated(chosen("thresholds"))) == []


def test_other_processes_find_the_same_as_this_one(scenario: Scenario) -> None:
    candidates = list(peer_candidates(scenario, ["delayed-off"]))[:3]
    done: list[int] = []

    apart = play_all(candidates, processes=2, done=lambda count: done.append(int(count)))

    assert apart == play_all(candidates, processes=1, done=lambda _: None)
    assert done == [1, 2, 3]


def test_what_is_wrong_with_a_trace_is_told_from_another_process_too(scenario: Scenario, tmp_path: Path) -> None:
    trace = tmp_path / "bad.csv"
    trace.write_text("t_s,service_s\n5,1\nsoon,1\n", encoding="utf-8")
    bad = replace(scenario, pools=(replace(scenario.pools[0], trace=trace),))

    with pytest.raises(SettingsError, match="line 3"):
        play_all(list(peer_candidates(bad, ["static"])), processes=2, done=lambda _: None)


def test_a_search_begins_with_the_present_settings_and_never_ends_worse(scenario: Scenario) -> None:
    present = summary_of(scenario)

    ranked = tune(scenario, attainment=0.5, trials=6, processes=2, study="test", storage=None, done=lambda _: None)

    assert len(ranked) == 6
    assert any(each.scenario == scenario for each in ranked)
    assert ranked[0].worst_attainment >= min(0.5, present.worst_attainment)
    if present.worst_attainment >= 0.5:
        assert ranked[0].usd <= present.usd


def test_the_same_seed_searches_the_same(scenario: Scenario) -> None:
    def search() -> list[float]:
        found = tune(scenario, attainment=0.5, trials=4, processes=2, study="test", storage=None, done=lambda _: None)
        return [each.usd for each in found]

    assert search() == search()


def test_those_who_share_a_storage_search_together(scenario: Scenario, redis_url: str) -> None:
    found = [
        tune(scenario, attainment=0.5, trials=2, processes=1, study="test", storage=redis_url, done=lambda _: None)
        for _ in range(2)
    ]

    assert [len(ranked) for ranked in found] == [2, 4]


def test_a_storage_that_does_not_answer_is_bad_input(scenario: Scenario) -> None:
    with pytest.raises(SettingsError, match="--storage cannot be used"):
        tune(
            scenario,
            attainment=0.5,
            trials=1,
            processes=1,
            study="test",
            storage="redis://:secret@127.0.0.1:1/0",
            done=lambda _: None,
        )
