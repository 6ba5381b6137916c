"""The floor: which job starts where and when, whatever comes and goes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.spec import Tier
from autoscaler.sim.books import JobLog
from autoscaler.sim.floor import Floor
from autoscaler.sim.workload import Job
from tests.support.build import NOW, pool

TIERS = tuple(Tier(name=name, wait_target=60.0) for name in ("pro", "premium", "free"))
PRO, PREMIUM, FREE = range(3)
Order = Literal["priority", "fifo"]


def job(at: float, tier: int = PRO, lasts: float = 10.0, model: str | None = None) -> Job:
    return Job(arrived_s=at, tier=tier, service_s=lasts, model=model)


def a_floor(*jobs: Job, order: Order = "priority", model_load_s: float = 0.0) -> Floor:
    return Floor(pool(tiers=TIERS), iter(jobs), order=order, model_load_s=model_load_s)


def starts(floor: Floor) -> list[float]:
    return list(floor.log.started_s)


def places(floor: Floor) -> list[str]:
    return [floor.log.machines[machine] for machine in floor.log.machine]


def test_a_job_starts_when_it_comes_if_a_slot_is_free_and_else_when_one_is() -> None:
    floor = a_floor(job(1.0), job(2.0), job(3.0))
    floor.man("a", slots=2)
    floor.advance(100.0)
    assert starts(floor) == [1.0, 2.0, 11.0]
    assert list(floor.log.finished_s) == [11.0, 12.0, 21.0]


@pytest.mark.parametrize(
    ("order", "expected"), [("priority", [1.0, 31.0, 21.0, 11.0]), ("fifo", [1.0, 11.0, 21.0, 31.0])]
)
def test_the_most_urgent_is_next_or_whoever_came_first(order: Order, expected: list[float]) -> None:
    floor = a_floor(job(1.0), job(2.0, FREE), job(3.0, PREMIUM), job(4.0, PRO), order=order)
    floor.man("a", slots=1)
    floor.advance(100.0)
    assert starts(floor) == expected


def test_jobs_that_waited_start_when_a_machine_comes_up() -> None:
    floor = a_floor(job(1.0), job(2.0))
    floor.advance(60.0)
    assert (floor.waiting, floor.in_hand, floor.oldest_wait_s()) == (2, 0, 59.0)
    floor.man("a", slots=1)
    assert (floor.waiting, floor.in_hand, floor.oldest_wait_s()) == (1, 1, 58.0)
    assert starts(floor)[0] == 60.0


def test_the_slot_at_work_last_gets_the_next_job_so_that_others_stay_idle() -> None:
    floor = a_floor(*(job(20.0 * n) for n in range(1, 6)))
    floor.man("a", slots=1)
    floor.man("b", slots=1)
    floor.advance(200.0)
    assert len(set(places(floor))) == 1


def test_a_marked_machine_ends_its_jobs_and_pulls_no_more_until_the_mark_is_gone() -> None:
    floor = a_floor(job(1.0), job(2.0), job(3.0))
    floor.man("a", slots=1)
    floor.advance(5.0)
    floor.mark(["a"])
    floor.advance(50.0)
    assert list(floor.log.finished_s)[:1] == [11.0]
    assert floor.waiting == 2
    floor.mark([])
    assert starts(floor)[1] == 50.0


def test_a_mark_that_is_taken_back_frees_only_the_slots_that_are_free() -> None:
    floor = a_floor(job(1.0), job(2.0), job(3.0))
    floor.man("a", slots=2)
    floor.advance(1.5)
    floor.mark(["a"])
    floor.advance(5.0)
    floor.mark([])
    floor.advance(100.0)
    assert starts(floor) == [1.0, 5.0, 11.0]


def test_a_mark_outlives_the_machines_restart() -> None:
    floor = a_floor(job(1.0))
    floor.man("a", slots=1)
    floor.mark(["a"])
    floor.abandon("a")
    floor.man("a", slots=1)
    floor.advance(50.0)
    assert floor.waiting == 1


def test_enterprise_has_dedicated_capacity_a_machine_set_apart_leaves_lower_tiers_waiting() -> None:
    floor = a_floor(job(1.0, FREE, lasts=100.0), job(2.0, FREE), job(3.0, PREMIUM), job(20.0, PRO))
    floor.man("apart", slots=1)
    floor.man("shared", slots=1)
    floor.set_apart({"apart": "premium"})
    floor.advance(50.0)
    first, _, *others = places(floor)
    assert (first, others) == ("shared", ["apart", "apart"]), "its own tier and more urgent ones"
    assert starts(floor)[:4] == pytest.approx([1.0, math.nan, 3.0, 20.0], nan_ok=True)
    floor.set_apart({})
    assert starts(floor)[1] == 50.0


def test_a_job_goes_to_the_machine_set_apart_for_it_so_that_others_are_left_for_lower_tiers() -> None:
    floor = a_floor(job(1.0, PRO), job(2.0, FREE))
    floor.man("apart", slots=1)
    floor.man("shared", slots=1)
    floor.set_apart({"apart": "pro"})
    floor.advance(5.0)
    assert places(floor) == ["apart", "shared"]


def test_a_machine_is_set_apart_before_it_is_up_and_marked_as_any_other() -> None:
    floor = a_floor(job(1.0, FREE), job(2.0, PRO))
    floor.set_apart({"a": "pro"})
    floor.man("a", slots=1)
    floor.advance(1.5)
    assert floor.waiting == 1
    floor.mark(["a"])
    floor.advance(5.0)
    assert floor.waiting == 2
    floor.mark([])
    floor.advance(50.0)
    assert floor.waiting == 1


def test_jobs_of_a_machine_that_goes_down_go_back_to_their_places_and_start_anew() -> None:
    floor = a_floor(job(1.0, lasts=100.0), job(2.0, lasts=100.0), job(3.0))
    floor.man("a", slots=1)
    floor.man("b", slots=1)
    floor.advance(10.0)
    first, second = places(floor)[:2]
    assert floor.abandon(first) == 1
    assert floor.abandon(second) == 1
    assert (floor.waiting, floor.in_hand, floor.oldest_wait_s()) == (3, 0, 9.0)
    floor.man("c", slots=1)
    floor.advance(500.0)
    assert starts(floor) == [10.0, 110.0, 210.0], "in the order in which they came, whichever went down first"
    assert floor.abandon("c") == 0


def test_a_slot_loads_a_model_when_its_machine_used_another_or_none_since_its_start() -> None:
    floor = a_floor(*(job(100.0 * n, model=model) for n, model in enumerate("xxyy", start=1)), model_load_s=5.0)
    floor.man("a", slots=1)
    floor.advance(450.0)
    floor.abandon("a")
    floor.man("a", slots=1)
    lasted = [end - start for start, end in zip(floor.log.started_s, floor.log.finished_s, strict=True)]
    assert lasted == [15.0, 10.0, 15.0, 10.0]


def test_a_job_without_a_model_leaves_the_loaded_one() -> None:
    floor = a_floor(job(1.0, model="x"), job(101.0), job(201.0, model="x"), model_load_s=5.0)
    floor.man("a", slots=1)
    floor.advance(450.0)
    lasted = [end - start for start, end in zip(floor.log.started_s, floor.log.finished_s, strict=True)]
    assert lasted == [15.0, 10.0, 10.0]


def test_demand_is_what_a_reader_would_see() -> None:
    floor = a_floor(job(1.0), job(2.0), job(4.0, FREE), job(5.0, FREE))
    floor.man("a", slots=1)
    floor.advance(9.0)
    seen = floor.demand(NOW)
    assert [(tier.tier, tier.waiting, tier.oldest_wait_s) for tier in seen.tiers] == [
        ("pro", 1, 7.0),
        ("premium", 0, None),
        ("free", 2, 5.0),
    ]
    assert [tier.oldest_enqueued_at for tier in seen.tiers] == [NOW - 7.0, None, NOW - 5.0]
    assert (seen.taken_at, seen.in_flight) == (NOW, 1)


def test_a_worker_says_how_busy_it_is_and_speaks_anew_every_ten_seconds() -> None:
    floor = a_floor(job(1.0), job(2.0, lasts=100.0))
    floor.man("a", slots=3)
    floor.advance(5.0)
    [(name, first)] = floor.heartbeats()
    assert (name, first.busy, first.slots, first.drained) == ("a", 2, 3, False)
    floor.mark(["a"])
    floor.advance(12.0)
    [(_, second)] = floor.heartbeats()
    assert (second.busy, second.drained) == (1, True)
    assert second.stamp != first.stamp


# --- whatever comes and goes ------------------------------------------------------------------------------------------


class Watched(JobLog):
    """A log that holds each start against the rules, with books of its own."""

    def __init__(self, order: Order) -> None:
        super().__init__(tuple(tier.name for tier in TIERS))
        self.order = order
        self.queue: set[int] = set()
        self.at: dict[int, str] = {}
        """Jobs in hand, and where."""
        self.slots: dict[str, int] = {}
        """Machines that are up."""
        self.marked: set[str] = set()
        self.least: dict[str, int] = {}
        """Machines that are set apart, and the place of the least urgent tier that they serve."""

    def arrive(self, arrived_s: float, tier: int, service_s: float) -> int:
        number = super().arrive(arrived_s, tier, service_s)
        self.queue.add(number)
        return number

    def start(self, number: int, started_s: float, machine: int) -> None:
        super().start(number, started_s, machine)
        name = self.machines[machine]
        mine = [each for each in self.queue if self.serves(name, each)]
        ranks = {each: (self.tier[each] if self.order == "priority" else 0, each) for each in mine}
        assert number == min(ranks, key=lambda each: ranks[each]), (
            "nobody whom it may serve and is more urgent waits, and nobody who came before"
        )
        assert started_s >= self.arrived_s[number]
        self.queue.remove(number)
        self.at[number] = name
        assert name not in self.marked
        assert self.busy(name) <= self.slots[name], "no slot works on two jobs, and none of a machine that is down"

    def interrupt(self, number: int) -> None:
        super().interrupt(number)
        del self.at[number]
        self.queue.add(number)

    def finish(self, number: int, finished_s: float) -> None:
        super().finish(number, finished_s)
        assert finished_s == pytest.approx(self.started_s[number] + self.service_s[number], abs=0.0011)
        del self.at[number]

    def serves(self, name: str, number: int) -> bool:
        return self.tier[number] <= self.least.get(name, FREE)

    def busy(self, name: str) -> int:
        return sum(at == name for at in self.at.values())

    def require_no_idler(self) -> None:
        """No slot stands idle while a job waits that it may pull."""
        free = [name for name, slots in self.slots.items() if name not in self.marked and slots > self.busy(name)]
        assert not [(name, number) for name in free for number in self.queue if self.serves(name, number)]


JOBS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 2), st.sampled_from([0.0, 0.5, 7.0, 40.0, 300.0])), max_size=40
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["advance", "advance", "man", "abandon", "mark", "unmark", "set apart"]),
        st.integers(0, 4),
        st.integers(1, 60),
    ),
    max_size=50,
)


def coming(gaps: Iterable[tuple[int, int, float]]) -> list[Job]:
    jobs, now_s = [], 0.0
    for gap, tier, lasts in gaps:
        now_s += gap
        jobs.append(job(now_s, tier, lasts))
    return jobs


@settings(max_examples=300)
@given(gaps=JOBS, steps=STEPS, order=st.sampled_from(["priority", "fifo"]))
def test_jobs_start_in_order_on_free_slots_that_may_pull_and_none_is_lost(
    gaps: list[tuple[int, int, float]], steps: list[tuple[str, int, int]], order: Order
) -> None:
    jobs = coming(gaps)
    floor = a_floor(*jobs, order=order)
    log = floor.log = Watched(order)
    for step, which, number in steps:
        name = f"m{which}"
        if step == "advance":
            floor.advance(floor.now_s + number)
        elif step == "man" and name not in log.slots:
            log.slots[name] = 1 + number % 3
            floor.man(name, log.slots[name])
        elif step == "abandon" and name in log.slots:
            had = log.busy(name)
            del log.slots[name]
            assert floor.abandon(name) == had
        elif step == "mark":
            log.marked.add(name)
            floor.mark(log.marked)
        elif step == "unmark":
            log.marked.discard(name)
            floor.mark(log.marked)
        elif step == "set apart":
            log.least[name] = number % 3
            floor.set_apart({each: TIERS[place].name for each, place in log.least.items()})
        log.require_no_idler()
        assert {each: station.busy for each, station in floor.stations.items()} == {
            each: log.busy(each) for each in log.slots
        }
        assert (floor.waiting, floor.in_hand) == (len(log.queue), len(log.at))
    log.marked.clear()
    log.least.clear()
    log.slots["last"] = 1
    floor.mark([])
    floor.set_apart({})
    floor.man("last", 1)
    floor.advance(1e6)
    assert not log.queue
    assert not log.at
    assert [(log.arrived_s[n], log.tier[n], log.service_s[n]) for n in range(len(log))] == [each[:3] for each in jobs]
    assert all(log.finished_s[n] >= log.started_s[n] >= log.arrived_s[n] for n in range(len(log)))
