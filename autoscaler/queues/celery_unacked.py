"""Celery's tasks in flight: the hash `unacked`, one for all queues of a broker."""

from __future__ import annotations

from collections.abc import Collection

from autoscaler.core.demand import InFlightKind
from autoscaler.link import Command, Reply
from autoscaler.queues.base import InFlight, Steps, count
from autoscaler.queues.caution import Caution
from autoscaler.queues.celery_heartbeats import AtWork, Heartbeats
from autoscaler.queues.celery_messages import Message, parse_unacked
from autoscaler.queues.in_flight import UNREADABLE
from autoscaler.queues.watermark import MAX_PAYLOAD_BYTES

_MAX_TAG_BYTES = 256


class Unacked:
    """Counts the tasks that workers hold and have not acknowledged.

    What these are depends on how workers run. Where they acknowledge late and take one task at a time, they are the
    executing ones and no others. With a larger prefetch waiting ones are among them. Where workers acknowledge early
    all of them wait. Those executing are added where heartbeats tell of them, else not seen; a sum of 0 is no proof
    that none executes, for a worker may be silent, and is given as None.

    The scores of `unacked_index` are times of delivery, not of enqueueing, so that no age is given. The task delivered
    longest ago is fetched, once it has been that for a tick, if it is no larger than 64 KiB: an ETA in the future shows
    that the count holds tasks which no worker may start yet, and another's queue that the hash is shared.
    """

    def __init__(
        self,
        unacked: str,
        unacked_index: str,
        *,
        queues: Collection[str],
        acks_late: bool,
        prefetches: bool,
        heartbeats: Heartbeats | None,
    ) -> None:
        self._unacked = unacked
        self._count: Command = ("HLEN", unacked)
        self._oldest: Command = ("ZRANGE", unacked_index, 0, 0)
        self._queues = frozenset(queues)
        self._acks_late = acks_late
        self._exact = acks_late and not prefetches
        self._heartbeats = heartbeats
        self._tag: bytes | None = None
        """Of the task delivered longest ago, as of the last tick."""
        self._task: Message | None = None
        """That task, once it was fetched."""
        self._shared = False

    def read(self, now: float) -> Steps[InFlight]:
        """How many there are, and a look at the one that was delivered longest ago."""
        asks = [self._count, self._oldest]
        if self._tag is not None and self._task is None:
            asks.append(("HSTRLEN", self._unacked, self._tag))
        length, oldest, *size = yield asks
        number = count(length)
        if number is None:
            return UNREADABLE
        tag = _only(oldest)
        if tag != self._tag:
            self._tag, self._task = tag, None
        elif tag is not None and size and 0 < (count(size[0]) or 0) <= MAX_PAYLOAD_BYTES:
            [held] = yield [("HGET", self._unacked, tag)]
            self._task = parse_unacked(held) or Message()
            self._shared |= self._task.queue is not None and self._task.queue not in self._queues
        return self._in_flight(number, now)

    def _in_flight(self, unacked: int, now: float) -> InFlight:
        told = AtWork(0, {}) if self._heartbeats is None else self._heartbeats.at_work(now)
        early = self._task is not None and self._task.eta is not None and self._task.eta > now
        number = unacked if self._acks_late else unacked + sum(told.busy.values())
        cautions = set[Caution]()
        if not self._acks_late and not told.workers:
            cautions.add(Caution.EXECUTING_HIDDEN)
        if unacked and not self._exact:
            cautions.add(Caution.PREFETCH_HIDES_BACKLOG)
        if unacked and self._shared:
            cautions.add(Caution.IN_FLIGHT_SHARED)
        if early:
            cautions.add(Caution.DELAYED_UNKNOWN)
        if self._heartbeats is not None and self._heartbeats.unheard:
            cautions.add(Caution.WORKERS_UNREAD)
        return InFlight(
            count=number if number or self._acks_late else None,
            kind=InFlightKind.EXECUTING if self._exact and not early else InFlightKind.DELIVERED,
            busy=told.busy,
            cautions=frozenset(cautions),
        )


def _only(members: Reply) -> bytes | None:
    """The one tag in a reply, unless it is none of kombu's, which are UUIDs."""
    tag = members[0] if isinstance(members, list) and members else None
    return tag if isinstance(tag, bytes) and len(tag) <= _MAX_TAG_BYTES else None
