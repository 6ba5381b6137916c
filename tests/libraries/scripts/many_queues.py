"""Producers of several libraries that share one Redis, as somebody's real one may be shared. Argument: its URL."""

import sys
from datetime import UTC, datetime, timedelta

import dramatiq as dramatiq_package
import talk
from celery import Celery
from docket import Docket
from dramatiq.brokers.redis import RedisBroker
from huey import RedisHuey
from redis import Redis
from rq import Queue
from saq import Queue as SaqQueue
from streaq import Worker

URL = sys.argv[1]


def celery():
    """A queue `celery`, with one task of another priority."""
    app = Celery(broker=URL)
    for priority in (0, 9):
        app.send_task("work", priority=priority)


def rq():
    """Queues `high` and `low`."""
    for name in ("low", "high"):
        Queue(name, connection=Redis.from_url(URL)).enqueue("work.work")


def dramatiq():
    """A queue `images`, with one delayed message."""
    broker = RedisBroker(url=URL)
    broker.declare_queue("images")
    for delay in (None, 60_000):
        message = {"queue_name": "images", "actor_name": "work", "args": (), "kwargs": {}, "options": {}}
        broker.enqueue(dramatiq_package.Message(**message), delay=delay)


def huey():
    """A queue `my-app`."""
    made = RedisHuey("my-app", url=URL)
    made.enqueue(made.task()(print).s())


async def saq():
    """A queue `gpu`, with one job for later."""
    queue = SaqQueue.from_url(URL, name="gpu")
    await queue.enqueue("work")
    await queue.enqueue("work", scheduled=4_000_000_000)
    await queue.disconnect()


async def streaq():
    """A queue `default`, with one task for later."""
    worker = Worker(redis_url=URL)

    @worker.task()
    async def work():
        """Never done."""

    async with worker:
        await work.enqueue()
        await work.enqueue().start(delay=timedelta(hours=1))


async def docket():
    """A docket `mail`, all of whose tasks are for later."""

    async def work():
        """Never done."""

    async with Docket(name="mail", url=URL) as made:
        await made.add(work, when=datetime.now(UTC) + timedelta(hours=1))()  # noqa: TID251 - the library's own clock


talk.serve({each.__name__: each for each in (celery, rq, dramatiq, huey, saq, streaq, docket)})
