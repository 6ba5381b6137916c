"""The stored forms."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from autoscaler.core.errors import NewerRecords, StoreUnavailable
from autoscaler.core.instance import RECORD_VERSION, Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import PoolSample, Sample, TierSample
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.codec import decode_heartbeat, decode_instance, decode_sample, encode_instance, encode_sample
from tests.support.stores import INSTANCES, an_instance


@given(INSTANCES)
def test_a_record_survives_its_stored_form(record: Instance) -> None:
    assert decode_instance(record.id, encode_instance(record)) == record


def test_a_stored_record_is_json_that_names_its_version() -> None:
    stored = json.loads(encode_instance(an_instance("i1")))
    assert stored["v"] == RECORD_VERSION
    assert stored["id"] == "i1"


def test_a_newer_record_is_refused_with_both_versions() -> None:
    newer = {**json.loads(encode_instance(an_instance())), "v": RECORD_VERSION + 1, "phase": "hibernating"}
    with pytest.raises(NewerRecords, match=f"version {RECORD_VERSION + 1}.*up to {RECORD_VERSION}"):
        decode_instance("i1", json.dumps(newer).encode())


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"{}",
        b'{"v": "one"}',
        b'{"v": null}',
        b'{"v": 1}',
        encode_instance(an_instance()).replace(b'"hot"', b'"lukewarm"'),
    ],
)
def test_an_unreadable_record_is_reported_by_name(stored: bytes) -> None:
    with pytest.raises(StoreUnavailable, match="the record of instance i1 cannot be read") as caught:
        decode_instance("i1", stored)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stored", "beat"),
    [
        (b"0", Heartbeat(busy=0, stamp="0")),
        (b" 2 ", Heartbeat(busy=2, stamp=" 2 ")),
        (b'{"busy": 1}', Heartbeat(busy=1, stamp='{"busy": 1}')),
        (
            b'{"busy":1,"slots":4,"drained":true,"job":"x","at":17}',
            Heartbeat(busy=1, slots=4, drained=True, stamp='{"busy":1,"slots":4,"drained":true,"job":"x","at":17}'),
        ),
    ],
)
def test_a_heartbeat_is_a_number_or_an_object_and_its_stamp_is_the_whole_of_it(stored: bytes, beat: Heartbeat) -> None:
    assert decode_heartbeat(stored) == beat


def test_a_heartbeat_may_count_the_jobs_taken_by_tier() -> None:
    beat = decode_heartbeat(b'{"busy":1,"taken":{"pro":12,"free":0}}')
    assert beat is not None
    assert beat.taken == {"pro": 12, "free": 0}


@pytest.mark.parametrize(
    "taken", [b"7", b'{"pro":-1}', b'{"pro":"many"}', b"[]", b"null", b"1795000000.5", b'{"pro":1%b}' % (b"0" * 400)]
)
def test_counts_that_make_no_sense_are_none_and_the_heartbeat_still_counts(taken: bytes) -> None:
    beat = decode_heartbeat(b'{"busy":1,"taken":%b}' % taken)
    assert beat is not None
    assert (beat.busy, beat.taken) == (1, None)


def test_a_heartbeat_may_tell_of_trouble_and_of_the_gpu() -> None:
    beat = decode_heartbeat(b'{"busy":1,"trouble":"CUDA error 999","gpu_util":0.83}')
    assert beat is not None
    assert (beat.trouble, beat.gpu_util) == ("CUDA error 999", 0.83)


@pytest.mark.parametrize("value", [b"83", b"-0.1", b'"busy"', b"null", b"[]"])
def test_a_gpu_share_that_is_none_is_unknown_and_the_heartbeat_still_counts(value: bytes) -> None:
    beat = decode_heartbeat(b'{"busy":1,"gpu_util":%b}' % value)
    assert beat is not None
    assert (beat.busy, beat.gpu_util) == (1, None)


@pytest.mark.parametrize(
    ("value", "words"), [(b"7", ""), (b"null", ""), (b'""', ""), (b'"%b"' % (b"x" * 999), "x" * 199 + "…")]
)
def test_trouble_is_a_few_words_or_none(value: bytes, words: str) -> None:
    beat = decode_heartbeat(b'{"busy":1,"trouble":%b}' % value)
    assert beat is not None
    assert beat.trouble == words


@pytest.mark.parametrize("done", [b"[1, Infinity]", b"[1, NaN]", b"[1, -1]", b"[1e400, 1]", b"[1]"])
def test_seconds_at_work_that_make_no_sense_are_none_and_the_heartbeat_still_counts(done: bytes) -> None:
    beat = decode_heartbeat(b'{"busy":1,"done":{"pro":%b}}' % done)
    assert beat is not None
    assert (beat.busy, beat.done) == (1, None)


@pytest.mark.parametrize(
    ("told", "classes"),
    [
        (b'{"sdxl-1024": [12, 340.2]}', {"sdxl-1024": (12, 340.2)}),
        (b'{"org/model:v1.2@8+lora": [0, 0]}', {"org/model:v1.2@8+lora": (0, 0.0)}),
        (b"{}", {}),
        *((hostile, None) for hostile in (b"7", b'{"": [1, 1]}', b'{" x": [1, 1]}', b'{"_other": [1, 1]}')),
        *((hostile, None) for hostile in (b'{"a\\n": [1, 1]}', b'{"<b>": [1, 1]}', b'{"x": [-1, 1]}', b'{"x": [1]}')),
        (b'{"%b": [1, 1]}' % (b"x" * 49), None),
        (b"{%b}" % b",".join(b'"c%d": [1, 1]' % number for number in range(21)), None),
    ],
)
def test_classes_of_jobs_are_few_with_plain_names_or_none_and_the_heartbeat_still_counts(
    told: bytes, classes: object
) -> None:
    beat = decode_heartbeat(b'{"busy":1,"classes":%b}' % told)
    assert beat is not None
    assert (beat.busy, beat.classes) == (1, classes)


def test_a_newer_sample_is_refused_and_an_unreadable_one_named() -> None:
    newer = encode_sample(Sample(at=0.0, until=60.0)).replace(b'"v":', b'"v":9')
    with pytest.raises(NewerRecords, match=r"sample 7-0 of the history has version 9"):
        decode_sample("7-0", newer)
    with pytest.raises(StoreUnavailable, match=r"sample 7-0 of the history cannot be read"):
        decode_sample("7-0", b'{"v":1}')


def test_a_sample_of_three_tiers_takes_at_most_a_third_of_a_kilobyte() -> None:
    tiers = {name: TierSample(12, 11, 140, 321.5) for name in ("pro", "premium", "free")}
    hours = {Phase.HOT: 180.0, Phase.WARM: 60.0, Phase.BOOTING: 60.0}
    pool = PoolSample(
        tiers=tiers, seen_s=60.002, counted=True, in_flight=3, busy_s=171.3, machine_s=hours, usd=0.04016667
    )
    stored = encode_sample(Sample(at=1800000000.123, until=1800000060.125, pools={"images": pool}))
    assert len(stored) <= 1024 / 3


@pytest.mark.parametrize(
    "stored",
    [
        *(b"", b"-1", b"1.5", b"idle", b"null", b"[]", b"{}", b'{"busy": -1}', b'{"busy": "?"}', b"\xff", b"{"),
        *(b"1" + b"0" * 400, b'{"busy": 1%b}' % (b"0" * 400), b'{"busy": 1, "slots": 1%b}' % (b"0" * 400)),
        b"[" * 100_000,
    ],
)
def test_an_unreadable_heartbeat_is_none(stored: bytes) -> None:
    assert decode_heartbeat(stored) is None
