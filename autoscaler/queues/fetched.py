"""Jobs of which only the ids are in line: each lies under a key of its own, as large as it may be."""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.core.demand import AgeSource
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, age_since, unreadable
from autoscaler.queues.base import Steps, count
from autoscaler.queues.caution import Caution
from autoscaler.queues.stamp import MAX_ID_BYTES
from autoscaler.queues.watermark import MAX_PAYLOAD_BYTES


class FetchedJob:
    """The time that a job tells itself; the job lies under a key of its own and is fetched as a whole.

    It is fetched when it comes next in line. The jobs of a queue are much alike: after one above 64 KiB, and after a
    tick that broke off, the size of the next is asked first. One that is larger is not fetched, so that its age is not
    known; one that is not is fetched on the tick that follows.
    """

    def __init__(
        self, fetch: Callable[[bytes], Command], size: Callable[[bytes], Command], tell: Callable[[bytes], float | None]
    ) -> None:
        self._fetch = fetch
        self._size = size
        self._tell = tell
        self._measure = False
        self._known: tuple[bytes, float | Caution] | None = None
        """The job that was last looked at: epoch seconds, or why they are not known."""

    def read(self, head: Reply, now: float) -> Steps[Age]:
        """`fetch` and `size` make commands of the job's id; `tell` gives epoch seconds of the job, or None."""
        if head is None:
            self._known = None  # the same id may come again
            return UNKNOWN_AGE
        if not isinstance(head, bytes) or len(head) > MAX_ID_BYTES:
            return unreadable()
        if self._known is None or self._known[0] != head:
            found = (yield from self._measured(head)) if self._measure else (yield from self._told(head))
            if isinstance(found, Age):
                return found
            self._known = head, found
        known = self._known[1]
        return unreadable(known) if isinstance(known, Caution) else age_since(known, now, AgeSource.EXACT)

    def _measured(self, head: bytes) -> Steps[Caution | Age]:
        """Why the job is not fetched, or an age for this tick alone."""
        [reply] = yield [self._size(head)]
        size = count(reply)
        if size is None:
            return unreadable()
        self._measure = size > MAX_PAYLOAD_BYTES
        return Caution.PAYLOAD_TOO_LARGE if self._measure else UNKNOWN_AGE

    def _told(self, head: bytes) -> Steps[float | Caution | Age]:
        """Epoch seconds, or why the job does not tell them, or an age for this tick alone."""
        self._measure = True  # for good if the job is too much for the connection
        [job] = yield [self._fetch(head)]
        self._measure = isinstance(job, bytes) and len(job) > MAX_PAYLOAD_BYTES
        if not isinstance(job, bytes):
            return unreadable()
        enqueued_at = self._tell(job)
        return Caution.AGE_UNREADABLE if enqueued_at is None else enqueued_at
