"""docket under a test's control: tasks, its own counters, and workers as processes. Argument: the Redis URL."""

import os
import sys
from datetime import UTC, datetime

import processes
import talk
from docket import Docket

URL = os.environ["REDIS_URL"] = sys.argv[1]
import docket_app  # it takes the address from the environment


async def add(names, *, docket="gpu", due=None):
    """Add a task of each name, for now or for `due` in epoch seconds; gives when, in epoch seconds."""
    now = datetime.now(UTC)  # noqa: TID251 - a library's own processes know no other
    when = datetime.fromtimestamp(due, UTC) if due else now
    async with Docket(name=docket, url=URL) as at:
        for name in names:
            await at.add(docket_app.hold, when=when, key=name)(name)
    return when.timestamp()


async def cancel(name):
    """Cancel a task that has not started."""
    async with Docket(name="gpu", url=URL) as at:
        await at.cancel(name)


async def counts():
    """What docket itself counts."""
    async with Docket(name="gpu", url=URL) as at:
        at.register_collection("docket_app:tasks")
        seen = await at.snapshot()
    return {"running": len(seen.running), "all": seen.total_tasks}


def work(*, concurrency=1, redelivery_timeout="300s"):
    """Start a worker; gives its pid."""
    options = {"tasks": "docket_app:tasks", "docket": "gpu", "url": URL, "concurrency": concurrency}
    options |= {"redelivery-timeout": redelivery_timeout, "logging-level": "WARNING"}
    return processes.start("docket", "worker", *(f"--{name}={value}" for name, value in options.items()))


talk.serve({each.__name__: each for each in (add, cancel, counts, work, processes.tell, processes.ended)})
