"""Readers against replies that no Redis would give."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError, ResponseError

from autoscaler.core.demand import Demand, Unknown
from autoscaler.link import Command
from autoscaler.queues import LIBRARIES, QueueSettings, make_reader
from autoscaler.queues.base import READ_ONLY
from tests.support.queue_settings import SETTINGS
from tests.support.queues import NOW, driven

of_each_kind = pytest.mark.parametrize("queue", SETTINGS, ids=lambda queue: queue.kind)

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
    st.sampled_from(
        [b"x" * 100_000, b'{"a": ' * 20_000, b'{"a": {"b": 1e', b'"\xff\xfe"', b"-1", b"9" * 400, b"1e18", b"nan"]
    ),
    st.sampled_from([b"9999-12-31T23:59:59.999999Z", b"0001-01-01T00:00:00+23:59", b"1970-01-01", 2**63, -(2**63)]),
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


def test_every_kind_is_held_to_these_rules() -> None:
    assert {queue.kind for queue in SETTINGS} == set(LIBRARIES)


@of_each_kind
@given(data=st.data())
@settings(max_examples=60)
def test_no_reply_makes_a_reader_raise_or_write(queue: QueueSettings, data: st.DataObject) -> None:
    reader = make_reader(queue)
    for tick in range(4):
        demand, asked = driven(reader.read(NOW + 5.0 * tick), lambda _: data.draw(REPLIES))
        assert len(asked) <= 2 or (isinstance(demand, Unknown) and len(asked) == 3 and asked[2][0][0] == "TYPE")
        assert {command[0] for commands in asked for command in commands} <= READ_ONLY
        if isinstance(demand, Demand):
            assert demand.waiting >= 0
            assert demand.oldest_wait_s is None or demand.oldest_wait_s >= 0
            assert demand.in_flight is None or demand.in_flight >= 0


@of_each_kind
@pytest.mark.parametrize("reply", [ResponseError("NOPERM"), NoPermissionError("no"), None, b"", "text", -1, True, [[]]])
def test_a_queue_of_which_nothing_can_be_read_is_unknown_and_never_empty(queue: QueueSettings, reply: object) -> None:
    demand, _ = driven(make_reader(queue).read(NOW), lambda _: reply)
    assert isinstance(demand, Unknown)
    assert "queue key '" in demand.reason


def plausible(command: Command) -> object:
    """A reply as a queue with jobs would give it."""
    name = str(command[0])
    if name in {"LLEN", "SCARD", "HLEN", "ZCARD", "ZCOUNT", "XLEN", "STRLEN", "HSTRLEN", "LPOS"}:
        return 3
    if name in {"EXISTS", "SISMEMBER", "HEXISTS"}:
        return 1
    if name == "HMGET":
        return [b"1799999990000"] * (len(command) - 2)
    if "WITHSCORES" in command:
        return [b"job", b"1799999990000"]
    named = {
        "TYPE": b"list",
        "XPENDING": [3, b"1799999990000-0", b"1799999995000-0", [[b"worker", b"3"]]],
        "XINFO": [[b"name", b"g", b"last-delivered-id", b"1799999980000-0", b"lag", 3]],
        "XRANGE": [[b"1799999990000-0", [b"job", b"x"]]],
        "SMEMBERS": [b"one"],
        "ZRANGE": [b"job"],
        "ZRANGEBYSCORE": [b"job"],
        "ZREVRANGEBYSCORE": [b"job"],
    }
    return named.get(name, b"1799999990000")


@of_each_kind
@pytest.mark.parametrize("reply", [ResponseError("LOADING"), NoPermissionError("no"), None, b"", -1, "text", [[]]])
def test_one_reply_without_sense_never_lowers_a_number_unseen(queue: QueueSettings, reply: object) -> None:
    sound, asked = driven(make_reader(queue).read(NOW), plausible)
    assert isinstance(sound, Demand)
    assert sound.waiting > 0
    for broken in dict.fromkeys(command for commands in asked for command in commands):
        demand, _ = driven(make_reader(queue).read(NOW), lambda c, b=broken: reply if c == b else plausible(c))  # type: ignore[misc]
        if isinstance(demand, Demand):
            assert demand.waiting >= sound.waiting or set(demand.warnings) - set(sound.warnings), broken
            assert demand.in_flight is None or demand.in_flight >= (sound.in_flight or 0), broken


@of_each_kind
def test_a_reader_asks_only_what_its_rights_name(queue: QueueSettings) -> None:
    rights = LIBRARIES[queue.kind].rights(queue)
    assert rights.commands <= READ_ONLY
    for reply in (0, 1, b"1", None, [[b"g", 1]]):
        _, asked = driven(make_reader(queue).read(NOW), lambda _, reply=reply: reply)  # type: ignore[misc]
        assert {command[0] for commands in asked for command in commands} <= rights.commands


@of_each_kind
def test_ranges_are_always_asked_with_a_limit(queue: QueueSettings) -> None:
    _, asked = driven(make_reader(queue).read(NOW), lambda _: 1)
    for command in (command for commands in asked for command in commands):
        if command[0] in {"XRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"}:
            assert "COUNT" in command or "LIMIT" in command
