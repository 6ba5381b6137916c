"""A worker that says itself what it does, and obeys the drain mark: docs/workers.md. It serves a Redis list."""

import json
import os
import threading
import time

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

client = redis.Redis.from_url(os.environ["REDIS_URL"], retry=Retry(ExponentialBackoff(cap=5), -1))  # till it is back
fleet = f"autoscaler:{{{os.environ['AUTOSCALER_FLEET']}}}:"
me = os.environ["AUTOSCALER_INSTANCE"]


def beat(busy: int, *, drained: bool = False) -> bool:
    """Say what this machine does, and then look whether it carries the drain mark."""
    client.hset(fleet + "workers", me, json.dumps({"busy": busy, "drained": drained, "at": time.time()}))
    return bool(client.exists(f"{fleet}drain:{me}"))


def work(job: bytes) -> None:
    """Yours. Here a job is the number of seconds that it takes."""
    time.sleep(float(job))


marked = False
while True:
    marked = beat(0, drained=marked)
    job = None if marked else client.lmove("jobs", "jobs:processing", "LEFT", "RIGHT")
    if job is None:
        time.sleep(1)
        continue
    at_work = threading.Thread(target=work, args=(job,))
    at_work.start()
    while at_work.is_alive():
        beat(1)
        at_work.join(5)
    client.lrem("jobs:processing", 1, job)
