"""Age without a timestamp: count arrivals from tick to tick, and remember when how many had arrived.

A list of N elements, A of which have ever arrived, has element number A - N + 1 next in line. The ticks between which
the count of arrivals reached that number bracket its time of arrival. How many arrived since the last tick is the
position of what was then the newest element: one LPOS.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from autoscaler.link import Command, Reply
from autoscaler.queues.base import count
from autoscaler.queues.caution import Caution

MAX_PAYLOAD_BYTES = 64 * 1024
_MAX_SCAN = 10_000
_MAX_MARKS = 1024
_NO_ANSWER = object()


@dataclass(frozen=True, slots=True)
class Bracket:
    """The element next in line arrived after `earliest` and not after `latest`; None where a bound is unknown."""

    earliest: float | None = None
    latest: float | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    at: float
    arrived: int
    """Elements that had ever arrived at that time."""


class Watermark:
    """Follows one list whose elements leave at one end and arrive at the other.

    Each tick fetches the newest element, and sends that of the tick before. An element above `MAX_PAYLOAD_BYTES` ends
    that until the list was seen empty; meanwhile the time of the last emptiness is the only bound. The same holds where
    Redis refuses the commands. Elements that repeat, jobs put back at the near end and more than 10,000 arrivals in a
    tick blur the bracket, by as many positions as they are. At most 1,024 marks are kept; beyond, every other one goes
    and the brackets get wider.
    """

    def __init__(self, newest_end: Literal["left", "right"]) -> None:
        self._newest_end = newest_end
        self._obstacle: Caution | None = None
        self._newest: bytes | None = None
        self._next = 1
        """Number of the element next in line, as of the last tick."""
        self._marks: list[_Mark] = []
        self._empty_at: float | None = None

    @property
    def obstacle(self) -> Caution | None:
        """Why arrivals are not followed, if they are not."""
        return self._obstacle

    def commands(self, key: str) -> list[Command]:
        """What to ask besides the length. LPOS goes first: an arrival between the two must not count twice."""
        if self._obstacle is not None:
            return []
        return [*([] if self._newest is None else [self._position(key, self._newest)]), self._fetch(key)]

    def observe(self, answers: Mapping[Command, Reply], key: str, length: int, now: float) -> Bracket:
        """Take in the answers of a tick. The bracket of an empty list has no bounds."""
        newest = answers.get(self._fetch(key))
        if length == 0 or (newest is None and self._obstacle is None):
            self._empty(now)
            return Bracket()
        if self._obstacle is None:
            self._obstacle = self._obstacle_in(newest)
        arrivals = self._arrivals(answers, key, length)
        if self._obstacle is not None or arrivals is None:
            self._obstacle = self._obstacle or Caution.AGE_UNREADABLE
            self._newest = None
            return Bracket(earliest=self._empty_at)
        self._newest = newest
        return self._bracket(arrivals, length, now)

    def _position(self, key: str, element: bytes) -> Command:
        rank = 1 if self._newest_end == "left" else -1
        return ("LPOS", key, element, "RANK", rank, "MAXLEN", _MAX_SCAN)

    def _fetch(self, key: str) -> Command:
        return ("LINDEX", key, 0 if self._newest_end == "left" else -1)

    def _empty(self, now: float) -> None:
        arrived = self._marks[-1].arrived if self._marks else 0
        self._marks = [_Mark(now, arrived)]
        self._next = arrived + 1
        self._empty_at = now
        self._newest = None
        self._obstacle = None

    def _obstacle_in(self, newest: Reply) -> Caution | None:
        if not isinstance(newest, bytes):
            return Caution.AGE_UNREADABLE
        return Caution.PAYLOAD_TOO_LARGE if len(newest) > MAX_PAYLOAD_BYTES else None

    def _arrivals(self, answers: Mapping[Command, Reply], key: str, length: int) -> int | None:
        """Arrivals since the last tick, never too many; None where Redis does not tell."""
        if self._newest is None:
            return length
        position = answers.get(self._position(key, self._newest), _NO_ANSWER)
        if position is None:  # gone, so that all here is new; or beyond the scan
            return min(length, _MAX_SCAN)
        index = count(position)
        if index is None:
            return None
        return min(length, max(0, index if self._newest_end == "left" else length - 1 - index))

    def _bracket(self, arrivals: int, length: int, now: float) -> Bracket:
        arrived = (self._marks[-1].arrived if self._marks else 0) + arrivals
        # Whatever was not seen to arrive but must have: numbers in line never go back.
        arrived = max(arrived, self._next + length - 1)
        self._next = arrived - length + 1
        self._remember(_Mark(now, arrived))
        index = bisect_left(self._marks, self._next, key=lambda mark: mark.arrived)
        earliest = self._marks[index - 1].at if index else None
        latest = self._marks[index].at
        del self._marks[: max(0, index - 1)]
        return Bracket(earliest, latest)

    def _remember(self, mark: _Mark) -> None:
        if len(self._marks) >= 2 and self._marks[-2].arrived == mark.arrived:
            self._marks.pop()  # nothing arrived in between: only the first and the last such moment matter
        self._marks.append(mark)
        if len(self._marks) > _MAX_MARKS:
            self._marks = self._marks[::2]  # of an odd number, so that the last one stays
