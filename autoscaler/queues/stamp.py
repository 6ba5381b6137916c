"""Timestamps that the producer wrote: in the job itself, or in a hash beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.demand import AgeSource
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, Unit, age_since, epoch_seconds, unreadable
from autoscaler.queues.base import Answers

_MAX_ID_BYTES = 1024


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


class JobStamp:
    """Tells the age of a job by its producer's timestamp. It remembers one id, and asks only when that changes."""

    def __init__(self, timestamp: Timestamp) -> None:
        self._timestamp = timestamp
        self._known: tuple[bytes, float] | None = None

    def ask(self, job: Reply) -> list[Command]:
        """What must be asked to know this job's time."""
        command = self._question(job)
        return [] if command is None or self._remembered(job) is not None else [command]

    def age(self, job: Reply, answers: Answers, now: float) -> Age:
        """The age of a job, or of no job at all."""
        if job is None:
            return UNKNOWN_AGE
        enqueued_at = self._remembered(job)
        if enqueued_at is None:
            enqueued_at = self._enqueued_at(job, answers)
        if enqueued_at is None:
            return unreadable()
        if self._timestamp.key is not None:
            self._known = (job, enqueued_at)
        return age_since(enqueued_at, now, AgeSource.CONFIGURED)

    def _remembered(self, job: Reply) -> float | None:
        return self._known[1] if self._known is not None and self._known[0] == job else None

    def _question(self, job: Reply) -> Command | None:
        key, field = self._timestamp.key, self._timestamp.field
        if key is None or field is None or not isinstance(job, bytes) or len(job) > _MAX_ID_BYTES:
            return None
        return ("HGET", key.encode().replace(b"{id}", job), field)

    def _enqueued_at(self, job: Reply, answers: Answers) -> float | None:
        if self._timestamp.path is not None:
            value = _at_path(job, self._timestamp.path)
        else:
            command = self._question(job)
            value = answers.get(command) if command is not None else None
        return epoch_seconds(value, self._timestamp.unit)


def _at_path(job: Reply, path: str) -> object:
    if not isinstance(job, bytes):
        return None
    try:
        value = json.loads(job)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
