"""A broker of Taskiq and its task, for producers and for `taskiq worker`; the environment says which broker."""

import os
import time

import redis.asyncio
from taskiq import TaskiqMiddleware
from taskiq_redis import ListQueueBroker, RedisStreamBroker

URL = os.environ["REDIS_URL"]


class StampTime(TaskiqMiddleware):
    """Says when a task was sent."""

    def pre_send(self, message):
        message.labels["enqueued_at"] = time.time()  # noqa: TID251 - a library's own processes know no other
        return message


def make(kind, *, stamped=False, xread_count=100, idle_timeout=600_000):
    """A broker of either kind, and its task."""
    if kind == "list":
        made = ListQueueBroker(URL, socket_timeout=None)
    else:
        made = RedisStreamBroker(
            URL,
            consumer_id="0",
            xread_count=xread_count,
            xread_block=50,
            idle_timeout=idle_timeout,
            socket_timeout=None,
        )
    if stamped:
        made.add_middlewares(StampTime())

    @made.task(task_name="hold")
    async def hold(name):
        """Run until the test lets it go."""
        async with redis.asyncio.from_url(URL, socket_timeout=None) as client:
            await client.rpush("started", name)
            await client.blpop([f"release:{name}"])

    return made, hold


broker, _ = make(
    os.environ.get("BROKER", "stream"),
    xread_count=int(os.environ.get("XREAD_COUNT", "100")),
    idle_timeout=int(os.environ.get("IDLE_TIMEOUT", "600000")),
)
