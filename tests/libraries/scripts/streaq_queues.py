"""streaq under a test's control: tasks, its own counters, and workers as processes. Argument: the Redis URL."""

import os
import sys
from datetime import UTC, datetime

import processes
import talk

os.environ["REDIS_URL"] = sys.argv[1]
import streaq_app  # it takes the address from the environment

tasks = {}


async def enqueue(name, *, priority, due=None, after=None):
    """Enqueue a task: at once, from `due` in epoch seconds, or when another is done."""
    options = {"after": tasks[after].id} if after else {}
    options |= {"schedule": datetime.fromtimestamp(due, UTC)} if due else {}
    async with streaq_app.worker:
        task = streaq_app.hold.enqueue(name).start(priority=priority, **options)
        tasks[name] = await task


async def status(name):
    """What streaq itself says of a task."""
    async with streaq_app.worker:
        return (await tasks[name].status()).value


async def size():
    """How many tasks streaq counts: queued, running and delayed."""
    async with streaq_app.worker:
        return await streaq_app.worker.queue_size()


def work(*, concurrency=1, prefetch=1, idle_timeout=60):
    """Start a worker; gives its pid."""
    told = {"CONCURRENCY": concurrency, "PREFETCH": prefetch, "IDLE_TIMEOUT": idle_timeout}
    return processes.start("streaq", "run", "streaq_app:worker", **{name: str(value) for name, value in told.items()})


deeds = (enqueue, status, size, work, processes.tell, processes.ended)
talk.serve({each.__name__: each for each in deeds})
