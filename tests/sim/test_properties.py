"""Conservation: whatever comes, whatever goes wrong, and whoever controls the machines."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.sim.audit import audit
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.books import Books, JobLog, PhaseRow
from autoscaler.sim.files import write_books
from autoscaler.sim.run import simulate
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.summary import document, summarize
from tests.support.scenarios import TIERS, Setting, scenario, settings_of_scenarios, with_two_pools

ROUNDED_S = 0.0011
"""Two times that were rounded to the millisecond."""


def play(setting: Setting, *, peer: str | None, two_pools: bool) -> Books:
    """The books of a simulation, of which all that holds for everybody was checked."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        made = scenario(setting, directory)
        choice = None if peer is None else (peer, BASELINES[peer].settings())
        if two_pools:
            made = with_two_pools(made, choice)
        elif choice:
            made = scenario(setting, directory, peers={"images": choice})
        books = simulate(made)
        require_audited(books, made, directory)
    for log in books.jobs.values():
        require_each_job_once(log, setting)
        require_whole_services(books, log, setting)
        if not (books.interruptions or books.killed):
            require_order(log, setting)
    assert books.failed_ticks == []
    assert books.usd() == pytest.approx(math.fsum(row.usd for row in books.phases))
    return books


def require_audited(books: Books, made: Scenario, directory: Path) -> None:
    summary = summarize(books)
    assert summary.unserved_jobs == sum(math.isnan(end) for log in books.jobs.values() for end in log.finished_s)
    write_books(books, document(made, summary, {}), directory)
    assert audit(directory) == []


def require_each_job_once(log: JobLog, setting: Setting) -> None:
    """All that came are in the log, in their order, and waited no negative time."""
    assert [TIERS[tier] for tier in log.tier] == [tier for _, tier, _, _ in setting.lines]
    assert list(log.service_s) == [service_s for _, _, service_s, _ in setting.lines]
    assert all(wait >= 0 for tier in range(len(TIERS)) for wait in log.waits_s(tier))
    assert all(math.isnan(end) or log.machine[number] >= 0 for number, end in enumerate(log.finished_s))


def require_whole_services(books: Books, log: JobLog, setting: Setting) -> None:
    """A job takes its service time; and the model's load where its machine used another last, or none since its start.

    An attempt that was cut off may have loaded a model and left no trace, so then only bounds hold.
    """
    for number, extra_s in extra_times(log):
        assert -ROUNDED_S <= extra_s <= setting.model_load_s + ROUNDED_S, number
        if not setting.lines[number][3]:
            assert extra_s <= ROUNDED_S, number
    if books.interruptions or books.killed or setting.slots > 1:
        return
    extra = dict(extra_times(log))
    for jobs in jobs_by_run(log, books.phases):
        loaded = ""
        for number in jobs:
            model = setting.lines[number][3]
            if model and number in extra:
                expected_s = setting.model_load_s if model != loaded else 0.0
                assert extra[number] == pytest.approx(expected_s, abs=ROUNDED_S), number
            loaded = model or loaded


def extra_times(log: JobLog) -> Iterator[tuple[int, float]]:
    """How much longer than its service each job that was finished took."""
    for number, end_s in enumerate(log.finished_s):
        if not math.isnan(end_s):
            yield number, end_s - log.started_s[number] - log.service_s[number]


def jobs_by_run(log: JobLog, phases: list[PhaseRow]) -> list[list[int]]:
    """The jobs of each machine from one start of it to the next, in the order in which they were started."""
    came_up: dict[str, list[float]] = defaultdict(list)
    ended: dict[str, float] = {}
    for row in phases:
        if row.phase == "hot":
            if ended.get(row.instance) != row.from_s:
                came_up[row.instance].append(row.from_s)
            ended[row.instance] = row.to_s
    runs: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number in sorted(range(len(log)), key=lambda number: (log.started_s[number], log.finished_s[number])):
        if not math.isnan(log.started_s[number]):
            name = log.machines[log.machine[number]]
            runs[name, sum(start <= log.started_s[number] for start in came_up[name])].append(number)
    return list(runs.values())


def require_order(log: JobLog, setting: Setting) -> None:
    """While a job waited, none that came later or is less urgent was started before it.

    Where no attempt was cut off, the times in the log are those of the only attempts.
    """
    for number, started_s in enumerate(log.started_s):
        for other in range(len(log)):
            waited = log.arrived_s[other] < started_s and not log.started_s[other] <= started_s
            if waited and not math.isnan(started_s):
                ranks = [(log.tier[each] if setting.order == "priority" else 0, each) for each in (number, other)]
                assert ranks[0] < ranks[1], f"{number} started at {started_s} while {other} waited"


@settings(max_examples=60)
@given(setting=settings_of_scenarios, two_pools=st.booleans())
def test_the_daemon_serves_every_job_once_and_kills_none(setting: Setting, two_pools: bool) -> None:
    books = play(setting, peer=None, two_pools=two_pools)
    assert books.killed == 0


@settings(max_examples=60)
@given(setting=settings_of_scenarios, two_pools=st.booleans(), peer=st.sampled_from(sorted(BASELINES)))
def test_a_peer_serves_every_job_once_and_kills_none_if_it_ends_idle_machines_only(
    setting: Setting, two_pools: bool, peer: str
) -> None:
    books = play(setting, peer=peer, two_pools=two_pools)
    baseline = BASELINES[peer]
    limits = next(iter(books.pools.values())).limits.hot
    if baseline.make(baseline.settings(), limits).grace_s == math.inf:
        assert books.killed == 0
