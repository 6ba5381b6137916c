"""Dramatiq's queues in Redis, as its RedisBroker keeps them. Read from version 2.2.1.

The id of a message waits in a list. The message itself lies in a hash beside it, from the time that it is sent until a
worker acknowledges it: the hash holds what waits and what is in flight.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.base import InFlight, Steps, count, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.dramatiq_messages import DelayedMessages, sent_at
from autoscaler.queues.fetched import FetchedJob
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import UNREADABLE
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, queue_tiers
from autoscaler.queues.places import PartlyStampedList
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers

_DEAD_AFTER_S = 60.0
"""Dramatiq's default of `heartbeat_timeout`."""
_MOST_DEAD = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class DramatiqQueue:
    """Dramatiq's queues in Redis."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["dramatiq"]
    """Dramatiq's queues."""
    tiers: tuple[QueueTier, ...]
    """Most urgent first; each has a queue of its own."""
    namespace: str = "dramatiq"
    """As the RedisBroker has it: what all keys begin with."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])

    def key(self, name: str) -> str:
        """A key of this namespace."""
        return f"{self.namespace}:{name}"


def dramatiq_reader(queue: DramatiqQueue) -> PoolReader:
    """The reader of Dramatiq's queues."""
    return PoolReader(
        [_tier_reader(tier.name, queue.key(tier.queue)) for tier in queue.tiers],
        Unacknowledged(queue),
        probe=[("EXISTS", queue.key("__heartbeats__"))],
    )


def _tier_reader(name: str, key: str) -> TierReader:
    message = FetchedJob(
        lambda message_id: ("HGET", f"{key}.msgs", message_id),
        lambda message_id: ("HSTRLEN", f"{key}.msgs", message_id),
        sent_at,
    )
    return TierReader(name, PartlyStampedList(key, "left", message, sent_before=True), DelayedMessages(f"{key}.DQ"))


class Unacknowledged:
    """The messages that workers took and did not acknowledge.

    Delayed messages are among them only where the worker that holds them has not been heard of for a minute: a living
    one sees to them by itself, and one that died cannot put them back.
    """

    def __init__(self, queue: DramatiqQueue) -> None:
        self._queue = queue
        names = [tier.queue for tier in queue.tiers]
        self._taken = [_held_and_listed(queue.key(name)) for name in names]
        self._delayed = {f"{name}.DQ": _held_and_listed(queue.key(f"{name}.DQ")) for name in names}

    def read(self, now: float) -> Steps[InFlight]:
        """What the hashes hold beyond the lists, and who has not been heard of."""
        until = (now - _DEAD_AFTER_S) * 1000
        dead_of: Command = ("ZRANGEBYSCORE", self._queue.key("__heartbeats__"), "-inf", until, "LIMIT", 0, _MOST_DEAD)
        pairs = [*self._taken, *self._delayed.values()]
        dead, *replies = yield [dead_of, *(command for pair in pairs for command in pair)]
        numbers = [count(reply) for reply in replies]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers) or not isinstance(dead, list):
            return UNREADABLE
        beyond = [max(0, held - listed) for held, listed in zip(known[::2], known[1::2], strict=True)]
        taken = sum(beyond[: len(self._taken)])
        delayed = dict(zip(self._delayed, beyond[len(self._taken) :], strict=True))
        lost = yield from self._lost({name: number for name, number in delayed.items() if number}, dead)
        if lost is None:
            return UNREADABLE
        cautions = frozenset({Caution.PREFETCH_HIDES_BACKLOG}) if taken else frozenset[Caution]()
        return InFlight(count=taken + lost, kind=InFlightKind.DELIVERED, cautions=cautions)

    def _lost(self, delayed: dict[str, int], dead: Sequence[Reply]) -> Steps[int | None]:
        """Delayed messages in the hands of the dead; None where that cannot be counted."""
        if not delayed or not dead:
            return 0
        if len(dead) == _MOST_DEAD:
            return sum(delayed.values())  # too many to ask: rather one worker too many than a message lost
        workers = [worker.decode(errors="replace") for worker in dead if isinstance(worker, bytes)]
        replies = yield [
            ("SCARD", self._queue.key(f"__acks__.{worker}.{name}")) for worker in workers for name in delayed
        ]
        numbers = [count(reply) for reply in replies]
        known = [number for number in numbers if number is not None]
        return (
            min(sum(known), sum(delayed.values())) if len(known) == len(numbers) == len(dead) * len(delayed) else None
        )


def _held_and_listed(key: str) -> tuple[Command, Command]:
    return ("HLEN", f"{key}.msgs"), ("LLEN", key)


def _rights(queue: DramatiqQueue) -> Rights:
    queues = [literal(queue.key(tier.queue)) for tier in queue.tiers]
    acks = [f"{literal(queue.key('__acks__.'))}*{literal(f'.{tier.queue}.DQ')}" for tier in queue.tiers]
    own = [f"{key}{part}" for key in queues for part in ("", ".msgs", ".DQ", ".DQ.msgs")]
    return Rights(
        keys=(*own, *acks, literal(queue.key("__heartbeats__"))),
        commands=frozenset(
            {"EXISTS", "TYPE", "LLEN", "LINDEX", "LPOS", "HLEN", "HGET", "HSTRLEN", "ZRANGEBYSCORE", "SCARD"}
        ),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[DramatiqQueue]]]:
    """Each namespace that workers and producers beat in, with the queues that hold something."""
    yield from ()
    namespaces = [match[1] for match in keyspace.of_type("zset", r"(.+):__heartbeats__")]
    return [found for namespace in namespaces if (found := _found(keyspace, namespace)) is not None]


def _found(keyspace: Keyspace, namespace: str) -> Found[DramatiqQueue] | None:
    keys = [key for key in keyspace.types if key.startswith(f"{namespace}:")]
    names = [match[1] for match in keyspace.of_type("hash", rf"{re.escape(namespace)}:(.+?)(?:\.[DX]Q)?\.msgs")]
    if not names:
        return None
    settings = DramatiqQueue(kind="dramatiq", tiers=queue_tiers(set(names)), namespace=namespace)
    return Found(settings=settings, keys=frozenset(keys), notes=(ORDER_GUESSED,) if len(settings.tiers) > 1 else ())


LIBRARY = Library(
    kind="dramatiq",
    title="Dramatiq",
    settings=DramatiqQueue,
    reader=dramatiq_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.PREFETCH_HIDES_BACKLOG: "set dramatiq_queue_prefetch in the workers' environment to their --threads",
        Caution.DELAYED_UNKNOWN: "nothing to do: a worker holds them; where the encoder is not JSON they count as due",
    },
)
