"""The examples of workers in three languages, run as they are: what they say is read by the daemon's own decoding."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.keys import Keys
from tests.support.environments import NODE_QUEUES
from tests.support.library import EXAMPLES
from tests.support.real_time import until
from tests.support.redis_server import RedisServer

EVERY = sorted(path.name for path in EXAMPLES.glob("worker.*"))
KEYS, ME = Keys("attic"), "i1"


@contextmanager
def at_work(name: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """An example on its machine."""
    program = {".py": sys.executable, ".js": "node", ".sh": "sh"}[Path(name).suffix]
    if name.endswith(".js"):
        NODE_QUEUES.require()
    for needed in [program, *(["redis-cli"] if name.endswith(".sh") else [])]:
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    env = {"REDIS_URL": url, "AUTOSCALER_FLEET": "attic", "AUTOSCALER_INSTANCE": ME, "PATH": os.environ["PATH"]}
    env["NODE_PATH"] = str(NODE_QUEUES.home / "node_modules")
    process = subprocess.Popen([program, str(EXAMPLES / name)], env=env, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # a shell's last call of redis-cli would beat in the next test
        process.wait()


def said(client: Any) -> tuple[int, bool] | None:
    """What the daemon knows of the machine."""
    stored = client.hget(KEYS.workers, ME)
    beat = None if stored is None else decode_heartbeat(stored)
    return None if beat is None else (beat.busy, beat.drained)


@pytest.mark.parametrize("name", EVERY)
def test_an_example_beats_obeys_the_drain_mark_and_finishes_its_job(name: str, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, at_work(name, redis_url):
        until(lambda: said(client) == (0, False), "it beats")
        first = client.hget(KEYS.workers, ME)
        until(lambda: client.hget(KEYS.workers, ME) != first, "no beat is like another")

        client.rpush("jobs", "1.5", "0")
        until(lambda: said(client) == (1, False), "it says that it works")
        client.set(KEYS.drain(ME), "one machine too many")
        until(lambda: said(client) == (0, True), "it says that it is drained")
        assert client.lrange("jobs", 0, -1) == [b"0"], "it pulled no more"
        assert not client.exists("jobs:processing"), "its job is done"

        with client.monitor() as seen:
            client.delete(KEYS.drain(ME))
            said_before_it_pulls = last_beat_before_a_pull(each["command"] for each in seen.listen())
        assert '"drained":false' in said_before_it_pulls.replace(" ", ""), "nobody may believe that it pulls no more"
        until(lambda: not client.exists("jobs"), "it works again once the mark is taken back")


def last_beat_before_a_pull(commands: Iterator[str]) -> str:
    """The last of the beats among what Redis is asked, up to the next pull."""
    beat = ""
    for command in commands:
        if command.startswith(("EVAL", "eval")):
            return beat
        beat = command if KEYS.workers in command else beat
    raise AssertionError("it pulls no more")


@pytest.mark.parametrize("name", EVERY)
def test_the_job_of_an_example_that_was_killed_is_done_by_another_once_its_lease_is_over(
    name: str, redis_url: str
) -> None:
    job = "3"  # seconds: none looks so late that it is over
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("jobs", job)
        with at_work(name, redis_url):
            until(lambda: said(client) == (1, False), "it says that it works")
        assert client.zscore("jobs:processing", job) > client.time()[0]
        with at_work(name, redis_url):
            until(lambda: said(client) == (0, False), "another one idles: the lease is not over")
            assert client.zadd("jobs:processing", {job: 1.0}, xx=True, ch=True)
            until(lambda: said(client) == (1, False), "it says that it works")
            assert client.zscore("jobs:processing", job) > client.time()[0]
            until(lambda: not client.exists("jobs:processing"), "the job is done")


@pytest.mark.parametrize("name", EVERY)
def test_an_example_outlives_a_redis_that_is_away_for_a_while(name: str, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    with redis.Redis.from_url(server.url) as client, at_work(name, server.url) as process:
        until(lambda: said(client) == (0, False), "it beats")
        client.rpush("jobs", "2")
        until(lambda: said(client) == (1, False), "it says that it works")
        server.stop()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        server.start()
        until(lambda: said(client) == (0, False), "it beats again")
    server.stop()
