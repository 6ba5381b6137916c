"""A rented machine with its agent as the process that it is there, and the workers that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import redis

from autoscaler import agent, deadman, duty, machine
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.keys import Keys
from tests.support.real_time import until

KEYS = Keys("attic")

JOBS_OF_A_LIST = """
import os, signal, sys, time
import redis
queue = redis.Redis.from_url(os.environ["REDIS_URL"])
going = True
def stop(*_):
    global going
    going = False
    open("told", "w").close()
signal.signal(signal.SIGTERM, stop)
queue.incr("starts")
while going:
    job = queue.blpop(["jobs"], timeout=0.1)
    if job:
        queue.incr("began")
        while not queue.exists("finish"):
            time.sleep(0.02)
        queue.rpush("done", job[1])
"""
LIST_WORKER = [sys.executable, "-c", JOBS_OF_A_LIST]

IMPATIENT = """
import os, signal, sys, time
import redis
client = redis.Redis.from_url(os.environ["REDIS_URL"])
def asked(*_):
    if client.incr("asked") > 1:
        os._exit(66)
signal.signal(signal.SIGTERM, asked)
client.incr("starts")
while not client.exists("finish"):
    time.sleep(0.02)
"""
"""To it, as to many libraries' workers, a second signal means to give up the job."""


class RentedMachine:
    """One rented machine: its agent, as files copied into an image, and what the daemon sees of it."""

    def __init__(self, url: str, directory: Path) -> None:
        self.client: Any = redis.Redis.from_url(url)
        self.directory = directory
        self.me = Entropy().token()
        self.memory = Path("/dev/shm", f"autoscaler-agent-{self.me}")
        self.env = {"REDIS_URL": url, "AUTOSCALER_FLEET": "attic", "AUTOSCALER_INSTANCE": self.me, "PATH": os.defpath}
        self.process: subprocess.Popen[str] | None = None
        for module in (agent, duty, machine, deadman):
            path = Path(str(module.__file__))
            (directory / path.name).write_bytes(path.read_bytes())

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> None:
        """Start the agent."""
        self.process = self.launched(*words, env=env)

    def launched(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """An agent that was started."""
        return subprocess.Popen(
            [sys.executable, str(self.directory / "agent.py"), *words],
            env={**self.env, **(env or {})},
            cwd=self.directory,
            stderr=subprocess.PIPE,
            text=True,
        )

    def beat(self) -> Heartbeat | None:
        """What the daemon reads."""
        stored = self.client.hget(KEYS.workers, self.me)
        return None if stored is None else decode_heartbeat(stored)

    def says(self, **what: Any) -> None:
        """Wait until it says this."""
        until(lambda: (beat := self.beat()) and all(getattr(beat, key) == what[key] for key in what), f"it says {what}")

    def mark(self) -> None:
        """Set the drain mark. Any signal wakes the agent, which then looks at once."""
        self.client.set(KEYS.drain(self.me), "3 machines wanted, 4 HOT")
        self.wake()

    def lift(self) -> None:
        """Take it back."""
        self.client.delete(KEYS.drain(self.me))
        self.wake()

    def wake(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCHLD)

    def soon(self, condition: Callable[[], object], what: str) -> None:
        """Wait for what a beat, or several, bring about."""

        def woken() -> bool:
            self.wake()
            return bool(condition())

        until(woken, what)

    def until_drained(self) -> None:
        """Wait until it says that it has drained."""
        self.soon(lambda: (beat := self.beat()) and beat.drained, "it has drained")

    def look(self, times: int) -> None:
        """Have it look so often."""
        looks = iter(range(times))
        self.soon(lambda: next(looks) == times - 1, f"it has looked {times} times")

    def until_worker_ended(self) -> None:
        """Wait until none of the agent's own children is there."""
        until(lambda: not self.has_worker(), "the worker has ended")

    def outlasts_its_worker(self) -> None:
        """Wait until its worker has ended, and it says all the same that it is busy and not drained."""
        self.until_worker_ended()
        self.wake()
        self.says(busy=1, drained=False)

    def kill(self) -> None:
        """End it as one that runs out of memory is ended, and forget what it said."""
        assert self.process is not None
        assert self.process.stderr is not None
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.client.delete(KEYS.workers)

    def has_worker(self) -> bool:
        """Whether the agent's own child is there."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return bool(read_bytes(path).strip())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and log, after a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=20)
        return self.process.returncode, log


def read_bytes(path: Path) -> bytes:
    """Its content; empty where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
