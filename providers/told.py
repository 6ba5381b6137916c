"""How long a vendor asks to be left alone, in whichever of the usual ways it says so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

from providers.http import Answer

LONGEST_S = 86400.0
"""No vendor's limits last longer than a day: who names a longer time counts in milliseconds, or his clock is wrong."""
_WINDOW = re.compile(r'"?[\w-]+"?((?:\s*;\s*\w+=\d+)+)')


def wait_s(answer: Answer, now: float) -> float | None:
    """Seconds until a vendor that refused with 429 will listen again: the longest it names, and a day at most.

    None where it names none.

    Read are `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), `X-RateLimit-Reset` in epoch seconds, the
    exhausted windows of `RateLimit` (:func:`windows`), and `retry_after` in a JSON body. `now` is in epoch seconds.
    """
    told = [*_headers(answer, now), *_body(answer), *(resets_s for left, resets_s in windows(answer) if left == 0)]
    return max((min(seconds, LONGEST_S) for seconds in told if math.isfinite(seconds) and seconds > 0), default=None)


def windows(answer: Answer) -> list[tuple[int, float]]:
    """The windows an answer tells of in `RateLimit: "minute";r=58;t=17, …`: requests left, seconds until it is full.

    The header is that of draft-ietf-httpapi-ratelimit-headers-10, 4.1.
    """
    found = []
    for window in _WINDOW.findall(answer.headers.get("ratelimit", "")):
        parameters = dict(re.findall(r"(\w+)=(\d+)", window))
        if "r" in parameters and "t" in parameters:
            found.append((int(parameters["r"]), float(parameters["t"])))
    return found


def _headers(answer: Answer, now: float) -> Iterator[float]:
    after = answer.headers.get("retry-after", "").strip()
    try:
        if after:
            yield float(after)
    except ValueError:
        yield from _until(after, now)
    try:
        yield float(answer.headers.get("x-ratelimit-reset", "")) - now
    except ValueError:
        return


def _until(date: str, now: float) -> Iterator[float]:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return
    yield (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now


def _body(answer: Answer) -> Iterator[float]:
    try:
        told = answer.json()
    except ValueError:
        return
    after = told.get("retry_after") if isinstance(told, dict) else None
    try:
        if after is not None:
            yield float(after)
    except (TypeError, ValueError):
        return
