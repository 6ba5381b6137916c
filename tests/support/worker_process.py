"""A worker as a user would write one: pulls jobs from lists, beats, obeys the drain mark. Run as a process.

    python -m tests.support.worker_process REDIS_URL FLEET INSTANCE SPEED TIER_KEY…

A job is JSON with `id` and `exec_s`. What is worked on lies in `jobs:running`; what was served, by id, in `jobs:done`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import redis

from autoscaler.store.keys import Keys
from tests.support import real_time

RUNNING, DONE = "jobs:running", "jobs:done"
_BEAT_EVERY_S, _LOOK_EVERY_S = 10.0, 5.0


class Worker:
    """One slot on one machine, `speed` times as fast as life."""

    def __init__(self, client: Any, fleet: str, instance: str, speed: float, tier_keys: list[str]) -> None:
        self._client = client
        self._keys = Keys(fleet)
        self._instance = instance
        self._speed = speed
        self._tier_keys = tier_keys
        self._beats = 0

    def work(self) -> None:
        """Serve until killed."""
        marked = False
        while True:
            marked = self._beat(busy=0, drained=marked)
            job = None if marked else self._pull()
            if job is None:
                real_time.sleep(_LOOK_EVERY_S / self._speed)
            else:
                self._serve(job)

    def _beat(self, *, busy: int, drained: bool = False) -> bool:
        """Report, and only then look for the drain mark: a worker that has never beaten may hold no job."""
        self._beats += 1
        beat = {"busy": busy, "slots": 1, "drained": drained, "beat": self._beats, "since": _STARTED}
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hset(self._keys.workers, self._instance, json.dumps(beat))
        pipeline.exists(self._keys.drain(self._instance))
        return bool(pipeline.execute()[1])

    def _pull(self) -> bytes | None:
        for key in self._tier_keys:
            job: bytes | None = self._client.lmove(key, RUNNING, "LEFT", "RIGHT")
            if job is not None:
                return job
        return None

    def _serve(self, job: bytes) -> None:
        wanted = json.loads(job)
        ends_at = real_time.now() + wanted["exec_s"] / self._speed
        while (left_s := ends_at - real_time.now()) > 0:
            self._beat(busy=1)
            real_time.sleep(min(left_s, _BEAT_EVERY_S / self._speed))
        pipeline = self._client.pipeline(transaction=True)
        pipeline.lrem(RUNNING, 1, job)
        pipeline.rpush(DONE, wanted["id"])
        pipeline.execute()


_STARTED = real_time.now()

if __name__ == "__main__":
    url, fleet, instance, speed, *tier_keys = sys.argv[1:]
    Worker(redis.Redis.from_url(url), fleet, instance, float(speed), tier_keys).work()
