"""Readers against replies that no Redis would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError, ResponseError

from autoscaler.core.demand import Demand, Unknown
from autoscaler.link import Command
from autoscaler.queues import QueueSettings, make_reader
from autoscaler.queues.base import READ_ONLY, Answers
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.stamp import Timestamp
from autoscaler.queues.stream import StreamQueue, StreamTier
from autoscaler.queues.zset import Band, ZsetQueue, ZsetTier
from tests.support.queues import NOW

LISTS = (ListTier(name="a", key="l1"), ListTier(name="b", key="l2"))
PATH, FIELD = Timestamp(path="a.b"), Timestamp(key="job:{id}", field="at")
BANDS = (ZsetTier(name="a", key="z", scores=Band(0, 9)), ZsetTier(name="b", key="z", scores=Band(10, 19)))
QUEUES: list[QueueSettings] = [
    ListQueue(kind="list", tiers=LISTS, in_flight_keys=("f1", "f2")),
    ListQueue(kind="list", tiers=LISTS, pop_side="right"),
    ListQueue(kind="list", tiers=LISTS, timestamp=PATH),
    ListQueue(kind="list", tiers=LISTS, timestamp=FIELD, pop_side="right"),
    StreamQueue(kind="stream", tiers=(StreamTier(name="a", key="s1"), StreamTier(name="b", key="s2")), group="g"),
    ZsetQueue(kind="zset", tiers=(ZsetTier(name="a", key="z1"),), score="time", unit="ms"),
    ZsetQueue(kind="zset", tiers=BANDS, score="priority", timestamp=PATH),
    ZsetQueue(kind="zset", tiers=BANDS, score="priority", pop="highest", timestamp=FIELD, in_flight_keys=("f",)),
]

IDS = st.sampled_from([b"0-0", b"1-1", b"1800000000000-0", b"1799999990000-3", b"-", b"99999999999999999999-1"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=12),
    IDS,
    st.text(max_size=5),
    st.sampled_from([b"list", b"set", b"zset", b"hash", b"stream", b"none", b"string", b"inf", b"nan", b"1e300"]),
    st.sampled_from([b'{"a": {"b": 1}}', b'{"a": {"b": 1e999}}', b'{"a": []}', b'{"a": {"b": "2026-01-01"}}', b"[]"]),
    st.sampled_from([ResponseError("WRONGTYPE x"), NoPermissionError("no"), ResponseError("NOGROUP x")]),
)
ENTRIES = st.lists(st.tuples(IDS, st.lists(st.binary(max_size=4), max_size=2)).map(list), max_size=3)
GROUPS = st.fixed_dictionaries(
    {b"name": st.sampled_from([b"g", b"h"]), b"last-delivered-id": IDS, b"lag": SCALARS}
).map(lambda group: [[part for pair in group.items() for part in pair]])
PENDING = st.tuples(st.integers(-1, 5), IDS, IDS, st.none()).map(list)
REPLIES = st.one_of(
    SCALARS, ENTRIES, GROUPS, PENDING, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=12)
)


def answered(commands: list[Command], draw: Callable[[], Any]) -> Answers:
    return {command: draw() for command in commands}


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.kind)
@given(data=st.data())
@settings(max_examples=60)
def test_no_reply_makes_a_reader_raise_or_write(queue: QueueSettings, data: st.DataObject) -> None:
    reader = make_reader(queue)
    for tick in range(4):
        now = NOW + 5.0 * tick
        first = reader.first(now)
        answers = {**answered(first, lambda: data.draw(REPLIES))}
        second = reader.second(answers, now)
        answers |= answered(second, lambda: data.draw(REPLIES))
        assert {command[0] for command in (*first, *second)} <= READ_ONLY
        demand = reader.parse(answers, now)
        if isinstance(demand, Demand):
            assert demand.waiting >= 0
            assert demand.oldest_wait_s is None or demand.oldest_wait_s >= 0
            assert demand.in_flight is None or demand.in_flight >= 0


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.kind)
@pytest.mark.parametrize("reply", [ResponseError("NOPERM"), NoPermissionError("no"), None, b"", "text", -1, True, [[]]])
def test_a_queue_of_which_nothing_can_be_read_is_unknown_and_never_empty(queue: QueueSettings, reply: object) -> None:
    reader = make_reader(queue)
    answers = answered(reader.first(NOW), lambda: reply)
    answers = {**answers, **answered(reader.second(answers, NOW), lambda: reply)}
    demand = reader.parse(answers, NOW)
    assert isinstance(demand, Unknown)
    assert queue.tiers[0].key in demand.reason


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.kind)
def test_a_reader_without_any_answer_is_unknown(queue: QueueSettings) -> None:
    assert isinstance(make_reader(queue).parse({}, NOW), Unknown)


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.kind)
def test_ranges_are_always_asked_with_a_limit(queue: QueueSettings) -> None:
    for command in make_reader(queue).first(NOW):
        if command[0] in {"XRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"}:
            assert "COUNT" in command or "LIMIT" in command
