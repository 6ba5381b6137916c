"""What the jobs of the drills do, whichever library runs them: each run writes down itself when it begins and ends."""

import json
import os
import time

import redis

RECORD = "record"
client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=None)


def work(job, seconds=None):
    """Take that long; without `seconds`, until something is pushed to the list `release:JOB`."""
    run = os.urandom(8).hex()
    _note("began", job, run)
    if seconds is None:
        client.blpop([f"release:{job}"])
    else:
        time.sleep(seconds)  # noqa: TID251 - a worker's time is real
    _note("ended", job, run)


def _note(what, job, run):
    machine = os.environ["AUTOSCALER_INSTANCE"]
    client.rpush(RECORD, json.dumps({"what": what, "job": job, "run": run, "machine": machine}))
