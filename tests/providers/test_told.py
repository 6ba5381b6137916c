"""How long to wait is read from whatever the vendor says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import told
from providers.http import Answer, json_answer

NOW = 1_795_000_000.0  # Wed, 18 Nov 2026 11:06:40 GMT
RUNPOD = '"minute";r=0;t=17, "hour";r=2500;t=3100, "day";r=49000;t=80000'


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(status=429, headers={"retry-after": "12"}), 12.0),
        (Answer(status=429, headers={"retry-after": "1.5"}), 1.5),
        (Answer(status=429, headers={"retry-after": "Wed, 18 Nov 2026 11:07:10 GMT"}), 30.0),
        (Answer(status=429, headers={"retry-after": "Wed, 18 Nov 2026 11:06:10 GMT"}), None),
        (Answer(status=429, headers={"retry-after": "soon"}), None),
        (Answer(status=429, headers={"retry-after": "inf"}), None),
        (Answer(status=429, headers={"retry-after": "-5"}), None),
        (Answer(status=429, headers={"x-ratelimit-reset": str(NOW + 46400)}), 46400.0),
        (Answer(status=429, headers={"x-ratelimit-reset": "nan"}), None),
        (Answer(status=429, headers={"x-ratelimit-reset": str(1000 * NOW)}), told.LONGEST_S),
        (Answer(status=429, headers={"retry-after": "1e9"}), told.LONGEST_S),
        (Answer(status=429, headers={"ratelimit": RUNPOD}), 17.0),
        (Answer(status=429, headers={"ratelimit": RUNPOD.replace("r=2500", "r=0")}), 3100.0),
        (Answer(status=429, headers={"ratelimit": RUNPOD, "retry-after": "20"}), 20.0),
        (Answer(status=429, headers={"ratelimit": '"day"; r=7; t=9'}), None),
        (json_answer(429, {"retry_after": 7}), 7.0),
        (json_answer(429, {"retry_after": "7.5"}), 7.5),
        (json_answer(429, {"retry_after": None}), None),
        (json_answer(429, {"retry_after": [7]}), None),
        (json_answer(429, ["retry_after"]), None),
        (Answer(status=429, body=b"API requests too frequent: endpoint threshold=4.5"), None),
        (Answer(status=429, body=b"<html>"), None),
    ],
)
def test_the_longest_wait_that_is_named_counts(answer: Answer, seconds: float | None) -> None:
    assert told.wait_s(answer, NOW) == seconds


def test_windows_are_read_with_what_is_left_and_when_they_are_full_again() -> None:
    answer = Answer(status=200, headers={"ratelimit": RUNPOD})
    assert told.windows(answer) == [(0, 17.0), (2500, 3100.0), (49000, 80000.0)]


@given(st.text(), st.text(), st.text(), st.binary())
def test_nonsense_is_never_an_error(after: str, reset: str, limit: str, body: bytes) -> None:
    headers = {"retry-after": after, "x-ratelimit-reset": reset, "ratelimit": limit}
    seconds = told.wait_s(Answer(status=429, headers=headers, body=body), NOW)
    assert seconds is None or 0 < seconds < float("inf")
