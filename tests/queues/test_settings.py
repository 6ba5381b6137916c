from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.demand import AgeSource
from autoscaler.queues import QueueSettings, make_reader
from autoscaler.queues.age import Age, Unit, age_since, epoch_seconds
from autoscaler.queues.band import Band, parse_band
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.zset import ZsetQueue
from tests.support.queues import NOW

QUEUE: TypeAdapter[QueueSettings] = TypeAdapter(QueueSettings)
TIERS = [{"name": "pro", "key": "a"}, {"name": "free", "key": "b"}]


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        QUEUE.validate_python(document)
    return str(refused.value)


def test_kind_tells_which_queue_it_is() -> None:
    queue = QUEUE.validate_python({"kind": "list", "tiers": [{"name": "pro", "key": "jobs", "wait_target": "30s"}]})
    assert queue == ListQueue(kind="list", tiers=(ListTier(name="pro", key="jobs", wait_target=30.0),))


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "list", "tiers": TIERS},
        {"kind": "stream", "tiers": TIERS, "group": "g"},
        {"kind": "zset", "tiers": TIERS, "score": "time"},
        {"kind": "zset", "tiers": TIERS, "score": "priority", "pop": "highest", "timestamp": {"path": "at"}},
    ],
)
def test_every_kind_has_a_reader(document: dict[str, Any]) -> None:
    assert next(make_reader(QUEUE.validate_python(document)).read(NOW))


def test_bands_of_scores_are_written_low_to_high() -> None:
    tiers = [{"name": "pro", "key": "a", "scores": "..9"}, {"name": "free", "key": "a", "scores": "10..19"}]
    queue = QUEUE.validate_python({"kind": "zset", "tiers": tiers, "score": "priority"})
    assert isinstance(queue, ZsetQueue)
    assert [tier.scores for tier in queue.tiers] == [Band(float("-inf"), 9), Band(10, 19)]


@pytest.mark.parametrize(
    ("text", "band"),
    [("0..9", Band(0, 9)), ("-5..-1", Band(-5, -1)), ("10..", Band(10)), (3, Band(3, 3)), ("0.5 .. 1", Band(0.5, 1))],
)
def test_a_band_of_scores_is_read_as_written(text: object, band: Band) -> None:
    assert parse_band(text) == band
    assert parse_band(band) is band


@pytest.mark.parametrize("text", ["0..9", "10..", "..-1", "..", "0.1..1700000000001", "123456789012345678901234.."])
def test_a_band_of_scores_is_told_as_it_was_written(text: str) -> None:
    assert parse_band(str(parse_band(text))) == parse_band(text)
    assert str(parse_band(text)).startswith(text[:10])


def test_bands_that_differ_in_the_last_digit_are_two_tiers() -> None:
    tiers = [{"name": name, "key": "a", "scores": scores} for name, scores in (("pro", 1_000_001), ("free", 1_000_002))]
    queue = QUEUE.validate_python({"kind": "zset", "tiers": tiers, "score": "priority"})
    assert isinstance(queue, ZsetQueue)
    assert [str(tier.scores) for tier in queue.tiers] == ["1000001..1000001", "1000002..1000002"]


@pytest.mark.parametrize("text", ["9..0", "high", "1...2", "1..2..3", None, True, [], "nan..1", "1e5..2"])
def test_what_is_no_band_of_scores_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        parse_band(text)


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"kind": "list", "tiers": []}, "expected at least one tier"),
        ({"kind": "list", "tiers": [TIERS[0], TIERS[0]]}, "two tiers have the name 'pro'; each needs its own"),
        ({"kind": "list", "tiers": [TIERS[0], {"name": "free", "key": "a"}]}, "two tiers have the key 'a'"),
        ({"kind": "list", "tiers": TIERS, "timestamp": {}}, "expected either `path`, or both `key` and `field`"),
        ({"kind": "list", "tiers": TIERS, "timestamp": {"key": "a:{id}"}}, "expected either `path`"),
        ({"kind": "list", "tiers": TIERS, "timestamp": {"path": "a", "field": "b"}}, "expected either `path`"),
        ({"kind": "list", "tiers": TIERS, "timestamp": {"key": "a", "field": "b"}}, "must contain {id}"),
        ({"kind": "list", "tiers": TIERS, "group": "g"}, "group"),
        (
            {"kind": "list", "tiers": TIERS, "in_flight_keys": ["p", "b"]},
            "key 'b' in in_flight_keys is a tier's already",
        ),
        (
            {"kind": "zset", "score": "time", "tiers": TIERS, "in_flight_keys": ["p", "p"]},
            "key 'p' in in_flight_keys is there already, so that its jobs would count twice",
        ),
        ({"kind": "stream", "tiers": TIERS}, "group"),
        ({"kind": "zset", "tiers": TIERS, "score": "time", "pop": "highest"}, "for `score: priority` only"),
        ({"kind": "zset", "tiers": TIERS, "score": "time", "timestamp": {"path": "a"}}, "for `score: priority` only"),
        ({"kind": "zset", "tiers": TIERS, "score": "priority", "unit": "ms"}, "for `score: time` only"),
        (
            {
                "kind": "zset",
                "score": "priority",
                "tiers": [{"name": "a", "key": "z", "scores": "0..9"}, {"name": "b", "key": "z", "scores": "9..12"}],
            },
            "tiers 'a' and 'b' overlap in the scores of key 'z'",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_what_was_expected(
    document: dict[str, Any], complaint: str
) -> None:
    assert complaint in refusal(document)


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [
        (b"1800000000", "auto", NOW),
        (b"1800000000.25", "auto", NOW + 0.25),
        (1800000000000, "auto", NOW),
        (b"1800000000000000", "auto", NOW),
        (1800000000000000000, "auto", NOW),
        (b"2027-01-15T08:00:00Z", "auto", NOW),
        ("2027-01-15T09:00:00.000+01:00", "iso8601", NOW),
        ("2027-01-15 08:00:00", "iso8601", NOW),
        (b"1800000000", "ms", NOW / 1000),
        (b"1800000000", "iso8601", None),
        (b"2027-01-15T08:00:00Z", "s", None),
        (b"soon", "auto", None),
        (b"", "auto", None),
        (b"nan", "auto", None),
        (10**400, "auto", None),
        (b"\xff\xfe", "auto", None),
        (None, "auto", None),
        (True, "s", None),
        ([1], "s", None),
    ],
)
def test_timestamps_are_read_in_every_unit(value: object, unit: Unit, seconds: float | None) -> None:
    assert epoch_seconds(value, unit) == seconds


def test_an_age_is_never_negative() -> None:
    assert age_since(NOW + 1, NOW, AgeSource.EXACT) == Age(enqueued_at=NOW + 1, wait_s=0.0, source=AgeSource.EXACT)
