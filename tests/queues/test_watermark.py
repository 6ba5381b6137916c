from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from autoscaler.link import Command
from autoscaler.queues.caution import Caution
from autoscaler.queues.watermark import Bracket, Watermark

Side = Literal["left", "right"]
TICK_S = 5.0
SIDES: tuple[Side, ...] = ("left", "right")


class ListModel:
    """A Redis list that knows when each element came."""

    def __init__(self, newest_end: Side, *, payload: int = 0) -> None:
        self._newest_end = newest_end
        self._payload = payload
        self._elements: list[tuple[bytes, float]] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._elements)

    def push(self, at: float) -> None:
        self._made += 1
        self._elements.append((b"%d" % self._made + b"." * self._payload, at))

    def pop(self) -> None:
        self._elements.pop(0)

    @property
    def oldest_at(self) -> float:
        return self._elements[0][1]

    def answer(self, command: Command) -> Any:
        elements = [element for element, _ in self._elements]
        if self._newest_end == "left":
            elements.reverse()
        name, _, *arguments = command
        if name == "LINDEX":
            return elements[int(arguments[0])] if elements else None
        element, _, rank, _, scan = arguments
        assert name == "LPOS"
        order = range(len(elements)) if rank == 1 else range(len(elements) - 1, -1, -1)
        return next((index for index in list(order)[: int(scan)] if elements[index] == element), None)

    def tick(self, watermark: Watermark, now: float) -> Bracket:
        answers = {command: self.answer(command) for command in watermark.commands("k")}
        return watermark.observe(answers, "k", len(self), now)


Steps = list[tuple[int, int]]


def run(model: ListModel, watermark: Watermark, steps: Steps) -> list[tuple[float, Bracket, float | None]]:
    """For each tick its time, the bracket, and the truth. Pushes and pops lie between ticks."""
    seen = []
    for number, (pushes, pops) in enumerate(steps):
        now = (number + 1) * TICK_S
        for index in range(pushes):
            model.push(now - TICK_S + (index + 1) * TICK_S / (pushes + 1))
            if index < pops and len(model):
                model.pop()
        for _ in range(pops - pushes):
            if len(model):
                model.pop()
        seen.append((now, model.tick(watermark, now), model.oldest_at if len(model) else None))
    return seen


HISTORIES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=60)


@pytest.mark.parametrize("side", SIDES)
@given(steps=HISTORIES)
def test_brackets_hold_the_truth_and_are_one_tick_wide(side: Side, steps: Steps) -> None:
    for _, bracket, truth in run(ListModel(side), Watermark(side), [(0, 0), *steps]):
        if truth is None:
            assert bracket == Bracket()
        else:
            assert bracket.earliest is not None
            assert bracket.latest is not None
            assert bracket.earliest < truth <= bracket.latest
            assert bracket.latest - bracket.earliest <= TICK_S


@pytest.mark.parametrize("side", SIDES)
@given(steps=HISTORIES, backlog=st.integers(1, 20))
def test_a_backlog_from_before_the_start_gives_a_lower_bound_until_it_has_drained(
    side: Side, steps: Steps, backlog: int
) -> None:
    for now, bracket, truth in run(ListModel(side), Watermark(side), [(backlog, 0), *steps]):
        if truth is not None:
            assert bracket.latest is not None
            assert truth <= bracket.latest <= now
            assert (bracket.earliest is None) == (truth < TICK_S)


@given(steps=HISTORIES)
def test_an_answer_left_out_for_a_tick_widens_the_bracket_and_no_more(steps: Steps) -> None:
    model, watermark = ListModel("left"), Watermark("left")
    model.tick(watermark, 0.0)
    for number, (pushes, pops) in enumerate(steps):
        now = (number + 1) * TICK_S
        for _ in range(pushes):
            model.push(now - 1.0)
        for _ in range(min(pops, len(model))):
            model.pop()
        if number % 3 != 0:
            continue
        bracket = model.tick(watermark, now)
        if len(model):
            assert bracket.earliest is not None
            assert bracket.latest is not None
            assert bracket.earliest < model.oldest_at <= bracket.latest


def test_memory_is_bounded_however_long_the_backlog_lasts() -> None:
    model, watermark = ListModel("left"), Watermark("left")
    model.tick(watermark, 0.0)
    for tick in range(1, 5000):
        model.push(tick - 0.5)
        assert model.tick(watermark, float(tick)).earliest == 0.0
    assert len(watermark._marks) <= 1024
    for _ in range(3000):
        model.pop()
    bracket = model.tick(watermark, 5000.0)
    assert bracket.earliest is not None
    assert bracket.latest is not None
    assert bracket.earliest < model.oldest_at <= bracket.latest
    assert bracket.latest - bracket.earliest <= 32


def test_a_steady_queue_keeps_its_brackets_one_tick_wide_however_long_it_runs() -> None:
    model, watermark = ListModel("left"), Watermark("left")
    model.tick(watermark, 0.0)
    for tick in range(1, 3000):
        model.push(tick - 0.5)
        if len(model) > 3:
            model.pop()
        assert model.tick(watermark, float(tick)) == Bracket(max(tick - 3, 0), max(tick - 2, 1))
    assert len(watermark._marks) <= 5


def test_a_job_that_arrives_between_two_commands_of_a_tick_does_not_count_twice() -> None:
    model, watermark = ListModel("left"), Watermark("left")
    model.tick(watermark, 0.0)
    for tick in range(1, 20):
        now, length, answers = float(tick), len(model), dict[Command, Any]()
        for command in watermark.commands("k"):
            answers[command] = model.answer(command)
            model.push(now + 0.1)
        bracket = watermark.observe(answers, "k", length, now)
        if length:
            assert bracket.earliest is not None
            assert bracket.earliest < model.oldest_at
            model.pop()


def test_a_quiet_backlog_is_remembered_by_two_marks() -> None:
    model, watermark = ListModel("right"), Watermark("right")
    model.push(-1.0)
    for tick in range(100):
        model.tick(watermark, float(tick))
    assert len(watermark._marks) <= 2


def test_elements_above_the_limit_are_not_fetched_again_until_the_list_was_empty() -> None:
    model, watermark = ListModel("left", payload=70_000), Watermark("left")
    model.tick(watermark, 0.0)
    model.push(1.0)
    assert model.tick(watermark, 5.0) == Bracket(earliest=0.0)
    assert watermark.obstacle is Caution.PAYLOAD_TOO_LARGE
    assert watermark.commands("k") == []
    assert model.tick(watermark, 10.0) == Bracket(earliest=0.0)
    model.pop()
    assert model.tick(watermark, 15.0) == Bracket()
    assert watermark.obstacle is None


def test_elements_above_the_limit_in_a_list_never_seen_empty_have_no_bound() -> None:
    model, watermark = ListModel("left", payload=70_000), Watermark("left")
    model.push(1.0)
    assert model.tick(watermark, 5.0) == Bracket()
    assert watermark.obstacle is Caution.PAYLOAD_TOO_LARGE


def test_refused_commands_leave_the_last_emptiness_as_the_bound() -> None:
    model, watermark = ListModel("left"), Watermark("left")
    model.tick(watermark, 0.0)
    refused = {command: ResponseError("unknown command") for command in watermark.commands("k")}
    assert watermark.observe(refused, "k", 3, 5.0) == Bracket(earliest=0.0)
    assert watermark.obstacle is Caution.AGE_UNREADABLE


@pytest.mark.parametrize("side", SIDES)
def test_more_arrivals_than_are_scanned_never_make_a_job_younger_than_it_is(side: Side) -> None:
    model, watermark = ListModel(side), Watermark(side)
    model.tick(watermark, 0.0)
    for _ in range(10):
        model.push(1.0)
    model.tick(watermark, 5.0)
    for _ in range(15_000):
        model.push(6.0)
    bracket = model.tick(watermark, 10.0)
    assert bracket.earliest is not None
    assert bracket.earliest < model.oldest_at


@given(elements=st.lists(st.integers(0, 2), min_size=1, max_size=40), pops=st.lists(st.integers(0, 3), min_size=40))
def test_elements_that_repeat_never_make_a_job_younger_than_it_is(elements: list[int], pops: list[int]) -> None:
    model, watermark = ListModel("left"), Watermark("left")
    run(model, watermark, [(5, 0), (0, 5)])
    model.tick(watermark, 0.0)
    for tick, (element, popped) in enumerate(zip(elements, pops, strict=False), start=1):
        model._elements.append((b"%d" % element, tick - 0.5))
        for _ in range(min(popped, len(model))):
            model.pop()
        bracket = model.tick(watermark, float(tick))
        if len(model):
            assert bracket.earliest is not None
            assert bracket.earliest < model.oldest_at


def test_a_job_put_back_at_the_near_end_shifts_the_bracket_by_one_position_at_most() -> None:
    model, watermark = ListModel("left"), Watermark("left")
    model.tick(watermark, 0.0)
    for tick in range(1, 6):
        model.push(tick - 0.5)
        model.tick(watermark, float(tick))
    model._elements.insert(0, (b"again", 0.2))
    bracket = model.tick(watermark, 6.0)
    assert bracket == Bracket(0.0, 1.0)
