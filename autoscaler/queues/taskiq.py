"""Taskiq with taskiq-redis: its `ListQueueBroker` and its `RedisStreamBroker`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.age import epoch_seconds
from autoscaler.queues.base import Steps, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Hidden
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, tier_names
from autoscaler.queues.places import PartlyStampedList
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import InJob, at_path
from autoscaler.queues.stream import STREAM_COMMANDS, PendingEntries, Stream
from autoscaler.queues.stream_replies import consumers_of, parse_entries

_MAX_LOOKED_AT = 100
"""Keys of each type whose jobs are looked at when queues are recognised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskiqTier(QueueTier):
    """A tier that has a broker's queue of its own."""

    queue: str = "taskiq"
    """The broker's `queue_name`, or the label `queue_name` of the tasks that are sent elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskiqQueue:
    """Queues of Taskiq."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["taskiq"]
    """Queues of Taskiq."""
    broker: Literal["list", "stream"]
    """`list` for ListQueueBroker, `stream` for RedisStreamBroker, and their Sentinel and Cluster variants."""
    tiers: tuple[TaskiqTier, ...]
    """Most urgent first; each has a queue of its own."""
    consumer_group_name: str = "taskiq"
    """The consumer group of a RedisStreamBroker's workers."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])
        if self.broker == "list" and self.consumer_group_name != "taskiq":
            raise ValueError("`consumer_group_name` is for `broker: stream` only")


def taskiq_reader(settings: TaskiqQueue) -> PoolReader:
    """The reader of queues of Taskiq.

    A list's jobs carry no time unless a middleware adds the label `enqueued_at`, epoch seconds; without, the age is
    estimated. A worker takes a job out of the list before it starts it, and leaves no trace of it in Redis.

    A stream's jobs are in flight from their delivery on. A worker is delivered up to `xread_count` jobs at once,
    however few it runs: while any holds more than one, some of those in flight may not have started.
    """
    queues = [tier.queue for tier in settings.tiers]
    probe: list[Command] = [("EXISTS", queue) for queue in queues]
    if settings.broker == "list":
        tiers = [TierReader(t.name, PartlyStampedList(t.queue, "right", InJob(_enqueued_at))) for t in settings.tiers]
        return PoolReader(tiers, Hidden(Caution.EXECUTING_HIDDEN), probe=probe)
    group = settings.consumer_group_name
    return PoolReader(
        [TierReader(tier.name, Stream(tier.queue, group)) for tier in settings.tiers],
        PendingEntries(queues, group, when_several={Caution.PREFETCH_HIDES_BACKLOG}),
        probe=probe,
    )


def _enqueued_at(job: bytes) -> float | None:
    return epoch_seconds(at_path(job, "labels.enqueued_at"), "auto")


def _rights(settings: TaskiqQueue) -> Rights:
    return Rights(
        keys=tuple(literal(tier.queue) for tier in settings.tiers),
        commands=STREAM_COMMANDS
        if settings.broker == "stream"
        else frozenset({"EXISTS", "TYPE", "LLEN", "LINDEX", "LPOS"}),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[TaskiqQueue]]]:
    """Lists and streams whose next or first entry is a job as Taskiq's default formatter writes it in JSON.

    Jobs of another serializer are not recognised, save in a stream whose consumer group has Taskiq's default name.
    """
    lists = [found[0] for found in islice(keyspace.of_type("list", ".+"), _MAX_LOOKED_AT)]
    streams = [found[0] for found in islice(keyspace.of_type("stream", ".+"), _MAX_LOOKED_AT)]
    jobs: list[Command] = [("LINDEX", key, -1) for key in lists]
    entries: list[Command] = [("XRANGE", key, "-", "+", "COUNT", 1) for key in streams]
    groups: list[Command] = [("XINFO", "GROUPS", key) for key in streams]
    replies = iter((yield [*jobs, *entries, *groups]) if jobs or entries else ())
    found = [key for key, job in zip(lists, islice(replies, len(lists)), strict=True) if _is_job(job)]
    of_group: defaultdict[str, list[str]] = defaultdict(list)
    first = list(islice(replies, len(streams)))
    for key, entry, group in zip(streams, first, replies, strict=True):
        names = consumers_of(group)
        if "taskiq" in names or _is_first_job(entry):
            of_group["taskiq" if "taskiq" in names else min(names, default="taskiq")].append(key)
    settings = [TaskiqQueue(kind="taskiq", broker="list", tiers=_tiers(found))] if found else []
    for group, keys in sorted(of_group.items()):
        settings.append(
            TaskiqQueue(kind="taskiq", broker="stream", tiers=_tiers(keys), consumer_group_name=group),
        )
    return [_recognised(each) for each in settings]


def _recognised(settings: TaskiqQueue) -> Found[TaskiqQueue]:
    keys = frozenset(tier.queue for tier in settings.tiers)
    return Found(settings=settings, keys=keys, notes=(ORDER_GUESSED,) if len(keys) > 1 else ())


def _tiers(queues: Iterable[str]) -> tuple[TaskiqTier, ...]:
    return tuple(TaskiqTier(name=name, queue=queue) for queue, name in tier_names(queues).items())


def _is_first_job(entries: Reply) -> bool:
    first = parse_entries(entries)
    return first is not None and any(_is_job(entry.fields.get(b"data")) for entry in first)


def _is_job(job: Reply) -> bool:
    try:
        document = json.loads(job) if isinstance(job, bytes) else None
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"task_id", "task_name", "labels"} <= document.keys()


LIBRARY = Library(
    kind="taskiq",
    title="Taskiq",
    settings=TaskiqQueue,
    reader=taskiq_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.EXECUTING_HIDDEN: "let workers beat how busy they are, or use RedisStreamBroker",
        Caution.PREFETCH_HIDES_BACKLOG: "RedisStreamBroker(xread_count=1) and `taskiq worker --max-prefetch 0`; "
        "nothing to do where one worker runs several jobs at once",
        Caution.GROUP_ABSENT: '`consumer_id="0"`: else the first worker to start passes over the jobs that are there',
    },
)
