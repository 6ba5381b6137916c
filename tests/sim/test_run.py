"""How long a simulation goes on, and what it tells meanwhile."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import Limits
from autoscaler.core.units import Span
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.run import simulate
from autoscaler.sim.scenario import Scenario
from tests.support.scenarios import Line, Setting, scenario, with_two_pools

HOUR = 3600.0


def made(directory: Path, *lines: Line, spot: bool = False) -> Scenario:
    setting = Setting(lines=list(lines), order="priority", model_load_s=0.0, slots=1, spot=spot, faults={}, seed=1)
    return scenario(setting, directory)


def with_machines(it: Scenario, low: int, high: int) -> Scenario:
    """With so many HOT machines at least and at most, and none that is stopped and kept."""
    [only] = it.pools
    limits = Limits(hot=Span(low, high), warm=Span(0, 0))
    return replace(it, pools=(replace(only, pool=replace(only.pool, limits=limits)),))


def test_it_ends_with_the_first_full_hour_after_the_last_job_is_done(tmp_path: Path) -> None:
    assert simulate(made(tmp_path, (60, "pro", 45, ""))).until_s == HOUR
    assert simulate(made(tmp_path, (60, "pro", 45, ""), (7100, "pro", 300, ""))).until_s == 3 * HOUR


def test_a_job_that_is_done_after_the_last_look_of_an_hour_is_seen_at_its_end(tmp_path: Path) -> None:
    it = with_machines(made(tmp_path, (3400, "pro", 45, "")), 1, 1)
    assert simulate(replace(it, tick_s=420.0)).until_s == HOUR


def test_a_machine_that_is_no_longer_needed_is_drained_and_given_back(tmp_path: Path) -> None:
    it = with_machines(made(tmp_path, *[(1, "pro", 300, "")] * 40, *[(300, "pro", 20, "")] * 60), 1, 4)
    ends = {row.instance: row.to_s for row in simulate(it).phases}
    assert len(ends) > 1
    assert sorted(ends.values())[-2] < 4 * HOUR, "while jobs still came"


def test_without_jobs_it_lasts_an_hour(tmp_path: Path) -> None:
    assert simulate(made(tmp_path)).until_s == HOUR


def test_jobs_that_nobody_serves_are_given_up_a_day_after_the_last_came(tmp_path: Path) -> None:
    books = simulate(with_machines(made(tmp_path, (60, "pro", 45, ""), (1800, "free", 45, "")), 0, 0))
    assert books.until_s == 25 * HOUR
    assert books.unserved() == 2
    assert all(math.isnan(started) for started in books.jobs["images"].started_s)
    assert books.usd() == 0.0


def test_progress_is_told_each_hour(tmp_path: Path) -> None:
    told: list[float] = []
    simulate(made(tmp_path, (60, "pro", 45, ""), (7200, "pro", 45, "")), progress=told.append)
    assert told == [HOUR, 2 * HOUR, 3 * HOUR]


def test_the_daemon_ticks_and_explains_itself_and_a_peer_does_neither(tmp_path: Path) -> None:
    it = made(tmp_path, (60, "pro", 45, ""))
    daemon = simulate(it)
    assert daemon.ticks == HOUR / it.tick_s + 1
    assert {"rent"} <= {entry.action for entry in daemon.entries}
    peer = simulate(replace(it, peers={"images": ("static", BASELINES["static"].settings())}))
    assert (peer.ticks, peer.entries, peer.unserved()) == (0, [], 0)


def test_a_daemon_that_ticks_once_in_five_minutes_acts_on_each_tick(tmp_path: Path) -> None:
    books = simulate(replace(made(tmp_path, *[(60, "pro", 45, "")] * 60), tick_s=300.0))
    assert books.failed_ticks == []
    assert books.unserved() == 0


@pytest.mark.parametrize("peer", sorted(BASELINES))
def test_a_peer_bears_a_pool_to_which_no_jobs_come(peer: str, tmp_path: Path) -> None:
    it = made(tmp_path)
    books = simulate(replace(it, peers={"images": (peer, BASELINES[peer].settings())}))
    assert books.until_s == HOUR


def test_machines_of_two_pools_of_a_peer_have_names_of_their_own(tmp_path: Path) -> None:
    it = with_two_pools(made(tmp_path, (60, "pro", 45, "")), ("static", BASELINES["static"].settings()))
    books = simulate(it)
    [images], [speech] = (log.machines for log in books.jobs.values())
    assert images != speech


def test_a_faulty_trace_is_told(tmp_path: Path) -> None:
    it = made(tmp_path)
    (tmp_path / "trace.csv").write_text("t_s,tier,service_s\n1,gold,5\n")
    with pytest.raises(SettingsError, match="gold"):
        it.surveys()
