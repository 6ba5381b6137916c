"""Trouble at run time: the daemon says so in a line, holds what was decided last, and goes on when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.lifecycle import Phase
from tests.support.daemon_process import DaemonProcess, Json, StartDaemon, a_config, connect
from tests.support.real_time import until
from tests.support.redis_server import RedisServer

IDLE_S = 1.0


def brisk(directory: Path, url: str) -> Json:
    """At the pace of life, five ticks a second; machines boot within a second, and go after one of quiet."""
    mock = {"setup": "300ms..500ms", "resume": "300ms..500ms", "stop": "100ms..200ms"}
    config = a_config(directory, url, mock=mock, policy={"rent_depth": 3, "idle_for": f"{IDLE_S:g}s"})
    config["pools"]["images"]["limits"]["hot"] = "1..2"
    return config | {"tick": "200ms"}


def let_pass(daemon: DaemonProcess, seconds: float) -> None:
    """Let that much of the daemon's time go by."""
    over_at = daemon.ask("/api/v1/status")[1]["clock"] + seconds
    until(lambda: daemon.ask("/api/v1/status")[1]["clock"] > over_at, f"{seconds:g}s had passed")


def hot(daemon: DaemonProcess) -> list[str]:
    """The HOT machines, as the daemon's API shows them."""
    machines = daemon.ask("/api/v1/instances")[1]["instances"]
    return [machine["id"] for machine in machines if machine["phase"] == Phase.HOT]


def two_machines_hot(daemon: DaemonProcess, client: Any) -> list[str]:
    """Push jobs that nobody serves until a second machine is HOT; the jobs stay."""
    daemon.wait_ready()
    client.rpush("jobs:pro", *range(5))
    until(lambda: len(hot(daemon)) == 2, "a second machine was HOT")
    return hot(daemon)


def test_a_queue_key_of_the_wrong_type_is_one_warning_and_nothing_is_stopped(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    daemon = start_daemon(brisk(tmp_path, redis_url))
    machines = two_machines_hot(daemon, client)
    client.set("jobs:pro", "not a list")
    until(lambda: daemon.pool()["demand"]["unknown"], "the queue was unknown")
    let_pass(daemon, 3 * IDLE_S)
    assert daemon.pool()["decision"]["hot"] == 2, "the last good decision"
    assert hot(daemon) == machines
    assert daemon.ask("/readyz")[0] == 200, "the daemon itself is well"
    [warning] = daemon.events("signal_lost")
    assert warning["level"] == "warning"
    assert "queue key 'jobs:pro' holds a string; expected a list" in warning["text"]

    client.delete("jobs:pro")
    until(lambda: len(hot(daemon)) == 1, "the quiet queue freed a machine")
    assert len(daemon.events("signal_back")) == 1


def test_a_price_cap_below_every_offer_is_a_reason_and_no_failure(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    config = brisk(tmp_path, redis_url)
    config["pools"]["images"]["placements"][0]["max_usd_per_hour"] = 0.05
    daemon = start_daemon(config)
    daemon.wait_ready()
    let_pass(daemon, 1.0)
    [pool] = daemon.ask("/api/v1/plan")[1]["pools"]
    why_not = {reason["rule"]: reason["text"] for reason in pool["decision"]["why_not"]}
    assert why_not["plan.rent"] == "mock-on-demand: no offer at or below 0.05 USD/h"
    assert pool["decision"]["hot"] == 1
    assert daemon.machines() == []
    assert daemon.ask("/readyz")[0] == 200
    assert daemon.events("tick_failed") == []
    assert daemon.terminate() == 0


@pytest.fixture
def own_redis(tmp_path: Path, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis, not started, that a test may start and stop."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def test_redis_away_at_the_start_is_a_clear_line_and_waited_for(
    start_daemon: StartDaemon, own_redis: RedisServer, tmp_path: Path
) -> None:
    daemon = start_daemon(brisk(tmp_path, own_redis.url))
    until(lambda: daemon.ask("/readyz")[0] == 503 and daemon.events("tick_failed"), "it told that Redis is away")
    assert "Redis cannot be reached" in daemon.ask("/readyz")[1]["error"]
    assert f"127.0.0.1:{own_redis.port}" in daemon.events("tick_failed")[0]["text"]
    assert daemon.ask("/healthz")[0] == 200, "a restart would not help"
    own_redis.start()
    daemon.wait_ready()
    until(lambda: len(hot(daemon)) == 1, "the floor was served")
    assert len(daemon.events("tick_failed")) == 1, "said once, not with each tick"
    assert len(daemon.events("tick_recovered")) == 1


def test_while_redis_is_away_nothing_is_stopped_and_afterwards_the_fleet_is_found_by_its_labels(
    start_daemon: StartDaemon, own_redis: RedisServer, tmp_path: Path
) -> None:
    own_redis.start()
    daemon = start_daemon(brisk(tmp_path, own_redis.url))
    with connect(own_redis.url) as client:
        machines = two_machines_hot(daemon, client)
        listed = daemon.machines()
        own_redis.stop()
        until(lambda: daemon.ask("/readyz")[0] == 503, "it told that Redis is away")
        let_pass(daemon, 3 * IDLE_S)
        assert daemon.machines() == listed
        assert daemon.ask("/readyz")[0] == 503

        own_redis.start()
        client.rpush("jobs:pro", *range(3))
        daemon.wait_ready()
        until(lambda: sorted(hot(daemon)) == sorted(machines), "an empty Redis held the same machines again")
        assert [machine.provider_id for machine in daemon.machines()] == [machine.provider_id for machine in listed]
        client.delete("jobs:pro")
        until(lambda: len(hot(daemon)) == 1, "the quiet queue freed a machine")
