"""A worker that says itself what it does, and obeys the drain mark: docs/workers.md. It serves a Redis list."""

import json
import os
import threading
import time
from pathlib import Path

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

LEASE_S = 120  # after so long without its worker a job is taken by another

client = redis.Redis.from_url(os.environ["REDIS_URL"], retry=Retry(ExponentialBackoff(cap=5), -1))  # till it is back
take = client.register_script(Path(__file__).with_name("take.lua").read_text())
fleet = f"autoscaler:{{{os.environ['AUTOSCALER_FLEET']}}}:"
me = os.environ["AUTOSCALER_INSTANCE"]


def beat(busy: int, *, drained: bool = False) -> bool:
    """Say what this machine does, and then look whether it carries the drain mark."""
    client.hset(fleet + "workers", me, json.dumps({"busy": busy, "drained": drained, "at": time.time()}))
    return bool(client.exists(f"{fleet}drain:{me}"))


def work(job: bytes) -> None:
    """Yours. Here a job is the number of seconds that it takes."""
    time.sleep(float(job))


drained = False
while True:
    marked = beat(0, drained=drained)
    may_pull = not marked and not drained  # whoever has said that it pulls no more takes that back first
    drained = marked
    job = take(keys=["jobs", "jobs:processing"], args=[LEASE_S]) if may_pull else None
    if job is None:
        time.sleep(1)
        continue
    at_work = threading.Thread(target=work, args=(job,))
    at_work.start()
    while at_work.is_alive():
        beat(1)
        client.zadd("jobs:processing", {job: client.time()[0] + LEASE_S}, xx=True)
        at_work.join(5)
    client.zrem("jobs:processing", job)
