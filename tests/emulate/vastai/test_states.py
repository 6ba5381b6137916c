"""Vast.ai's words for what an instance does, one situation each."""

from __future__ import annotations

from typing import Any

import pytest

from providers.mock import Fault
from tests.emulate.vastai.desk import Desk, step


def words(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["actual_status"], row["intended_status"], row["cur_state"], row["next_state"]


async def test_a_new_instance_has_no_status_is_created_loads_and_runs() -> None:
    desk = Desk()
    instance_id = await desk.rent()
    seen = []
    for elapsed_s in (0.0, 4.0, 20.0, 40.0):
        desk.now += elapsed_s
        row = await desk.row(instance_id)
        assert words(row)[1:] == ("running", "running", "running")
        seen.append(row["actual_status"])
    assert seen == [None, "created", "loading", "running"]


async def test_ports_are_there_only_while_it_runs_and_change_with_each_start() -> None:
    desk = Desk()
    instance_id = await desk.rent(env={"-p 8000:8000": "1", "-p 53:53/udp": "1"})
    assert "ports" not in await desk.row(instance_id)
    desk.now += 61.0
    first = (await desk.row(instance_id))["ports"]
    assert set(first) == {"22/tcp", "8000/tcp", "53/udp"}
    ((entry,), *_) = first.values()
    assert entry["HostIp"] == "0.0.0.0"
    assert isinstance(entry["HostPort"], str)
    await desk.put(instance_id, state="stopped")
    desk.now += 11.0
    assert "ports" not in await desk.row(instance_id)
    await desk.put(instance_id, state="running")
    desk.now += 31.0
    assert (await desk.row(instance_id))["ports"] != first


async def test_a_stop_is_under_way_before_it_is_done() -> None:
    desk = Desk()
    instance_id = await desk.running()
    await desk.put(instance_id, state="stopped")
    assert words(await desk.row(instance_id)) == ("running", "stopped", "running", "stopped")
    desk.now += 11.0
    assert words(await desk.row(instance_id)) == ("exited", "stopped", "stopped", "stopped")


async def test_a_refused_start_is_queued_and_starts_by_itself_when_the_gpu_is_free() -> None:
    desk = Desk(scenario=step(Fault.RESUME_REFUSED))
    instance_id = await desk.stopped()
    answer = await desk.put(instance_id, state="running")
    assert answer.status == 200
    assert answer.json()["success"] is False
    assert "state change queued" in answer.json()["msg"]
    assert words(await desk.row(instance_id)) == ("exited", "running", "stopped", "running")
    desk.now += 3700.0
    assert (await desk.row(instance_id))["actual_status"] == "running"


async def test_a_stop_calls_a_queued_start_off() -> None:
    desk = Desk(scenario=step(Fault.RESUME_QUEUED))
    instance_id = await desk.stopped()
    await desk.put(instance_id, state="running")
    await desk.put(instance_id, state="stopped")
    desk.now += 7200.0
    assert words(await desk.row(instance_id)) == ("exited", "stopped", "stopped", "stopped")


async def test_a_start_that_is_refused_for_ever_stays_queued() -> None:
    desk = Desk(scenario=step(Fault.RESUME_NEVER))
    instance_id = await desk.stopped()
    await desk.put(instance_id, state="running")
    desk.now += 30 * 86400.0
    assert words(await desk.row(instance_id)) == ("exited", "running", "stopped", "running")


async def test_an_instance_that_was_outbid_looks_stopped() -> None:
    desk = Desk(scenario=step(Fault.OUTBID, at=100.0), outbid_returns=0.0)
    instance_id = await desk.rent(price=0.5)
    desk.now += 120.0
    row = await desk.row(instance_id)
    assert words(row) == ("exited", "stopped", "stopped", "stopped")
    assert row["is_bid"]


async def test_an_instance_that_was_outbid_may_resume_and_bill_unasked() -> None:
    desk = Desk(scenario=step(Fault.OUTBID, at=100.0), outbid_returns=1.0)
    instance_id = await desk.rent(price=0.5)
    desk.now += 4000.0
    assert words(await desk.row(instance_id)) == ("running",) * 4
    assert desk.machine(instance_id).bills_gpu


async def test_a_container_that_cannot_be_made_says_so_within_seconds_and_never_recovers() -> None:
    desk = Desk(scenario=step(Fault.CRASH_LOOP))
    instance_id = await desk.rent()
    for elapsed_s in (10.0, 86400.0):
        desk.now += elapsed_s
        row = await desk.row(instance_id)
        assert (row["actual_status"], row["cur_state"]) == ("created", "stopped")
        assert "OCI runtime create failed" in row["status_msg"]


async def test_a_stuck_pull_loads_for_ever() -> None:
    desk = Desk(scenario=step(Fault.BOOT_HANGS))
    instance_id = await desk.rent()
    desk.now += 86400.0
    assert (await desk.row(instance_id))["actual_status"] == "loading"


async def test_a_silent_host_makes_its_instances_offline() -> None:
    desk = Desk(scenario=step(Fault.HOST_OFFLINE, at=100.0))
    instance_id = await desk.running()
    desk.now += 60.0
    assert (await desk.row(instance_id))["actual_status"] == "offline"
    answer = await desk.put(instance_id, state="running")
    assert (answer.status, answer.json()["success"]) == (200, False)


@pytest.mark.parametrize("way", ["reboot", "recycle"])
async def test_a_reboot_keeps_the_gpu(way: str) -> None:
    desk = Desk()
    instance_id = await desk.running()
    assert (await desk.ask("PUT", f"/api/v0/instances/{way}/{instance_id}/", {})).json() == {"success": True}
    assert desk.machine(instance_id).holds_gpu
    assert (await desk.row(instance_id))["actual_status"] in {"rebooting", "loading"}
    desk.now += 61.0
    assert (await desk.row(instance_id))["actual_status"] == "running"


async def test_a_stopped_instance_cannot_be_rebooted() -> None:
    desk = Desk()
    instance_id = await desk.stopped()
    assert (await desk.ask("PUT", f"/api/v0/instances/reboot/{instance_id}/", {})).status == 400


async def test_a_failed_instance_may_be_told_to_start_again() -> None:
    desk = Desk(scenario=step(Fault.CRASH_LOOP))
    instance_id = await desk.running()
    assert (await desk.put(instance_id, state="running")).json() == {"success": True}
    desk.now += 31.0
    assert (await desk.row(instance_id))["actual_status"] == "running"


async def test_an_instance_that_is_gone_is_null_under_200_and_404_to_changes() -> None:
    desk = Desk()
    instance_id = await desk.rent()
    assert (await desk.destroy(instance_id)).json()["success"] is True
    assert await desk.row(instance_id) is None
    for answer in (await desk.destroy(instance_id), await desk.put(instance_id, state="stopped")):
        assert (answer.status, answer.json()["error"]) == (404, "no_such_instance")


async def test_changes_that_cannot_be_understood_are_400() -> None:
    desk = Desk()
    instance_id = await desk.rent()
    for body in ({}, {"state": "paused"}, {"label": 5}, {"label": "x" * 1025}):
        assert (await desk.put(instance_id, **body)).status == 400


async def test_bulk_changes_say_of_each_instance_what_came_of_it() -> None:
    desk = Desk()
    running = [await desk.rent(), await desk.rent()]
    answer = (await desk.ask("PUT", "/api/v0/instances/", {"state": "stopped", "ids": [*running, 5]})).json()
    assert answer["success"] is False
    assert answer["results"]["5"]["error"] == "no_such_instance"
    desk.now += 61.0
    answer = (await desk.ask("POST", "/api/v0/instances/start", {"IDs": running})).json()
    assert answer["success"] is True
    answer = (await desk.ask("DELETE", "/api/v0/instances/", {"instance_ids": running})).json()
    assert answer["success"] is True
    assert not desk.market.machines
