"""An operator's hand where each pool is led by a lease of its own: it reaches the machines of all, and is told once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.store.codec import decode_instance
from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, Json, a_config, autoscaler
from tests.support.real_time import until

SPEED = 60.0


@pytest.fixture
def daemon(client: Any, redis_url: str, tmp_path: Path) -> Iterator[DaemonProcess]:
    """One that leads two pools, each with a machine that is up."""
    config: Json = a_config(tmp_path, redis_url, mock={"setup": "1m..1m"})
    config["spread"] = True
    config["pools"]["videos"] = deepcopy(config["pools"]["images"])
    process = DaemonProcess(tmp_path, config, "--speed", str(SPEED))
    process.start()
    process.wait_ready()
    until(lambda: len(hot(process)) == 2, "a machine of each pool was up")
    yield process
    process.kill()


def hot(daemon: DaemonProcess) -> dict[str, str]:
    """Pools by machine that is up."""
    machines = daemon.ask("/api/v1/instances")[1]["instances"]
    return {machine["id"]: machine["pool"] for machine in machines if machine["phase"] == "hot"}


def done(daemon: DaemonProcess, *words: str) -> str:
    """A command that succeeds."""
    result = autoscaler(*words, daemon.file)
    assert result.returncode == 0, result.stderr
    return result.stdout


def told(daemon: DaemonProcess, end: str) -> list[str]:
    return [entry["text"] for entry in daemon.ask("/api/v1/journal?count=500")[1]["entries"] if end in entry["text"]]


def test_a_command_knows_the_machines_of_each_pool(daemon: DaemonProcess) -> None:
    assert "Nothing to reap" in done(daemon, "reap", "--dry-run")
    for machine in hot(daemon):
        assert f"Given: release {machine}" in done(daemon, "release", machine)
    until(lambda: len(told(daemon, "is fulfilled, the machine is gone")) == 2, "both were gone")


def test_an_order_for_all_pools_is_told_to_be_over_once(daemon: DaemonProcess) -> None:
    done(daemon, "pause", "--for", "2m", "--by", "ada")
    until(lambda: told(daemon, "is over"), "it was over")
    beyond = daemon.ask("/api/v1/status")[1]["clock"] + 60.0
    until(lambda: daemon.ask("/api/v1/status")[1]["at"] > beyond, "each unit had ticked since")
    assert told(daemon, "is over") == ["order is over: pause by ada, for 2m"]


def test_the_records_of_a_pool_that_is_removed_are_taken_over_by_who_keeps_strays(
    daemon: DaemonProcess, client: Any
) -> None:
    [machine] = [name for name, pool in hot(daemon).items() if pool == "videos"]
    keys = Keys(FLEET, "videos")
    ordered_at = decode_instance(machine, client.hget(keys.instances, machine)).ordered_at
    del daemon.config["pools"]["videos"]
    daemon.file.write_text(yaml.safe_dump(daemon.config))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: not client.exists(keys.lease), "nobody leads it")
    beyond = daemon.ask("/api/v1/status")[1]["clock"] + 60.0
    until(lambda: daemon.ask("/api/v1/status")[1]["at"] > beyond, "it was seen to be led no more")
    client.zadd(keys.pools, {"videos": 1.0})  # nor has anybody for long
    until(lambda: not client.hexists(keys.instances, machine), "its record has left the pool's own keys")
    taken = decode_instance(machine, client.hget(Keys(FLEET, "images").instances, machine))
    assert (taken.ordered_at, taken.adopted) == (ordered_at, False)
