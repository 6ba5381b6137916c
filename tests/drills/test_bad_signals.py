"""Bad signals cost no machine: Redis slow, silent, gone, empty, read-only, or answering what cannot be.

Whatever the Redis of the queue or of the store does, no machine is stopped for want of a reading and none is rented
twice. It is told once. When Redis is well again, the daemon goes on by itself.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon_process import DaemonProcess, Json, StartDaemon, a_config, connect
from tests.support.real_time import until
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

PRO = "jobs:pro"
FEW, MANY = 20, 1000
"""Jobs of which it is no wonder when all are gone at once, and jobs of which it is."""
IDLE_S = 0.5
"""Machines go after so long without work: each drill lasts for several times as long."""
SPEED = 50
"""For drills that see five minutes pass."""

StartRedis = Callable[[], RedisServer]


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    with ExitStack() as running:

        def start() -> RedisServer:
            server = RedisServer(tmp_path)
            running.callback(server.stop)
            server.start()
            return server

        yield start


def quick(directory: Path, queue_url: str, store_url: str | None = None) -> Json:
    """Three ticks a second; machines boot within half a second, and go after half a second of quiet."""
    mock = {"setup": "300ms..500ms", "resume": "300ms..500ms", "stop": "100ms..200ms"}
    config = a_config(directory, queue_url, mock=mock, policy={"rent_depth": 3, "idle_for": f"{IDLE_S * 1000:g}ms"})
    config["pools"]["images"]["limits"] = {"hot": "1..3", "warm": "0..2"}
    return config | {"tick": "300ms", "store": store_url}


def fast(directory: Path, queue_url: str, store_url: str | None = None) -> Json:
    """The usual tick of ten seconds and a minute of quiet, for a clock that runs fifty times as fast."""
    config = quick(directory, queue_url, store_url)
    config["providers"]["mock"] |= {"setup": "15s..25s", "resume": "15s..25s", "stop": "5s..10s"}
    config["pools"]["images"]["policies"] = [{"thresholds": {"rent_depth": 3, "idle_for": "60s"}}]
    return config | {"tick": "10s"}


class Fleet:
    """A daemon that leads three machines, with jobs waiting."""

    def __init__(self, daemon: DaemonProcess, queue: RedisServer, jobs: int = FEW) -> None:
        self.daemon, self.queue, self.jobs = daemon, queue, jobs
        daemon.wait_ready()
        self.push()
        until(lambda: len(self.hot()) == 3, "three machines were HOT")
        self.machines = self.standing()
        self.settled()

    def push(self) -> None:
        with connect(self.queue.url) as client:
            client.rpush(PRO, *range(self.jobs))

    def settled(self) -> None:
        """Wait until the newest tick saw the jobs and wants no more machines."""
        until(
            lambda: (self.depth() or 0) >= self.jobs and self.pool()["decision"]["hot"] == 3,
            "the jobs were seen",
        )

    def pool(self) -> Json:
        """The pool as of the newest tick; nothing of it while the daemon does not lead."""
        return next(iter(self.daemon.ask("/api/v1/status")[1].get("pools", ())), {})

    def depth(self) -> int | None:
        demand = self.pool().get("demand", {"unknown": "nobody leads"})
        return None if demand["unknown"] else sum(tier["waiting"] for tier in demand["tiers"])

    def hot(self) -> list[str]:
        rows = self.daemon.ask("/api/v1/instances")[1].get("instances", ())
        return [row["id"] for row in rows if row["phase"] == "hot"]

    def standing(self) -> list[tuple[str, str]]:
        """The market's machines of ours and how they are, all orders carried out."""
        return sorted((machine.provider_id, machine.status) for machine in self.daemon.machines())

    def clock(self) -> float:
        return float(self.daemon.ask("/api/v1/status")[1]["clock"])

    def unharmed_for(self, seconds: float) -> None:
        """Let so much of the daemon's time pass; the market's machines are what they were."""
        over_s = self.clock() + seconds
        until(lambda: self.clock() > over_s, f"{seconds:g}s had passed", patience_s=30)
        assert self.standing() == self.machines

    def told(self, kind: str) -> list[str]:
        """What the journal has of one kind, oldest first."""
        rows = self.daemon.ask("/api/v1/journal?count=100")[1].get("entries", ())
        return [row["text"] for row in reversed(rows) if row["kind"] == kind]

    def wait_told(self, kind: str, times: int = 1) -> list[str]:
        """Wait until the journal has one of a kind so often; it never has it more often."""
        until(lambda: len(self.told(kind)) >= times, f"{times} of {kind} were told")
        told = self.told(kind)
        assert len(told) == times, told
        return told

    def goes_on(self) -> None:
        """The daemon decides as ever: without work the machines above the floor go."""
        self.queue.do("DEL", PRO)
        until(lambda: len(self.hot()) == 1, "the quiet queue freed machines", patience_s=30)


def test_a_queue_that_is_slow_silent_or_cut_off_holds_the_fleet_and_is_told_once_each(
    start_daemon: StartDaemon, start_redis: StartRedis, tmp_path: Path
) -> None:
    queue, store = start_redis(), start_redis()
    with TcpProxy(queue.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        fleet = Fleet(start_daemon(quick(tmp_path, url, store.url)), queue)
        troubles: list[Callable[[], None]] = [partial(proxy.delay, 2.0), proxy.hang, proxy.cut]
        for number, trouble in enumerate(troubles, start=1):
            trouble()
            fleet.wait_told("alarm", number)
            fleet.unharmed_for(2 * IDLE_S)
            assert fleet.daemon.ask("/readyz")[0] == 200, "the daemon itself is well"
            proxy.cut()  # what is on its way would arrive seconds later
            proxy.forward()
            fleet.wait_told("signal", number)

        assert all("cannot be read" in text and "3 up, " in text for text in fleet.told("alarm"))
        fleet.goes_on()


def test_a_redis_that_freezes_dies_and_comes_back_empty_costs_no_machine(
    start_daemon: StartDaemon, start_redis: StartRedis, tmp_path: Path
) -> None:
    """Queue and store in one, with 1,000 jobs: the daemon's own records are gone, too, and are made again by labels."""
    redis = start_redis()
    fleet = Fleet(start_daemon(quick(tmp_path, redis.url)), redis, MANY)
    os.kill(redis.pid, signal.SIGSTOP)
    until(lambda: fleet.daemon.ask("/readyz")[0] == 503, "it told that Redis is away")
    fleet.unharmed_for(2 * IDLE_S)
    redis.stop()
    fleet.unharmed_for(IDLE_S)
    redis.start()

    [alarm] = fleet.wait_told("alarm")
    fleet.unharmed_for(5 * IDLE_S)
    assert "fell from 1,000 to 0" in alarm
    assert len(fleet.hot()) == 3, "adopted by their labels"
    assert "fallen" in [reason["rule"] for reason in fleet.pool()["decision"]["why"]]
    fleet.push()
    fleet.wait_told("signal")
    fleet.goes_on()
    fleet.push()
    until(lambda: len(fleet.hot()) == 3, "jobs brought machines")


def test_a_replica_that_takes_no_writes_serves_as_a_queue_and_as_a_store_stops_all_calls(
    start_daemon: StartDaemon, start_redis: StartRedis, tmp_path: Path
) -> None:
    queue, store, other = start_redis(), start_redis(), start_redis()
    fleet = Fleet(start_daemon(quick(tmp_path, queue.url, store.url)), queue)
    follow(other, queue)
    other.do("REPLICAOF", "NO", "ONE")
    follow(queue, other)
    fleet.unharmed_for(2 * IDLE_S)
    assert (fleet.depth(), fleet.told("alarm")) == (FEW, []), "a queue is only ever read"
    queue.do("REPLICAOF", "NO", "ONE")

    follow(other, store)
    other.do("REPLICAOF", "NO", "ONE")
    follow(store, other)
    until(lambda: "read-only replica" in str(fleet.daemon.ask("/readyz")[1]), "it told why no tick is made")
    queue.do("DEL", PRO)
    fleet.unharmed_for(3 * IDLE_S)
    store.do("REPLICAOF", "NO", "ONE")
    fleet.daemon.wait_ready()
    fleet.push()
    fleet.settled()
    assert fleet.standing() == fleet.machines
    fleet.goes_on()


def follow(replica: RedisServer, primary: RedisServer) -> None:
    """Make a replica of one, and wait until it has all of it."""
    replica.do("REPLICAOF", "127.0.0.1", primary.port)
    until(
        lambda: dict_of(replica.do("INFO", "replication")).get("master_link_status") == "up", "the replica was in step"
    )


def dict_of(info: Any) -> dict[str, Any]:
    return (
        dict(info) if isinstance(info, dict) else dict(line.split(":", 1) for line in str(info).split() if ":" in line)
    )


def test_a_queue_that_is_flushed_stops_nothing_for_five_minutes(
    start_daemon: StartDaemon, start_redis: StartRedis, tmp_path: Path
) -> None:
    queue, store = start_redis(), start_redis()
    fleet = Fleet(start_daemon(fast(tmp_path, queue.url, store.url), "--speed", str(SPEED)), queue, MANY)
    queue.do("FLUSHDB")
    [alarm] = fleet.wait_told("alarm")
    fleet.unharmed_for(240.0)

    [relief] = fleet.wait_told("signal")
    assert "fell from 1,000 to 0" in alarm
    assert "stay gone" in relief
    fleet.goes_on()


def test_a_queue_that_refuses_or_is_no_queue_holds_the_fleet_and_says_why(
    start_daemon: StartDaemon, start_redis: StartRedis, tmp_path: Path
) -> None:
    queue, store = start_redis(), start_redis()
    queue.do("ACL", "SETUSER", "reader", "on", ">sesame", "~*", "&*", "+@all")
    url = queue.url.replace("redis://", "redis://reader:sesame@")
    fleet = Fleet(start_daemon(quick(tmp_path, url, store.url)), queue)
    troubles = [
        (("RENAME", PRO, "aside"), ("SET", PRO, "x"), ("RENAME", "aside", PRO), "holds a string"),
        (("ACL", "SETUSER", "reader", "-llen"), (), ("ACL", "SETUSER", "reader", "+llen"), "may not be read"),
        (
            ("ACL", "SETUSER", "reader", "resetpass", ">other"),
            ("CLIENT", "KILL", "TYPE", "normal"),
            ("ACL", "SETUSER", "reader", ">sesame"),
            "password",
        ),
    ]
    for number, (trouble, then, mend, word) in enumerate(troubles, start=1):
        queue.do(*trouble)
        if then:
            queue.do(*then)
        assert word in fleet.wait_told("alarm", number)[-1]
        fleet.unharmed_for(2 * IDLE_S)
        queue.do(*mend)
        fleet.wait_told("signal", number)
    fleet.goes_on()


def test_a_store_that_dies_alone_stops_all_calls_and_comes_back_empty_without_harm(
    start_daemon: StartDaemon, start_redis: StartRedis, tmp_path: Path
) -> None:
    queue, store = start_redis(), start_redis()
    fleet = Fleet(start_daemon(quick(tmp_path, queue.url, store.url)), queue)
    store.stop()
    until(lambda: fleet.daemon.ask("/readyz")[0] == 503, "it told that the store is away")
    fleet.unharmed_for(2 * IDLE_S)
    store.start()
    fleet.daemon.wait_ready()
    fleet.settled()
    fleet.unharmed_for(2 * IDLE_S)
    assert len(fleet.hot()) == 3
    fleet.goes_on()
