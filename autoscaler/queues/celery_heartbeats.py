"""What Celery's workers say of themselves, every 2 s unless told otherwise: heartbeats, which need no answer."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.queues.age import parse_number
from autoscaler.queues.base import count, instance_of
from autoscaler.queues.heard import Heard

_MISSED = 3
"""Heartbeats that may fail to come before the last one counts no more."""
_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Beat:
    """One heartbeat."""

    worker: str
    """`NAME@HOST`, as `celery worker -n` was told."""
    active: int
    """Tasks that it executes."""
    interval_s: float


@dataclass(frozen=True, slots=True)
class AtWork:
    """What the workers heard of late have in hand."""

    workers: int
    busy: Mapping[str, int]
    """Tasks executing, by the instance that the worker's name tells; none that is idle."""


class Heartbeats:
    """The last heartbeat of each worker.

    When one was sent is not asked, for clocks differ: it counts from the reading that it was heard by.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._last: dict[str, tuple[float, Beat]] = {}

    @property
    def unheard(self) -> bool:
        """Whether some may have been missed."""
        return self._heard.broke_off

    def at_work(self, now: float) -> AtWork:
        """What is known now, of workers of all queues of the broker."""
        for beat in filter(None, map(parse_beat, self._heard.take())):
            self._last[beat.worker] = now, beat
        self._last = {
            worker: (at, beat)
            for worker, (at, beat) in self._last.items()
            if abs(now - at) <= _MISSED * beat.interval_s  # the clock may have been set back
        }
        busy = Counter[str]()
        for worker, (_, beat) in self._last.items():
            busy[instance_of(worker)] += beat.active
        return AtWork(len(self._last), +busy)


def parse_beat(message: bytes) -> Beat | None:
    """A heartbeat as kombu publishes it, JSON in a body in base64; None for anything else."""
    try:
        event = json.loads(base64.b64decode(json.loads(message)["body"]))
        worker, active, interval_s = event["hostname"], count(event["active"]), parse_number(event["freq"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    if not isinstance(worker, str) or active is None or interval_s is None:
        return None
    return Beat(worker, active, min(interval_s, _LONGEST_S))
