from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from redis.exceptions import NoPermissionError

from autoscaler.core.demand import Demand
from autoscaler.link import Command
from autoscaler.queues.celery import LIBRARY, CeleryQueue, CeleryTier, celery_reader
from autoscaler.queues.celery_heartbeats import AtWork, Heartbeats, parse_beat
from autoscaler.queues.celery_messages import Message, parse_message, parse_unacked
from autoscaler.queues.heard import Heard
from tests.support.queues import NOW, driven

QUEUE = TypeAdapter(CeleryQueue)
LATE = CeleryQueue(
    kind="celery", tiers=(CeleryTier(name="gpu", queue="gpu"),), task_acks_late=True, worker_prefetch_multiplier=1
)


def a_tier(name: str, priorities: str = "..", queue: str = "gpu") -> dict[str, Any]:
    return {"name": name, "queue": queue, "priorities": priorities}


@pytest.mark.parametrize(
    ("tiers", "others", "complaint"),
    [
        ([a_tier("a", "4..5")], {}, "priorities 4..5 of tier 'a' hold none of the priority_steps [0, 3, 6, 9]"),
        ([a_tier("a", "0..3"), a_tier("b", "3..")], {}, "tiers 'a' and 'b' both have step 3 of queue 'gpu'"),
        ([a_tier("a", "0..3"), a_tier("b", "9")], {}, "no tier has the priority steps [6] of queue 'gpu'"),
        ([a_tier("a"), a_tier("b", "0..3", "cpu")], {}, "no tier has the priority steps [6, 9] of queue 'cpu'"),
        ([a_tier("a")], {"priority_steps": [3, 0]}, "priority_steps [3, 0] must rise"),
        ([a_tier("a")], {"priority_steps": []}, "priority_steps [] must rise"),
        ([], {}, "expected at least one tier"),
    ],
)
def test_each_priority_step_of_a_queue_belongs_to_exactly_one_tier(
    tiers: list[dict[str, Any]], others: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        QUEUE.validate_python({"kind": "celery", "tiers": tiers, **others})
    assert complaint in str(refused.value)


def test_rights_are_those_to_its_own_keys_and_only_with_events_to_a_channel() -> None:
    queue = replace(LATE, sep=":", global_keyprefix="[a]")
    keys = ("gpu", "gpu:3", "gpu:6", "gpu:9", "unacked", "unacked_index", "_kombu.binding.gpu")
    assert LIBRARY.rights(queue).keys == tuple(f"\\[a\\]{key}" for key in keys)
    assert LIBRARY.rights(queue).channels == ()
    assert LIBRARY.rights(replace(queue, events=True)).channels == ("\\[a\\]/*.celeryev/worker.heartbeat",)


def of(**parts: Any) -> bytes:
    return json.dumps(parts).encode()


@pytest.mark.parametrize(
    ("message", "parsed"),
    [
        (of(headers={"enqueued_at": NOW, "timestamp": 1}), Message(enqueued_at=NOW)),
        (of(headers={"enqueued_at": None, "timestamp": NOW}), Message(enqueued_at=NOW)),
        (of(headers={}, properties={"timestamp": NOW * 1000}), Message(enqueued_at=NOW)),
        (of(headers={"eta": "2027-01-15T09:00:00+01:00"}), Message(eta=NOW)),
        (of(properties={"delivery_info": {"exchange": "", "routing_key": "gpu"}}), Message(queue="gpu")),
        (of(properties={"delivery_info": {"exchange": "topic", "routing_key": "a.b"}}), Message()),
        (of(properties={"delivery_info": {"exchange": "", "routing_key": None}}), Message()),
        (of(headers=[], properties="x"), Message()),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_a_message_tells_its_times_and_its_queue(message: bytes | None, parsed: Message | None) -> None:
    assert parse_message(message) == parsed
    assert parse_unacked(None if message is None else b"[" + message + b', "", "gpu"]') == parsed


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["headers", "properties", "delivery_info", "eta", "timestamp", "exchange"]), inner
            )
        ),
    )
)
def test_no_message_makes_it_raise(document: object) -> None:
    parse_message(json.dumps(document).encode())
    parse_unacked(json.dumps([document]).encode())


class Broker:
    """Answers for a Redis in which one worker holds one task."""

    def __init__(self, held: bytes) -> None:
        self.held = held
        self.tags = [b"tag"]

    def __call__(self, command: Command) -> Any:
        fetched = {
            "HLEN": len(self.tags),
            "ZRANGE": self.tags,
            "HSTRLEN": len(self.held),
            "HGET": self.held,
            "LLEN": 0,
        }
        return fetched.get(str(command[0]))


def fetched(broker: Broker, ticks: int) -> list[int]:
    """On which ticks the held task was fetched."""
    reader = celery_reader(LATE)
    asked = [driven(reader.read(NOW + tick), broker)[1] for tick in range(ticks)]
    return [tick for tick, steps in enumerate(asked) if any(c[0] == "HGET" for step in steps for c in step)]


def test_the_longest_held_task_is_fetched_once_and_only_when_it_was_held_for_a_tick() -> None:
    assert fetched(Broker(b'[{"headers": {}}, "", "gpu"]'), 5) == [1]
    assert fetched(Broker(b"nonsense"), 5) == [1]


def test_a_task_that_is_large_or_gone_is_never_fetched_from_those_in_flight() -> None:
    assert fetched(Broker(b"x" * 65_537), 5) == []
    assert fetched(Broker(b""), 5) == []


def test_what_the_longest_held_task_warned_of_passes_with_it() -> None:
    properties = {"delivery_info": {"exchange": "", "routing_key": "other"}}
    broker = Broker(b"[" + of(headers={"eta": "2027-01-15T08:01:00+00:00"}, properties=properties) + b"]")
    reader = celery_reader(LATE)
    seen = []
    for tags in ([b"tag"], [b"tag"], []):
        broker.tags = tags
        demand, _ = driven(reader.read(NOW), broker)
        assert isinstance(demand, Demand)
        seen.append(demand.warnings)
    assert seen == [(), ("delayed_unknown", "in_flight_shared"), ()]


def test_a_count_in_flight_that_is_refused_is_unknown_and_not_zero() -> None:
    def answer(command: Command) -> Any:
        return {"LLEN": 0, "HLEN": NoPermissionError("no")}.get(str(command[0]))

    demand, _ = driven(celery_reader(LATE).read(NOW), answer)
    assert isinstance(demand, Demand)
    assert (demand.in_flight, demand.warnings) == (None, ("in_flight_unreadable",))


def beat(worker: str, active: int, freq: float = 2.0) -> bytes:
    event = {"hostname": worker, "active": active, "freq": freq}
    return of(body=base64.b64encode(of(**event)).decode())


def test_a_worker_counts_for_three_of_its_heartbeats() -> None:
    heard = Heard("channel")
    beats = Heartbeats(heard)
    for message in (beat("a@one", 1), beat("a@one", 2), beat("b@one", 1), beat("a@two", 0), beat("three", 1, 10.0)):
        heard.hear(message)
    assert beats.at_work(NOW) == AtWork(4, {"one": 3, "three": 1})
    assert beats.at_work(NOW + 6) == AtWork(4, {"one": 3, "three": 1})
    assert beats.at_work(NOW + 7) == AtWork(1, {"three": 1})
    assert beats.at_work(NOW + 31) == AtWork(0, {})


def test_a_worker_that_beats_seldom_counts_for_three_minutes_at_most() -> None:
    heard = Heard("channel")
    beats = Heartbeats(heard)
    heard.hear(beat("a@one", 1, 1e9))
    assert beats.at_work(NOW).busy == {"one": 1}
    assert beats.at_work(NOW + 181).busy == {}


def test_what_was_heard_between_two_readings_is_bounded() -> None:
    heard = Heard("channel")
    for number in range(10_001):
        heard.hear(b"%d" % number)
    kept = heard.take()
    assert (len(kept), kept[0], kept[-1]) == (10_000, b"1", b"10000")
    assert heard.take() == []


def test_a_clock_that_is_set_back_makes_no_heartbeat_last() -> None:
    heard = Heard("channel")
    beats = Heartbeats(heard)
    heard.hear(beat("a@one", 1))
    assert beats.at_work(NOW).busy == {"one": 1}
    assert beats.at_work(NOW - 5).busy == {"one": 1}
    assert beats.at_work(NOW - 3600).busy == {}


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"\xff", b"1", b"[]", b"{}", of(body=1), of(body="!"), of(body="MQ=="), of(body="e30=")),
        *(beat("a", -1), beat("a", 1, float("nan")), of(body=base64.b64encode(of(hostname=1)).decode())),
    ],
)
def test_what_is_no_heartbeat_is_passed_over(message: bytes) -> None:
    assert parse_beat(message) is None


@pytest.mark.parametrize(
    ("late", "unacked", "beats", "in_flight", "warnings"),
    [
        (False, 3, [], 3, {"executing_hidden", "prefetch_hides_backlog"}),
        (False, 3, [beat("a@one", 2)], 5, {"prefetch_hides_backlog"}),
        (False, 0, [beat("a@one", 2)], 2, set()),
        # Another worker may be silent, and at work.
        (False, 0, [beat("a@one", 0)], None, set()),
        (True, 3, [beat("a@one", 2)], 3, {"prefetch_hides_backlog"}),
        (True, 0, [], 0, set()),
    ],
)
def test_executing_tasks_that_workers_tell_of_are_added_where_they_are_not_among_the_unacknowledged(
    late: bool, unacked: int, beats: list[bytes], in_flight: int | None, warnings: set[str]
) -> None:
    reader = celery_reader(replace(LATE, task_acks_late=late, worker_prefetch_multiplier=4, events=True))
    assert reader.heard is not None
    for message in beats:
        reader.heard.hear(message)
    demand, _ = driven(reader.read(NOW), lambda command: unacked if command[0] == "HLEN" else 0)
    assert isinstance(demand, Demand)
    assert (demand.in_flight, set(demand.warnings)) == (in_flight, warnings)
