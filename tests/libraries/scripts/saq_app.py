"""SAQ under a test's control: a producer, workers, and what the library itself counts.

Run with the Redis URL; with a worker's settings after it, as JSON, as that worker.
"""

import asyncio
import json
import sys
import time

import processes
from saq import Job, Queue, Worker
from talk import serve

URL, *WORKER = sys.argv[1:]
queues = {}


def of(name):
    """The queue of that name."""
    if name not in queues:
        queues[name] = Queue.from_url(URL, name=name)
    return queues[name]


async def work(context, payload=""):
    """A job that is done when the test says how: `done`, or `fail`."""
    client = context["worker"].queue.redis
    await client.incr("test:begun")
    said = await client.blpop("test:say", timeout=60)
    if said[1] == b"fail":
        raise RuntimeError("as the test said")


async def send(queue, size=0, times=1, **options):
    """Enqueue jobs, `scheduled` in epoch seconds; gives the time of the first, in epoch seconds."""
    jobs = [await of(queue).enqueue(Job("work", kwargs={"payload": "x" * size}, **options)) for _ in range(times)]
    return jobs[0].queued / 1000


def start(queue, **settings):
    """A worker; gives its process."""
    return processes.start("python", __file__, URL, json.dumps({"queue": queue, "concurrency": 1, **settings}))


async def counts(queue):
    """What the library counts: jobs queued, active and scheduled."""
    info = await of(queue).info()
    return [info["queued"], info["active"], info["scheduled"]]


def now():
    """The time as SAQ takes it."""
    return time.time()  # noqa: TID251 - a library's own processes know no other


async def hold_sweep(context):
    """Sweep not at once: SAQ 0.26.4 may take a job that a worker is about to start for one that got stuck."""
    queue = context["worker"].queue
    await queue.redis.set(queue.namespace("sweep"), 1, ex=30, nx=True)


async def run(queue, **settings):
    """Be a worker."""
    worker = Worker(of(queue), functions=[work], startup=hold_sweep, **settings)
    await worker.queue.connect()
    await worker.start()
    await worker.queue.disconnect()


if WORKER:
    asyncio.run(run(**json.loads(WORKER[0])))
else:
    serve({each.__name__: each for each in (send, start, counts, now, processes.tell, processes.ended)})
