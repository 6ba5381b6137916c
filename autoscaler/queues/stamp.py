"""Timestamps of jobs: in the job itself, or under a key beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from autoscaler.core.demand import AgeSource
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, Unit, age_since, epoch_seconds, unreadable
from autoscaler.queues.base import Steps, literal

MAX_ID_BYTES = 1024


class Stamp(Protocol):
    """Tells the age of the job next in line."""

    def read(self, head: Reply, now: float, /) -> Steps[Age]:
        """The age of that job, in at most one step; unknown where there is none, which is a reply of None."""
        ...


class InJob:
    """The job says itself when it was enqueued."""

    def __init__(self, tell: Callable[[bytes], float | None], source: AgeSource = AgeSource.EXACT) -> None:
        self._tell = tell
        self._source = source

    def read(self, head: Reply, now: float) -> Steps[Age]:
        """Nothing to ask: `tell` gives epoch seconds, or None where the job does not say."""
        yield from ()
        if head is None:
            return UNKNOWN_AGE
        enqueued_at = self._tell(head) if isinstance(head, bytes) else None
        return unreadable() if enqueued_at is None else age_since(enqueued_at, now, self._source)


class BesideJob:
    """Another key says when the job was enqueued.

    It remembers one id until none waits, and asks when that changes, and again after `again_s` of the same job.
    """

    def __init__(
        self,
        ask: Callable[[bytes], Command],
        tell: Callable[[Reply, float], float | None],
        source: AgeSource = AgeSource.EXACT,
        *,
        again_s: float = math.inf,
    ) -> None:
        self._ask = ask
        self._tell = tell
        self._source = source
        self._again_s = again_s
        self._known: tuple[bytes, float] | None = None
        self._ask_again_at = math.inf

    def read(self, head: Reply, now: float) -> Steps[Age]:
        """`ask` makes a command of the job's id, and `tell` epoch seconds of its reply and of now, or None."""
        if head is None:
            self._known = None  # the same id may come again
            return UNKNOWN_AGE
        if not isinstance(head, bytes) or len(head) > MAX_ID_BYTES:
            return unreadable()
        if self._known is None or self._known[0] != head or now >= self._ask_again_at:
            [reply] = yield [self._ask(head)]
            enqueued_at = self._tell(reply, now)
            if enqueued_at is None:
                return unreadable()
            self._known, self._ask_again_at = (head, enqueued_at), now + self._again_s
        return age_since(self._known[1], now, self._source)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timestamp:
    """Where a job's enqueue time stands: `path` for jobs in JSON, `key` and `field` for jobs that are bare ids."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    path: str | None = None
    """Field of a JSON job, its levels joined by dots, e.g. `meta.created_at`."""
    key: str | None = None
    """Hash that describes a job, with `{id}` for the job, e.g. `job:{id}`."""
    field: str | None = None
    """Field of that hash, e.g. `created_at`."""
    unit: Unit = "auto"
    """How the time is written; `auto` tells the unit by the value."""

    def __post_init__(self) -> None:
        in_job = self.path is not None
        in_hash = self.key is not None and self.field is not None
        if in_job == in_hash or (in_job and (self.key, self.field) != (None, None)):
            raise ValueError("expected either `path`, or both `key` and `field`")
        if self.key is not None and "{id}" not in self.key:
            raise ValueError(f"key {self.key!r} must contain {{id}}, where the job's id goes")


def configured(timestamp: Timestamp) -> Stamp:
    """The timestamp that a user named."""
    path, key, field, unit = timestamp.path, timestamp.key, timestamp.field, timestamp.unit
    if path is not None:
        return InJob(lambda job: epoch_seconds(at_path(job, path), unit), AgeSource.CONFIGURED)
    assert key is not None and field is not None  # noqa: S101, PT018 - __post_init__ saw to it
    template, name = key.encode(), field
    return BesideJob(
        lambda job: ("HGET", template.replace(b"{id}", job), name),
        lambda reply, _now: epoch_seconds(reply, unit),
        AgeSource.CONFIGURED,
    )


def stamp_keys(timestamp: Timestamp | None) -> tuple[str, ...]:
    """The keys that such a timestamp is read from besides the job's own, as Redis' ACL takes them."""
    if timestamp is None or timestamp.key is None:
        return ()
    return ("*".join(map(literal, timestamp.key.split("{id}"))),)


def stamp_commands(timestamp: Timestamp | None) -> frozenset[str]:
    """The commands that it is read by besides those for the job itself."""
    return frozenset({"HGET"}) if stamp_keys(timestamp) else frozenset()


def at_path(job: Reply, path: str) -> object:
    """What stands at a path of a JSON document, its levels joined by dots; None where nothing does."""
    if not isinstance(job, bytes):
        return None
    try:
        value = json.loads(job)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
