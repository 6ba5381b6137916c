"""Windows of time: when they open, and what is wrong with the way they were written.

A window is as long as it says, in hours that pass: one of 10 h that opens at 22:00 before the clocks go forward closes
at 09:00. A line such as `0 8 * * 1-5` is read as Debian's cron does: a start in the hour that a change of the clocks
leaves out comes right after it, and one in the hour that comes twice comes once, the first time; only lines whose
minute or hour begins with `*` go on through both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import takewhile
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from autoscaler.core.ledger import DAY_S, day_of
from autoscaler.core.spec import SETTINGS, Limits
from autoscaler.core.units import Seconds
from policies.base import Finding

_LONGEST_S = 31 * DAY_S
_A_YEAR = range(day_of(1_798_761_600.0), day_of(1_798_761_600.0) + 366)
"""Days in which windows that contradict each other are looked for: those of 2027, as good as any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One window: when it is open, and what is wanted then."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    cron: str
    """When it opens: minute, hour, day of the month, month, day of the week, as in a crontab."""
    lasts: Seconds
    """How long it stays open."""
    zone: str = "UTC"
    """The time zone of `cron`, such as `Europe/Berlin`."""
    floor: int = 0
    """Running machines, at least."""
    ceiling: int | None = None
    """Running machines, at most; `limits.hot` alone bounds them when absent."""
    spare: int = 0
    """Running machines on top of what the other policies need."""
    standby: int = 0
    """Stopped machines that should be there."""


@lru_cache(maxsize=4096)
def starts_on(cron: str, zone: str, day: int) -> tuple[float, ...]:
    """The starts of a cron line on a UTC day, given in days since the epoch; as epoch seconds, earliest first.

    Each line is read once a day.
    """
    begin, end = day * DAY_S, (day + 1) * DAY_S
    line = CronSim(cron, datetime.fromtimestamp(begin - 1.0, ZoneInfo(zone)))
    return tuple(takewhile(lambda at: at < end, (start.timestamp() for start in line)))


def starts(window: Window, after: float, until: float) -> Iterator[float]:
    """The starts of a window later than one moment and not later than another, in epoch seconds, earliest first."""
    for day in range(day_of(after), day_of(until) + 1):
        yield from (at for at in starts_on(window.cron, window.zone, day) if after < at <= until)


def findings(windows: Sequence[Window], limits: Limits) -> Iterator[Finding]:
    """All that is wrong with windows, for a pool with these limits."""
    if not windows:
        example = '{cron: "0 8 * * 1-5", lasts: 10h, zone: Europe/Berlin, floor: 2}'
        yield (), f"expected at least one window, such as {example}"
    sound = []
    for number, window in enumerate(windows):
        wrong = [*_time(window), *_numbers(window, limits)]
        yield from (((number, key), text) for key, text in wrong)
        if not wrong:
            sound.append((number, window))
    for number, window in sound:
        for other, ceiling in ((n, w.ceiling) for n, w in sound if w.ceiling is not None and w.ceiling < window.floor):
            at = _first_shared(window, windows[other])
            if at is not None:
                when = datetime.fromtimestamp(at, ZoneInfo(window.zone)).strftime("%a %d %b %H:%M")
                text = (
                    f"above the ceiling ({ceiling}) of windows[{other}], which is open at the same time, as on {when}"
                )
                yield (number, "floor"), f"{text}; the ceiling would stand, so raise it or part the two"


def _time(window: Window) -> Iterator[tuple[str, str]]:
    try:
        CronSim(window.cron, datetime(2027, 1, 1))  # noqa: DTZ001 - only read, never run
        fields = len(window.cron.split())
    except CronSimError as error:
        text = f"{str(error).lower()}; expected minute, hour, day of the month, month and day of the week"
        yield "cron", f"{text}, such as 0 8 * * 1-5"
    else:
        if fields != 5:
            yield "cron", "expected five fields; seconds are not known"
    try:
        ZoneInfo(window.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(window.zone, available_timezones(), n=1)
        hint = f'did you mean "{near[0]}"?' if near else "expected one such as Europe/Berlin"
        yield "zone", f"there is no such time zone; {hint}"
    if not 0 < window.lasts <= _LONGEST_S:
        yield "lasts", "expected more than 0s and at most 31d"


def _numbers(window: Window, limits: Limits) -> Iterator[tuple[str, str]]:
    for key in ("floor", "spare", "standby"):
        if getattr(window, key) < 0:
            yield key, "expected 0 or more"
    if window.floor > limits.hot.high:
        yield "floor", f"above limits.hot ({limits.hot}); lower it, or raise the limit"
    if window.standby > limits.warm.high:
        yield "standby", f"above limits.warm ({limits.warm}); lower it, or raise the limit"
    if window.ceiling is not None and window.ceiling < limits.hot.low:
        yield "ceiling", f"below limits.hot ({limits.hot}); raise it, or lower the limit and keep it with a floor"
    if window.ceiling is not None and window.ceiling < window.floor:
        yield "ceiling", f"below the floor ({window.floor}) of the same window"
    if window.floor == window.spare == window.standby == 0 and window.ceiling is None:
        yield "cron", "this window changes nothing; give it a floor, a ceiling, a spare or a standby"


def _first_shared(one: Window, other: Window) -> float | None:
    """The first moment in a year at which both are open, in epoch seconds; None if there is none."""
    for day in _A_YEAR:
        for at in starts_on(one.cron, one.zone, day):
            if any(starts(other, at - other.lasts, at)):
                return at
        for at in starts_on(other.cron, other.zone, day):
            if any(starts(one, at - one.lasts, at)):
                return at
    return None
