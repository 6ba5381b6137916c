"""Taskiq under a test's control: producers, and workers as processes. Argument: the Redis URL."""

import os
import sys
import time

import processes
import talk

os.environ["REDIS_URL"] = sys.argv[1]
import taskiq_app  # it takes the address from the environment


async def send(broker, names, *, stamped=False, queue=None):
    """Send a task of each name; gives when, in epoch seconds: not before the one, and not after the other."""
    made, hold = taskiq_app.make(broker, stamped=stamped)
    sender = hold.kicker().with_labels(queue_name=queue) if queue else hold.kicker()
    before = clock()
    for name in names:
        await sender.kiq(name)  # without having started the broker up, as that would make the consumer group
    await made.connection_pool.disconnect()
    return [before, clock()]


def work(broker, *, max_async_tasks=1, xread_count=100, idle_timeout=600_000):
    """Start a worker of one process, and gives its manager's pid."""
    options = ["--workers", 1, "--max-async-tasks", max_async_tasks, "--log-level", "WARNING"]
    told = {"BROKER": broker, "XREAD_COUNT": str(xread_count), "IDLE_TIMEOUT": str(idle_timeout)}
    return processes.start("taskiq", "worker", "taskiq_app:broker", *options, **told)


def clock():
    """Epoch seconds."""
    return time.time()  # noqa: TID251 - a library's own processes know no other


talk.serve({"send": send, "work": work, "tell": processes.tell, "ended": processes.ended})
