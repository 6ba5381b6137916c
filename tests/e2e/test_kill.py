"""A daemon that stands by takes over from one that is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoscaler.core.instance import parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, Json, StartDaemon, a_config
from tests.support.real_time import until

KEYS = Keys(FLEET)
SPEED = 40.0
FAST = ("--speed", str(SPEED))
FLOOR = 2


def quick(directory: Path, url: str) -> Json:
    """A floor of two machines that boot within a second of real time; a quiet queue frees a third one as soon."""
    mock = {"setup": "10s..20s", "resume": "10s..20s"}
    config = a_config(directory, url, mock=mock, policy={"rent_depth": 3, "idle_for": "20s"})
    config["pools"]["images"]["limits"] |= {"hot": f"{FLOOR}..3"}
    return config


def nothing_unknown(daemon: DaemonProcess, client: Any) -> bool:
    """Whether machines and records are one to one, each machine carries its record's token, and none has two."""
    labels = {machine.provider_id: parse_label(machine.label, FLEET) for machine in daemon.machines()}
    tokens = {provider_id: label and label[1] for provider_id, label in labels.items()}
    return tokens == {record.provider_id: record.id for record in daemon.records(client)}


def serves_its_floor(daemon: DaemonProcess, client: Any) -> bool:
    return daemon.phases(client).count(Phase.HOT) == FLOOR


def test_a_second_daemon_stands_by_and_takes_over_when_the_first_is_killed(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    config = quick(tmp_path, redis_url)
    first = start_daemon(config, *FAST)
    until(lambda: serves_its_floor(first, client), "the floor was served")
    machines = first.machines()
    second = start_daemon(config | {"http": a_config(tmp_path, redis_url)["http"]}, *FAST)
    second.wait_ready()
    assert second.ask("/readyz")[1]["leads"] is False
    first.kill()
    client.pexpire(KEYS.lease, 1)
    until(lambda: second.ask("/readyz")[1]["leads"], "the second led")
    assert second.machines() == machines
    assert nothing_unknown(second, client)
