"""What a reader warns of: stable codes, and what to do about each."""

from __future__ import annotations

from enum import StrEnum


class Caution(StrEnum):
    """A stable code."""

    CLOCK_SKEW = "clock_skew"
    """A job was enqueued more than 5 s in the future: the clocks of producer and daemon differ."""
    ABSURD_TIMESTAMP = "absurd_timestamp"
    """An enqueue time is out of all reason, e.g. given in another unit; the age is not known."""
    AGE_UNREADABLE = "age_unreadable"
    """The enqueue time could not be read: refused, no such field, no JSON."""
    AGE_LOWER_BOUND = "age_lower_bound"
    """The next job was there before the daemon started; it is at least as old as stated."""
    AGE_UPPER_BOUND = "age_upper_bound"
    """All that is known of the next job is that the list was empty at the stated time."""
    PAYLOAD_TOO_LARGE = "payload_too_large"
    """The jobs are too large to be fetched on each tick, so their ages are followed less closely."""
    HEAD_EXPIRED = "head_expired"
    """The job next in line has expired, though its id is still in line; its age is not known."""
    IN_FLIGHT_UNREADABLE = "in_flight_unreadable"
    """The jobs in flight could not be counted."""
    IN_FLIGHT_SHARED = "in_flight_shared"
    """The jobs in flight are those of all queues of this broker, for the library does not tell them apart."""
    PREFETCH_HIDES_BACKLOG = "prefetch_hides_backlog"
    """Workers may hold more jobs than they run: those count as in flight, though they wait."""
    EXECUTING_HIDDEN = "executing_hidden"
    """Jobs at work are not seen: workers acknowledge them before they start."""
    DELAYED_UNKNOWN = "delayed_unknown"
    """Delayed jobs cannot be told apart from others, or those due from those that are not."""
    GROUP_ABSENT = "group_absent"
    """The stream has no such consumer group yet; all of its entries count as waiting."""
