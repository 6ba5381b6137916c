"""What a reader warns of: stable codes, and what to do about each."""

from __future__ import annotations

from collections.abc import Mapping
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
    IN_FLIGHT_LOWER_BOUND = "in_flight_lower_bound"
    """More jobs are in flight than are looked at in a tick; the others count as waiting."""
    IN_FLIGHT_SHARED = "in_flight_shared"
    """The jobs in flight are those of all queues of this broker, for the library does not tell them apart."""
    PREFETCH_HIDES_BACKLOG = "prefetch_hides_backlog"
    """Workers may hold more jobs than they run: those count as in flight, though they wait."""
    EXECUTING_HIDDEN = "executing_hidden"
    """Jobs at work are not seen: workers acknowledge them before they start."""
    DELAYED_UNKNOWN = "delayed_unknown"
    """Delayed jobs cannot be told apart from others, or those due from those that are not."""
    WORKERS_UNREAD = "workers_unread"
    """What the workers say of themselves was not read in full: refused, or they are more than are asked in a tick."""
    PARTLY_PAUSED = "partly_paused"
    """Some of the pool's queues are paused: jobs that wait there count, though none of them starts."""
    GROUP_ABSENT = "group_absent"
    """The stream has no such consumer group yet; all of its entries count as waiting."""


ADVICE: Mapping[Caution, str] = {
    Caution.CLOCK_SKEW: "let both machines keep their time by NTP",
    Caution.ABSURD_TIMESTAMP: "let the machines that enqueue keep their time by NTP",
    Caution.AGE_UNREADABLE: "does the next job carry its time, and may it be read (`autoscaler queue FILE --acl`)?",
    Caution.AGE_LOWER_BOUND: "nothing to do: it passes when the jobs that were there at the start are done",
    Caution.AGE_UPPER_BOUND: "resolve the warning beside this: then it passes when the list was empty once",
    Caution.PAYLOAD_TOO_LARGE: "keep large data elsewhere and only its place in the job",
    Caution.HEAD_EXPIRED: "let jobs live longer than they may have to wait",
    Caution.IN_FLIGHT_UNREADABLE: "`autoscaler queue FILE --acl` prints the rights that are needed",
    Caution.IN_FLIGHT_LOWER_BOUND: "nothing to do: all of them count as demand",
    Caution.IN_FLIGHT_SHARED: "give each pool a database or a key prefix of its own",
    Caution.PREFETCH_HIDES_BACKLOG: "let workers take one job at a time",
    Caution.EXECUTING_HIDDEN: "let workers acknowledge a job when it is done, or beat how busy they are",
    Caution.DELAYED_UNKNOWN: "nothing to do: a worker must look at them first",
    Caution.WORKERS_UNREAD: "`autoscaler queue FILE --acl` prints the rights that are needed; let machines beat",
    Caution.PARTLY_PAUSED: "resume them, or give queues that are paused by themselves a pool of their own",
    Caution.GROUP_ABSENT: "nothing to do: the first worker makes it; check the group's name if workers run",
}
"""What to do about a caution, unless the library has its own way."""
