"""Many simulations side by side: configurations and the autoscalers of others, each tuned over its main setting."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Literal

from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.least import least_cost
from autoscaler.sim.report.trial import Trial, trial_of
from autoscaler.sim.run import simulate
from autoscaler.sim.scenario import PolicyChoice, Scenario
from autoscaler.sim.summary import Summary, summarize
from policies import POLICIES


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One thing to simulate."""

    kind: Literal["policy", "peer"]
    name: str
    title: str
    setting: str = ""
    """Of the setting that is tried over a grid: `list_length=5`."""
    scenario: Scenario


def policy_candidates(scenario: Scenario, names: Iterable[str]) -> Iterator[Candidate]:
    """Each of these policies alone, with its defaults, but for its main setting, which takes all values of its grid."""
    for name in names:
        policy = POLICIES[name]
        knob, grid = next(iter(policy.search.items()))
        for value in grid:
            settings = replace(policy.settings(), **{knob: value})
            pools = tuple(replace(each, policies=((name, settings),)) for each in scenario.pools)
            yield Candidate(
                kind="policy",
                name=name,
                title=f"the policy {name}",
                setting=f"{knob}={value:g}",
                scenario=replace(scenario, pools=pools),
            )


def ablated(candidate: Candidate) -> Iterator[Candidate]:
    """The candidate without each one of its policies; a pool that has no other keeps it."""
    scenario = candidate.scenario
    for left_out in dict.fromkeys(name for each in scenario.pools for name, _ in each.policies):
        pools = tuple(replace(each, policies=_without(each.policies, left_out)) for each in scenario.pools)
        if pools != scenario.pools:
            yield replace(
                candidate,
                name=f"{candidate.name} without {left_out}",
                title=f"{candidate.title} without {left_out}",
                scenario=replace(scenario, pools=pools),
            )


def _without(policies: tuple[PolicyChoice, ...], left_out: str) -> tuple[PolicyChoice, ...]:
    return tuple(choice for choice in policies if choice[0] != left_out) or policies


def peer_candidates(scenario: Scenario, names: Iterable[str]) -> Iterator[Candidate]:
    """Each of these peers with its own defaults, but for its main setting, which takes all values of its grid."""
    for name in names:
        baseline = BASELINES[name]
        for value in baseline.grid:
            settings = replace(baseline.settings(), **{baseline.knob: value})
            yield Candidate(
                kind="peer",
                name=name,
                title=baseline.title,
                setting=f"{baseline.knob}={value:g}",
                scenario=replace(scenario, peers={each.pool.name: (name, settings) for each in scenario.pools}),
            )


def play_all(candidates: Sequence[Candidate], *, processes: int, done: Callable[[int], None]) -> list[Trial]:
    """Simulate all candidates, so many at a time; `done` is told how many are.

    Raises:
        SettingsError: a trace is faulty or does not fit its pool.
    """
    summaries: dict[int, Summary] = {}
    if processes == 1:
        for number, candidate in enumerate(candidates):
            summaries[number] = summary_of(candidate.scenario)
            done(len(summaries))
    else:
        # Fresh processes: a fork would copy the locks of whatever threads the caller has.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
            futures = {pool.submit(summary_of, each.scenario): number for number, each in enumerate(candidates)}
            try:
                for future in as_completed(futures):
                    summaries[futures[future]] = future.result()
                    done(len(summaries))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [
        trial_of(summaries[number], kind=each.kind, name=each.name, title=each.title, setting=each.setting)
        for number, each in enumerate(candidates)
    ]


def summary_of(scenario: Scenario) -> Summary:
    """The figures of a scenario, for another process."""
    return summarize(simulate(scenario))


def least_trial(
    scenario: Scenario,
    trials: Sequence[Trial],
    attainment: float,
    *,
    processes: int,
    done: Callable[[float], None],
) -> Trial:
    """The least that any autoscaler could have paid to serve every tier at this attainment, as a trial among others.

    It is that until the end of the shortest simulation that served all jobs: who took longer paid for longer.

    Raises:
        SettingsError: numpy and scipy are not installed.
    """
    ends_s = [trial.simulated_s for trial in trials if not trial.unserved]
    horizon_s = min(ends_s, default=max(trial.simulated_s for trial in trials))
    least = least_cost(scenario, attainment=attainment, horizon_s=horizon_s, processes=processes, done=done)
    return Trial(
        kind="bound",
        name="clairvoyant",
        title=f"the least possible, by a mixed-integer programme; the best plan found costs {least.gap:.1%} more",
        setting=f"gap {least.gap:.1%}",
        usd=least.usd,
        attainment=attainment,
        attainment_by_tier=dict.fromkeys(trials[0].attainment_by_tier, attainment),
        simulated_s=horizon_s,
    )


def tuned(trials: Iterable[Trial], attainment: float) -> list[Trial]:
    """Of each name the setting that serves every tier at this attainment for the least cost, cheapest first.

    Those that reach it with no setting follow, each with the setting that comes nearest, the nearest first.
    """
    by_name: dict[str, list[Trial]] = {}
    for trial in trials:
        by_name.setdefault(trial.name, []).append(trial)
    best = [min(settings, key=lambda trial: _rank(trial, attainment)) for settings in by_name.values()]
    return sorted(best, key=lambda trial: _rank(trial, attainment))


def _rank(trial: Trial, attainment: float) -> tuple[float, float]:
    return max(0.0, attainment - trial.worst_attainment), trial.usd
