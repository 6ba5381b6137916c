"""streaq: a stream, and a sorted set of delayed tasks, for each priority of a queue.

Tasks that wait for others (`after`) lie in neither, and are not counted: no worker could start them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command
from autoscaler.queues.base import InFlight, Steps, count, literal, together
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, tier_names
from autoscaler.queues.places import TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stream import STREAM_COMMANDS, PendingEntries, Stream

_GROUP = "workers"


@dataclass(frozen=True, kw_only=True, slots=True)
class StreaqTier(QueueTier):
    """A tier that has a priority of a queue of its own."""

    queue: str = "default"
    """`queue_name` of the Worker."""
    priority: str = "normal"
    """One of the Worker's `priorities`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreaqQueue:
    """Queues of streaq."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["streaq"]
    """Queues of streaq."""
    tiers: tuple[StreaqTier, ...]
    """Most urgent first; each has a priority of a queue of its own."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [(tier.queue, tier.priority) for tier in self.tiers])


def streaq_reader(settings: StreaqQueue) -> PoolReader:
    """The reader of queues of streaq.

    A task waits since it was enqueued, or since it came due: its entry says so itself. A delayed task that is due
    waits, though only a worker will put it into the stream. In flight are the tasks that workers hold.
    """
    streams = [_stream(tier) for tier in settings.tiers]
    return PoolReader(
        [
            TierReader(
                tier.name,
                Stream(_stream(tier), _GROUP, stamp="enqueue_time", done_deleted=True),
                TimedSet(_delayed(tier), per_second=1000),
            )
            for tier in settings.tiers
        ],
        Held(streams, [_running(queue) for queue in _queues(settings)]),
        probe=[("EXISTS", stream) for stream in streams],
    )


class Held:
    """The tasks that workers hold, running or not.

    streaq also keeps the ids of those that run, but for all priorities of a queue together, and the ids of a worker
    that died may stay. They only tell here whether workers hold more than they run.
    """

    def __init__(self, streams: Sequence[str], running: Sequence[str]) -> None:
        self._pending = PendingEntries(streams, _GROUP)
        self._running: list[Command] = [("SCARD", key) for key in running]

    def read(self, now: float) -> Steps[InFlight]:
        """Pending entries, and the ids that run."""
        parts: list[Steps[Any]] = [self._pending.read(now), self._count_running()]
        results = yield from together(parts)
        held: InFlight = results[0]
        running: int = results[1]
        if held.count is None or held.count <= running:
            return held
        return replace(held, cautions=held.cautions | {Caution.PREFETCH_HIDES_BACKLOG})

    def _count_running(self) -> Steps[int]:
        return sum(count(reply) or 0 for reply in (yield self._running))


def _stream(tier: StreaqTier) -> str:
    return f"streaq:{tier.queue}:queues:{tier.priority}"


def _delayed(tier: StreaqTier) -> str:
    return f"streaq:{tier.queue}:queues:delayed:{tier.priority}"


def _running(queue: str) -> str:
    return f"streaq:{queue}:index:running"


def _queues(settings: StreaqQueue) -> list[str]:
    return list(dict.fromkeys(tier.queue for tier in settings.tiers))


def _rights(settings: StreaqQueue) -> Rights:
    keys = [key for tier in settings.tiers for key in (_stream(tier), _delayed(tier))]
    return Rights(
        keys=tuple(map(literal, [*keys, *map(_running, _queues(settings))])),
        commands=STREAM_COMMANDS | {"SCARD", "ZCOUNT", "ZRANGEBYSCORE"},
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[StreaqQueue]]]:
    """Streams and sorted sets of streaq's names: all its queues and their priorities."""
    yield from ()
    named = [
        *keyspace.of_type("stream", r"streaq:(.+):queues:([^:]+)"),
        *keyspace.of_type("zset", r"streaq:(.+):queues:delayed:([^:]+)"),
    ]
    places = {f"{found[1]} {found[2]}": (found[1], found[2]) for found in named}
    if not places:
        return []
    tiers = tuple(
        StreaqTier(name=name, queue=places[place][0], priority=places[place][1])
        for place, name in tier_names(places).items()
    )
    return [
        Found(
            settings=StreaqQueue(kind="streaq", tiers=tiers),
            keys=frozenset(key for key in keyspace.types if key.startswith("streaq:")),
            notes=(ORDER_GUESSED,) if len(tiers) > 1 else (),
        )
    ]


LIBRARY = Library(
    kind="streaq",
    title="streaq",
    settings=StreaqQueue,
    reader=streaq_reader,
    rights=_rights,
    find=_find,
    advice={Caution.PREFETCH_HIDES_BACKLOG: "`Worker(prefetch=1)`: a worker then holds one task more than it runs"},
)
