"""A daemon that dies at any moment leaves nothing behind that the next one does not find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.instance import parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Status
from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, Json, StartDaemon, a_config
from tests.support.real_time import until

KEYS = Keys(FLEET)
SPEED = 40.0
FAST = ("--speed", str(SPEED))
FLOOR = 2

Moment = Callable[[DaemonProcess, Any], object]


def quick(directory: Path, url: str, *scenario: Json) -> Json:
    """A floor of two machines that boot within a second of real time; a quiet queue frees a third one as soon."""
    mock = {"setup": "10s..20s", "resume": "10s..20s", "scenario": list(scenario)}
    config = a_config(directory, url, mock=mock, policy={"rent_depth": 3, "idle_for": "20s"})
    config["pools"]["images"]["limits"] |= {"hot": f"{FLOOR}..3"}
    return config


def restart_after_kill(daemon: DaemonProcess, client: Any) -> None:
    """Kill it, let its lease run out, start it again, and wait until it leads."""
    daemon.kill()
    client.pexpire(KEYS.lease, 1)
    daemon.start()
    until(lambda: daemon.ask("/readyz")[1].get("leads"), "the next daemon led")


def nothing_unknown(daemon: DaemonProcess, client: Any) -> bool:
    """Whether machines and records are one to one, each machine carries its record's token, and none has two."""
    labels = {machine.provider_id: parse_label(machine.label, FLEET) for machine in daemon.machines()}
    tokens = {provider_id: label and label[1] for provider_id, label in labels.items()}
    return tokens == {record.provider_id: record.id for record in daemon.records(client)}


def serves_its_floor(daemon: DaemonProcess, client: Any) -> bool:
    return daemon.phases(client).count(Phase.HOT) == FLOOR


def is_in(phase: Phase) -> Moment:
    return lambda daemon, client: phase in daemon.phases(client)


def a_machine_is_made(daemon: DaemonProcess, client: Any) -> object:
    return daemon.machines()


MOMENTS: dict[str, tuple[Moment, list[Json]]] = {
    "the lease was just taken": (lambda _, client: client.exists(KEYS.lease), []),
    "the first intents were just written": (lambda _, client: client.exists(KEYS.instances), []),
    "a rent hangs that was not done": (is_in(Phase.PLANNED), [{"fault": "hangs", "call": "rent"}]),
    "a rent hangs that was done": (a_machine_is_made, [{"fault": "answer_hangs", "call": "rent"}]),
    "the machines boot": (is_in(Phase.BOOTING), []),
    "the first machine is HOT": (is_in(Phase.HOT), []),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_9_and_a_restart_leave_no_unknown_machine_and_serve_the_floor(
    moment: str, start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    reached, scenario = MOMENTS[moment]
    daemon = start_daemon(quick(tmp_path, redis_url, *scenario), *FAST)
    until(lambda: reached(daemon, client), moment)
    restart_after_kill(daemon, client)
    until(lambda: serves_its_floor(daemon, client), "the floor was served again")
    until(lambda: nothing_unknown(daemon, client), "each machine had its record and each record its machine")
    assert len(daemon.machines()) == FLOOR, "nothing was rented twice"
    assert daemon.terminate() == 0


def test_a_machine_that_drains_is_still_waited_for_after_kill_9(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    daemon = start_daemon(quick(tmp_path, redis_url), *FAST)
    client.rpush("jobs:pro", *range(10))
    until(lambda: daemon.phases(client).count(Phase.HOT) == 3, "a third machine was HOT")
    busy = [record.id for record in daemon.records(client)]
    beats = iter(range(10**6))

    def drains() -> list[str]:
        for name in busy:
            client.hset(KEYS.workers, name, json.dumps({"busy": 1, "beat": next(beats)}))
        return [record.id for record in daemon.records(client) if record.phase is Phase.DRAINING]

    drains()
    client.delete("jobs:pro")
    [draining] = until(drains, "a machine drained")
    restart_after_kill(daemon, client)
    over_at = daemon.ask("/api/v1/status")[1]["clock"] + 120.0
    until(lambda: drains() and daemon.ask("/api/v1/status")[1]["clock"] > over_at, "two minutes went by")
    assert drains() == [draining], "it holds a job"
    assert client.exists(KEYS.drain(draining)), "its worker must pull no other"
    client.hset(KEYS.workers, draining, json.dumps({"busy": 0, "drained": True, "beat": next(beats)}))
    until(lambda: is_in(Phase.WARM)(daemon, client), "it was stopped once it was idle")
    assert nothing_unknown(daemon, client)
    assert [machine.status for machine in daemon.machines()].count(Status.STOPPED) == 1


@pytest.mark.parametrize("fault", ["hangs", "answer_hangs"])
def test_sigterm_waits_for_the_call_in_flight_gives_the_lease_back_and_leaves_the_machines(
    fault: str, start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    daemon = start_daemon(quick(tmp_path, redis_url, {"fault": fault, "call": "rent"}), *FAST)
    until(lambda: Phase.HOT in daemon.phases(client), "the other machine of the floor was HOT")
    assert Phase.PLANNED in daemon.phases(client), "and the call still hung"
    before = daemon.machines()
    assert len(before) == {"hangs": 1, "answer_hangs": 2}[fault]
    assert daemon.terminate() == 0, "within the call's time-out, a minute at that speed"
    assert not client.exists(KEYS.lease)
    assert daemon.machines() == before
    assert sorted(daemon.phases(client)) == [Phase.HOT, Phase.RENTING], "what is known was written"
    assert daemon.events("tick_failed") == []


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
