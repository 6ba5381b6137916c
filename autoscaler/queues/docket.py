"""docket (pydocket): a stream of tasks to do, and a sorted set of those for later, for each docket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command
from autoscaler.queues.base import Steps, literal
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, queue_tiers
from autoscaler.queues.places import TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stream import STREAM_COMMANDS, PendingEntries, Stream
from autoscaler.queues.stream_replies import consumers_of

_GROUP = "docket-workers"


@dataclass(frozen=True, kw_only=True, slots=True)
class DocketQueue:
    """Dockets of pydocket."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["docket"]
    """Dockets of pydocket."""
    tiers: tuple[QueueTier, ...]
    """Most urgent first; each has a docket of its own. In Redis Cluster, docket puts braces around a name: `{jobs}`."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])


def docket_reader(settings: DocketQueue) -> PoolReader:
    """The reader of dockets.

    A task waits since the time it was added for: its entry says so itself. A later task that is due waits, though only
    a worker will put it into the stream. Workers take no more tasks than they run, and delete those they are done with.
    """
    streams = [f"{tier.queue}:stream" for tier in settings.tiers]
    return PoolReader(
        [
            TierReader(
                tier.name,
                Stream(f"{tier.queue}:stream", _GROUP, stamp="when", done_deleted=True),
                TimedSet(f"{tier.queue}:queue"),
            )
            for tier in settings.tiers
        ],
        PendingEntries(streams, _GROUP, InFlightKind.EXECUTING),
        probe=[("EXISTS", stream) for stream in streams],
    )


def _rights(settings: DocketQueue) -> Rights:
    return Rights(
        keys=tuple(literal(f"{tier.queue}:{what}") for tier in settings.tiers for what in ("stream", "queue")),
        commands=STREAM_COMMANDS | {"ZCOUNT", "ZRANGEBYSCORE"},
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[DocketQueue]]]:
    """Streams `NAME:stream` that docket's consumer group reads, and names under which records of its runs are kept."""
    streams = [found[1] for found in keyspace.of_type("stream", r"(.+):stream")]
    commands: list[Command] = [("XINFO", "GROUPS", f"{name}:stream") for name in streams]
    replies = (yield commands) if commands else ()
    dockets = {name for name, reply in zip(streams, replies, strict=True) if _GROUP in consumers_of(reply)}
    recorded = {found[1] for found in keyspace.of_type("hash", r"(.+?):runs:.+")}
    dockets |= recorded & {*streams, *(found[1] for found in keyspace.of_type("zset", r"(.+):queue"))}
    if not dockets:
        return []
    prefixes = tuple(f"{name}:" for name in dockets)
    return [
        Found(
            settings=DocketQueue(kind="docket", tiers=queue_tiers(dockets)),
            keys=frozenset(key for key in keyspace.types if key.startswith(prefixes)),
            notes=(ORDER_GUESSED,) if len(dockets) > 1 else (),
        )
    ]


LIBRARY = Library(kind="docket", title="docket", settings=DocketQueue, reader=docket_reader, rights=_rights, find=_find)
