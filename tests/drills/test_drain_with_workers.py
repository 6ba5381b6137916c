"""A machine is stopped only when it is known to hold no job: real workers of a plain list, RQ and Celery, end to end.

It is marked, its worker pulls no more and finishes the job in its hand, says so, and only then is it stopped or given
back. However long the job takes, it is never cut off: a deadline that passes raises an alarm. A machine that is wanted
again meanwhile works on, and one that nobody hears of counts as busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.lifecycle import Phase
from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, Json
from tests.support.recorded_jobs import KINDS, LIST, Kind, Run
from tests.support.work_site import Site, a_site

KEYS = Keys(FLEET)
GROW, FEW = 6, 3
"""More jobs than that take another machine; fewer than that spare one."""
FILL = [f"fill-{number}" for number in range(GROW + 2)]
NEXT = [f"next-{number}" for number in range(FEW - 1)]
ONE_PRICE = {"gpu": "RTX 4090", "region": "US", "on_demand": 0.5, "spot": 0.5, "hosts": 1, "gpus_per_host": 2}
MORE = [f"more-{number}" for number in range(GROW + 2)]


def a_pool(warm: str, idle_for: str) -> Json:
    """Up to two machines, of which one is too many before long."""
    thresholds = {"resume_depth": GROW, "rent_depth": GROW, "idle_depth": FEW, "idle_for": idle_for}
    return {
        "limits": {"hot": "1..2", "warm": warm},
        "policies": [{"thresholds": thresholds}],
        "deadlines": {"draining": "30s"},
    }


class Shift:
    """Two machines with real workers, a job held on each, and a few jobs that wait."""

    def __init__(self, kind: Kind, site: Site) -> None:
        self.kind, self.site, self.crew, self.jobs = kind, site, site.crew, site.jobs

    def begin(self) -> None:
        """Work until the first machine holds a job, and the second one was rented for what waits."""
        self.jobs.send(self.kind, ["held-1"])
        self.crew.until(lambda: "held-1" in self.jobs.at_work().values(), "the first machine worked")
        self.jobs.send(self.kind, FILL, 0.0)
        self.crew.until(lambda: len(self.site.daemon.records(self.site.client)) == 2, "another machine was ordered")

    def go_on(self) -> None:
        """Give the second machine a job to hold, and leave a few waiting."""
        self.jobs.send(self.kind, ["held-2"])
        self.jobs.send(self.kind, NEXT, 0.0)

    def draining(self) -> str:
        """The machine that is marked, once its worker was told."""
        [record] = self.crew.until(lambda: self.site.records(Phase.DRAINING), "one machine too many was marked")
        assert self.site.client.exists(KEYS.drain(record.id))
        self.crew.until(lambda: "agent: draining" in self.crew.said(record.id), "its worker was told")
        return record.id

    def runs_on(self, machine: str) -> list[Run]:
        return [run for run in self.jobs.runs() if run.machine == machine]

    def until_stopped(self, machine: str) -> None:
        """Wait until the machine runs no more; no job on it was cut off then."""
        self.crew.until(lambda: not self.site.runs(machine), "it ran no more")
        assert all(run.ended for run in self.runs_on(machine)), "its job was cut off"

    def end(self) -> None:
        """Release what is held; every job has then run to its end, exactly once."""
        for job in self.jobs.at_work().values():
            self.jobs.release(job)
        self.crew.until(self.jobs.all_done, "all jobs were done")
        assert self.jobs.repeated() == {}, "each began once"


StartShift = Callable[..., Shift]


@pytest.fixture
def start_site(redis_url: str, tmp_path: Path) -> Iterator[StartShift]:
    """Starts a daemon and real workers for a kind of queue."""
    with ExitStack() as running:

        def start(kind: Kind, warm: str = "0..1", idle_for: str = "20s", **market: Any) -> Shift:
            pools = {kind.name: a_pool(warm, idle_for)}
            return Shift(kind, running.enter_context(a_site(tmp_path, redis_url, pools, market=market)))

        yield start


@pytest.fixture
def start_shift(start_site: StartShift) -> StartShift:
    """Starts a shift of a kind of queue: two machines with a job on each."""

    def start(kind: Kind, warm: str = "0..1") -> Shift:
        shift = start_site(kind, warm)
        shift.begin()
        shift.go_on()
        shift.crew.until(lambda: "held-2" in shift.jobs.at_work().values(), "the second machine worked")
        return shift

    return start


@pytest.mark.parametrize(
    ("kind", "warm", "becomes"),
    [("list", "0..1", "stopped"), ("rq", "0..1", "stopped"), ("celery", "0..1", "stopped"), ("list", "0..0", "gone")],
)
def test_a_drained_machine_has_finished_its_job_however_late_and_pulled_no_other(
    kind: str, warm: str, becomes: str, start_shift: StartShift
) -> None:
    shift = start_shift(KINDS[kind], warm)
    machine = shift.draining()
    before = shift.runs_on(machine)
    held = shift.jobs.at_work()[machine]

    shift.crew.until(lambda: shift.site.journal("alarm"), "its deadline passed")
    [alarm] = shift.site.journal("alarm")
    assert alarm["text"].startswith(f"{machine} still draining after 30s")
    shift.site.live(30.0)
    assert shift.site.runs(machine)
    assert shift.jobs.at_work()[machine] == held

    shift.jobs.release(held)
    shift.until_stopped(machine)
    assert (shift.crew.machine(machine) is None) == (becomes == "gone")
    assert [run.job for run in shift.runs_on(machine)] == [run.job for run in before], (
        "it pulled nothing after the mark"
    )
    assert not {run.job for run in shift.jobs.runs()} & set(NEXT), "what waits is the other machine's"
    shift.end()


@pytest.mark.parametrize("kind", KINDS)
def test_a_machine_that_is_wanted_again_while_it_drains_pulls_jobs_again(kind: str, start_shift: StartShift) -> None:
    shift = start_shift(KINDS[kind])
    machine = shift.draining()
    shift.jobs.send(shift.kind, MORE, 0.0)
    shift.crew.until(lambda: not shift.site.client.exists(KEYS.drain(machine)), "its mark was taken back")
    shift.jobs.release(shift.jobs.at_work()[machine])
    shift.crew.until(
        lambda: {*NEXT, *MORE} <= {run.job for run in shift.runs_on(machine)}, "its worker served what waited"
    )
    shift.end()


def test_a_machine_that_nobody_hears_of_while_it_drains_counts_as_busy(start_shift: StartShift) -> None:
    shift = start_shift(LIST)
    machine = shift.draining()
    held = shift.jobs.at_work()[machine]
    shift.crew.freeze(machine)
    shift.site.live(90.0)
    assert shift.site.runs(machine)
    assert shift.jobs.at_work()[machine] == held
    shift.jobs.release(held)
    shift.crew.until(lambda: machine not in shift.jobs.at_work(), "its job was done")
    shift.site.live(30.0)
    assert shift.site.runs(machine), "nobody has said so"
    shift.crew.thaw(machine)
    shift.until_stopped(machine)
    shift.end()


def test_a_worker_that_may_still_pull_is_waited_for_though_no_job_shows(start_site: StartShift) -> None:
    """The agent sees the jobs of a list as files; this one was pulled, and its file is not there yet.

    Of two machines at one price the older one stays, so the other one is drained.
    """
    shift = start_site(LIST, idle_for="60s", stock=[ONE_PRICE])
    shift.begin()
    shift.crew.until(lambda: len(shift.jobs.runs()) == 1 + len(FILL), "the second machine had nothing left to do")
    shift.site.client.set("slow-hands", "1")
    shift.go_on()
    shift.crew.until(lambda: shift.site.client.llen("list-jobs") == len(NEXT), "its worker pulled a job")
    machine = shift.draining()
    shift.site.live(30.0)
    assert shift.site.runs(machine)
    shift.site.client.delete("slow-hands")
    shift.crew.until(lambda: shift.jobs.at_work().get(machine) == "held-2", "it came to the job")
    shift.jobs.release("held-2")
    shift.until_stopped(machine)
    shift.end()
