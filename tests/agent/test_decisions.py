"""What the agent says and does, on a clock of the test's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler import deadman
from autoscaler.agent import BEAT_S
from autoscaler.duty import AGAIN_S, CRASHES, LONGEST_PAUSE_S, SETTLE_S, STEADY_S, Act, Duty, Look
from autoscaler.runtime import inside
from autoscaler.store.codec import decode_heartbeat


class Machine:
    """A worker and a drain mark, and the agent's turns over them."""

    def __init__(self, *, slots: int = 1, ends: bool = True, runs: bool = True) -> None:
        self.now = 5_000.0
        self.log: list[str] = []
        self.duty = Duty(slots, ends=ends, say=self.log.append)
        self.runs_one = runs
        self.running = self.left = not runs
        self.asked = False
        self.jobs: int | None = None
        self.marked: bool | None = False
        self.silent = False
        self.said: dict[str, Any] = {}
        self.acts: list[Act] = []

    def turn(self, after_s: float = BEAT_S) -> dict[str, Any]:
        """What it says in its next turn."""
        self.now += after_s
        look = Look(runs=self.running, left=self.left, asked=self.asked, jobs=self.jobs)
        self.said = self.duty.beat(self.now, look)
        act = self.duty.act(self.now, self.marked, look, silent=self.silent)
        self.acts += [act] * (act is not Act.NOTHING)
        self.asked |= act is Act.DRAIN
        if act is Act.START:
            self.running, self.left, self.asked = True, True, False
        return self.said

    def ends(self, code: int = 0, *, left: bool = False) -> None:
        """The worker's process ends, and leaves others of its session behind, or none."""
        self.running, self.left = False, left
        self.duty.ended(self.now, code, asked=self.asked)

    @property
    def starts(self) -> int:
        return self.acts.count(Act.START)


def idle_and_drained(said: dict[str, Any]) -> tuple[int, bool]:
    return said["busy"], said["drained"]


def at_work(**changes: Any) -> Machine:
    """A machine whose worker runs."""
    machine = Machine(**changes)
    machine.turn()
    machine.turn()
    return machine


# --- busy -------------------------------------------------------------------------------------------------------------


def test_a_worker_of_which_nobody_says_what_it_does_is_fully_busy() -> None:
    assert idle_and_drained(at_work(slots=4).turn()) == (4, False)


@pytest.mark.parametrize("jobs", [0, 1, 3])
def test_where_jobs_are_told_so_many_are_at_work(jobs: int) -> None:
    there = at_work(slots=4)
    there.jobs = jobs
    assert idle_and_drained(there.turn()) == (jobs, False)


def test_no_job_is_at_work_while_no_process_of_the_worker_is_there() -> None:
    there = at_work()
    there.ends(1)
    assert idle_and_drained(there.turn(0.1)) == (0, False)


def test_its_beats_are_what_the_daemon_reads() -> None:
    said = Duty(2, ends=True, say=print).beat(0.0, Look(jobs=1, gpu_util=0.5, trouble="hot"))
    heard = decode_heartbeat(json.dumps(said).encode())
    assert heard is not None
    assert (heard.busy, heard.slots, heard.drained, heard.gpu_util, heard.trouble) == (1, 2, False, 0.5, "hot")


# --- the drain --------------------------------------------------------------------------------------------------------


def test_a_drained_worker_is_one_that_has_ended_with_all_of_its_processes() -> None:
    there = at_work()
    there.marked = True
    assert idle_and_drained(there.turn()) == (1, False)
    assert there.acts[-1] is Act.DRAIN
    there.jobs = 0
    assert idle_and_drained(there.turn()) == (1, False), "it pulls no more, perhaps: who knows what it holds"
    there.ends(left=True)
    assert idle_and_drained(there.turn()) == (1, False), "a process that it began works on"
    there.left = False
    assert idle_and_drained(there.turn()) == (0, True)


def test_the_drain_signal_is_sent_once_for_the_second_often_means_to_end_at_once() -> None:
    there = at_work()
    for marked in (True, True, False, True, True):
        there.marked = marked
        there.turn()
    assert there.acts.count(Act.DRAIN) == 1


def test_a_drained_worker_stays_down_while_the_mark_stands() -> None:
    there = at_work()
    there.marked = True
    there.turn()
    there.ends()
    assert {idle_and_drained(there.turn()) for _ in range(1000)} == {(0, True)}
    assert there.starts == 1


def test_a_worker_is_started_again_when_the_mark_is_lifted_and_the_daemon_was_told() -> None:
    there = at_work()
    there.marked = True
    there.turn()
    there.ends()
    there.turn()
    there.marked = False
    assert idle_and_drained(there.turn()) == (0, True)
    assert there.starts == 1, "the daemon may still act on its word that it is drained"
    assert idle_and_drained(there.turn()) == (0, False)
    assert there.starts == 2
    assert idle_and_drained(there.turn()) == (1, False)


def test_a_machine_that_is_marked_when_its_agent_starts_starts_no_worker() -> None:
    there = Machine()
    there.marked = True
    for _ in range(3):
        there.turn()
    assert idle_and_drained(there.said) == (0, True)
    assert there.starts == 0


def test_no_worker_is_started_before_redis_took_a_beat() -> None:
    """What the agent before this one said may be `drained`, and the daemon may act on it."""
    there = Machine()
    there.marked = None
    there.turn()
    there.turn()
    assert there.starts == 0
    there.marked = False
    there.turn()
    assert there.starts == 1


def test_while_redis_is_away_the_worker_runs_on_and_a_drain_goes_on() -> None:
    there = at_work()
    there.marked = None
    for _ in range(100):
        there.turn()
    assert there.acts == [Act.START]
    there.marked = True
    there.turn()
    there.marked = None
    there.ends()
    assert [idle_and_drained(there.turn()) for _ in range(3)] == [(0, True)] * 3


def test_a_daemon_that_is_gone_for_good_drains_like_the_mark() -> None:
    there = at_work()
    there.marked, there.silent = None, True
    there.turn()
    assert there.acts[-1] is Act.DRAIN
    there.ends()
    there.turn()
    assert there.duty.drained
    there.marked, there.silent = False, False
    there.turn()
    there.turn()
    assert there.starts == 2


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.booleans(), st.booleans()), max_size=60))
def test_a_worker_never_runs_while_the_last_word_that_was_sent_is_that_it_is_drained(
    turns: list[tuple[bool | None, bool, bool]],
) -> None:
    there = Machine()
    for marked, ends, left in turns:
        there.marked = marked
        if ends and there.running:
            there.ends(left=left)
        elif not there.running:
            there.left = False
        there.turn()
        assert not (there.running and there.said["drained"])
        assert not there.said["drained"] or there.said["busy"] == 0


# --- services that are sent their jobs --------------------------------------------------------------------------------


def test_such_a_service_is_drained_as_the_daemon_itself_would_judge() -> None:
    assert (SETTLE_S, AGAIN_S) == (inside.SETTLE_S, inside.AGAIN_S)


@pytest.mark.parametrize(
    ("jobs", "drained_after"),
    [
        ([0] * 9, 4),
        ([2, 2, 2, 2, 0, 0, 0, 0], 6),
        ([0, 0, 0, 1, 0, 0, 0, 0], 6),
        ([0, 0, 0, None, 0, 0, 0, 0], 6),
        ([None] * 100, None),
        ([1] * 100, None),
    ],
)
def test_it_is_drained_after_two_looks_some_time_after_the_mark(
    jobs: list[int | None], drained_after: int | None
) -> None:
    """A look each 5 s: those of 15 s and of 20 s after the mark was seen are the first that can prove it."""
    there = at_work(ends=False, runs=False)
    there.marked = True
    there.turn()
    said = []
    for told in jobs:
        there.jobs = told
        said.append(there.turn()["drained"])
    assert said.index(True) + 1 == drained_after if drained_after else not any(said)
    assert there.acts == [], "it is not ended"


def test_idleness_that_was_seen_before_the_mark_proves_nothing() -> None:
    there = at_work(ends=False, runs=False)
    there.jobs = 0
    for _ in range(100):
        there.turn()
    there.marked = True
    assert [there.turn()["drained"] for _ in range(4)] == [False] * 4
    assert there.turn()["drained"]


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_a_worker_that_crashes_is_started_again_with_growing_pauses_and_trouble_is_told() -> None:
    there, pauses = at_work(), []
    for crash in range(1, 11):
        there.ends(1)
        pauses.append(there.duty.start_at - there.now)
        there.turn(pauses[-1])
        assert there.running
        there.turn()
        told = f"the worker ended with 1, {crash} times in a row"
        assert there.said.get("trouble") == (told if crash >= CRASHES else None)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert max(pauses) == LONGEST_PAUSE_S


def test_a_worker_is_not_started_before_its_pause_is_over() -> None:
    there = at_work()
    there.ends(1)
    there.turn(0.9)
    assert not there.running
    there.turn(0.1)
    assert there.running


def test_a_worker_that_drained_is_no_more_held_to_have_crashed() -> None:
    there = at_work()
    for _ in range(CRASHES - 1):
        there.ends(1)
        there.turn(there.duty.start_at - there.now)
    there.marked = True
    there.turn()
    there.ends()
    there.turn()
    there.marked = False
    there.turn()
    there.turn()
    there.ends(1)
    assert "trouble" not in there.turn()


def test_a_worker_may_crash_for_days() -> None:
    there = at_work()
    for _ in range(3000):
        there.ends(1)
        there.turn(there.duty.start_at - there.now)
    assert there.running


def test_a_prompt_that_outlasts_the_worker_which_sent_it_keeps_the_machine() -> None:
    there = at_work()
    there.marked = True
    there.turn()
    there.ends()
    for jobs, said in [(1, (1, False)), (0, (0, True)), (None, (0, True))]:
        there.jobs = jobs
        assert idle_and_drained(there.turn()) == said


def test_no_trouble_is_left_once_it_runs_steadily() -> None:
    there = at_work()
    for _ in range(CRASHES):
        there.ends(1)
        there.turn(there.duty.start_at - there.now)
    assert "trouble" in there.turn()
    assert "trouble" not in there.turn(STEADY_S)
    there.ends(1)
    assert "trouble" not in there.turn()


def test_a_worker_that_ends_well_is_started_again_without_ado() -> None:
    there = at_work()
    for _ in range(10):
        there.ends(0)
        assert there.duty.start_at - there.now == 1.0
        assert "trouble" not in there.turn(1.0)


# --- pleading for the end ---------------------------------------------------------------------------------------------


def test_the_end_is_asked_for_only_while_it_is_due() -> None:
    asked: list[str] = []
    plead = deadman.Plead(lambda: asked.append("end"))
    counts = []
    for now, due in [(0.0, False), (5.0, True), (6.0, True), (10.0, True), (12.0, False), (13.0, True)]:
        plead.look(now, due=due)
        counts.append(len(asked))
    assert counts == [0, 1, 1, 2, 2, 3]
