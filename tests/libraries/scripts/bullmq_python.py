"""A producer and a worker of BullMQ's port to Python: bullmq_python.py PORT"""

import asyncio
import os
import sys
import threading
from functools import cache

from bullmq import FlowProducer, Job, Queue, Worker
from talk import serve

URL = f"redis://127.0.0.1:{sys.argv[1]}"

gate = threading.Event()
failed = set()


@cache
def queue_named(name):
    return Queue(name, {"connection": URL})


async def add(queue, job="job", bytes=0, **opts):  # noqa: A002 - the same word as in the scripts for Node.js
    added = await queue_named(queue).add(job, {"image": "x" * bytes}, opts)
    return {"id": added.id, "timestamp": added.timestamp}


async def add_flow(parent, child):
    children = [{"name": "child", "queueName": child, "data": {}}]
    flow = FlowProducer({"connection": URL})
    await flow.add({"name": "parent", "queueName": parent, "data": {}, "children": children})


async def promote(queue, id):  # noqa: A002
    await (await Job.fromId(queue_named(queue), id)).promote()


async def process(job, _token):
    """A job called `fail` fails once; every other stands before the gate."""
    if job.name == "fail" and job.id not in failed:
        failed.add(job.id)
        raise RuntimeError("as told")
    await asyncio.to_thread(gate.wait)


def work(queue, concurrency=1):
    async def run():
        Worker(queue, process, {"connection": URL, "concurrency": concurrency})
        await asyncio.Event().wait()

    threading.Thread(target=asyncio.run, args=[run()], daemon=True).start()


serve(
    {
        "add": add,
        "addFlow": add_flow,
        "counts": lambda queue: queue_named(queue).getJobCounts(),
        "priorities": lambda queue, of: queue_named(queue).getCountsPerPriority(of),
        "pause": lambda queue: queue_named(queue).pause(),
        "resume": lambda queue: queue_named(queue).resume(),
        "promote": promote,
        "work": work,
        "finish": gate.set,
    }
)
os._exit(0)  # jobs may still stand before the gate
