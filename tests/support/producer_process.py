"""A producer: pushes jobs at their times, faster than life. Run as a process; it ends with the last job.

    python -m tests.support.producer_process REDIS_URL SPEED < JOBS

Each line of JOBS is JSON with `t_s`, `key`, `id` and `exec_s`, in order of time.
"""

from __future__ import annotations

import json
import sys

import redis

from tests.support import real_time


def produce(url: str, speed: float) -> None:
    """Push every job of standard input to the right end of its list."""
    client = redis.Redis.from_url(url)
    started = real_time.now()
    for line in sys.stdin:
        job = json.loads(line)
        real_time.sleep(started + job["t_s"] / speed - real_time.now())
        client.rpush(job["key"], json.dumps({"id": job["id"], "exec_s": job["exec_s"]}))


if __name__ == "__main__":
    produce(sys.argv[1], float(sys.argv[2]))
