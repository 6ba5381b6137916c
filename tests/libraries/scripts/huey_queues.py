"""Huey under a test's control: a producer, consumers, and what the library itself counts.

Run with the Redis URL, the Huey's class and name, a time zone, and in which times are kept: utc or local.
"""

import os
import sys
import time

os.environ["URL"], os.environ["CLASS"], os.environ["NAME"], os.environ["TZ"], os.environ["KEEP"] = sys.argv[1:]
time.tzset()

import processes  # noqa: E402 - the settings come first
from huey_tasks import huey, work  # noqa: E402
from talk import serve  # noqa: E402


def send(size=0, times=1, **options):
    """Enqueue tasks; gives the time."""
    sent_at = now()
    for _ in range(times):
        huey.enqueue(work.s("x" * size, **options))
    return sent_at


def start(*, arguments=()):
    """A consumer; gives its process."""
    return processes.start("huey_consumer", "huey_tasks.huey", "--quiet", *arguments)


def counts():
    """What the library counts: tasks waiting, and tasks scheduled."""
    return [huey.pending_count(), huey.scheduled_count()]


def now():
    """The time as Huey takes it."""
    return time.time()  # noqa: TID251 - a library's own processes know no other


serve({each.__name__: each for each in (send, start, counts, now, processes.tell, processes.ended)})
