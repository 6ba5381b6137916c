"""What Dramatiq's messages say of their times, and those that are delayed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from autoscaler.core.demand import AgeSource
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, age_since, epoch_seconds, unreadable
from autoscaler.queues.base import Jobs, Steps, counted
from autoscaler.queues.caution import Caution
from autoscaler.queues.places import Ration
from autoscaler.queues.stamp import MAX_ID_BYTES, at_path
from autoscaler.queues.watermark import MAX_PAYLOAD_BYTES

_MOST_AT_ONCE = 16
_MOST_REMEMBERED = 4096


def sent_at(message: bytes) -> float | None:
    """Epoch seconds when a message was first sent, or last failed and was sent to be tried again."""
    times = [epoch_seconds(at_path(message, path), "ms") for path in ("message_timestamp", "options.requeue_timestamp")]
    return max((time for time in times if time is not None), default=None)


class DelayedMessages:
    """The delayed messages of one queue, in the order in which they were sent.

    A worker takes all of them into its memory, and sends each to the queue itself when it is due; one that stops puts
    them back. So what is in the list has no worker, and would wait for one for ever: each message there is read, once,
    for its time, a few on each tick. Those that are due wait. Those that do not tell, as where the encoder is not JSON,
    count as due. Those that a worker holds are delayed, and nothing tells when they are due.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._messages = f"{key}.msgs"
        self._head: Reply = None
        """The first of the list as of the last tick: while it stays, all that was read stays where it was."""
        self._due_at: list[float] = []
        """Epoch seconds of the messages that were read, in order of time."""
        self._at_once = 1
        self._ration = Ration()

    def read(self, now: float) -> Steps[Jobs]:
        """How many there are, and what those say that were not read before."""
        held_of: Command = ("HLEN", self._messages)
        listed_of: Command = ("LLEN", self._key)
        most = self._at_once if self._ration.allows(now) and len(self._due_at) < _MOST_REMEMBERED else 0
        looks: list[Command] = [("LINDEX", self._key, len(self._due_at) + index) for index in range(most)]
        held_reply, listed_reply, head, *ids = yield [held_of, listed_of, ("LINDEX", self._key, 0), *looks]
        held, listed = counted(held_of, held_reply, "hash"), counted(listed_of, listed_reply, "list")
        due_at = self._due_at if head == self._head and len(self._due_at) <= listed else []
        # Where the list is not the one that was read before, the next tick begins anew.
        expected = ids[: listed - len(due_at)] if len(due_at) == len(self._due_at) else []
        known = [each for each in expected if isinstance(each, bytes) and len(each) <= MAX_ID_BYTES]
        bodies = (yield [("HGET", self._messages, each) for each in known]) if known else ()
        self._head, self._due_at = head, sorted([*due_at, *map(_due_at, bodies)])
        self._pace(bodies, now)
        is_strange = len(known) < len(expected) or (listed > 0 and not isinstance(head, bytes))
        return self._jobs(held, listed, now, is_strange=is_strange)

    def _pace(self, bodies: Sequence[Reply], now: float) -> None:
        if bodies:
            largest = max((len(body) for body in bodies if isinstance(body, bytes)), default=0)
            self._at_once = max(1, min(_MOST_AT_ONCE, MAX_PAYLOAD_BYTES // max(1, largest)))
            self._ration.fetched(now, *bodies)

    def _jobs(self, held: int, listed: int, now: float, *, is_strange: bool) -> Jobs:
        due = bisect_right(self._due_at, now)
        dated = bisect_right(self._due_at, float("-inf"))
        age = unreadable() if is_strange else UNKNOWN_AGE
        if due > dated:
            age = age_since(self._due_at[dated], now, AgeSource.EXACT)
        is_unknown = dated > 0 or max(held, listed) > len(self._due_at)
        return Jobs(
            waiting=due,
            is_lower_bound=listed > len(self._due_at),
            age=age,
            delayed=max(0, held - due),
            next_due_at=self._due_at[due] if due < len(self._due_at) else None,
            cautions=frozenset({Caution.DELAYED_UNKNOWN}) if is_unknown else frozenset(),
        )


def _due_at(message: Reply) -> float:
    """Epoch seconds; since ever where the message does not tell."""
    due_at = epoch_seconds(at_path(message, "options.eta"), "ms")
    return float("-inf") if due_at is None else due_at
