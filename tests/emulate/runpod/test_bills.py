"""What pods cost, by RunPod's prices and sums done by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulate.runpod.desk import HOUR, Desk

# 72 GB × 0.10 USD per GB and month ÷ 720 h = 0.01 USD per hour.
DISKS: dict[str, Any] = {"disk": 72, "mounts": {"persistent": {"size": 144, "path": "/w"}}}


async def test_a_volume_costs_double_while_the_pod_is_stopped_and_the_container_disk_nothing() -> None:
    desk = Desk()
    pod = await desk.create(**DISKS)
    desk.now += 2 * HOUR
    await desk.act("m1", "stop")
    desk.now += 4  # it takes that long
    running = (pod["cost"] + 0.03) * (2 + 4 / HOUR)
    assert desk.bill("m1") == pytest.approx(running)
    assert (await desk.pod("m1"))["cost"] == 0.0
    desk.now += 10 * HOUR
    assert desk.bill("m1") == pytest.approx(running + 10 * 0.04)


async def test_a_stopped_pod_without_a_volume_costs_nothing() -> None:
    desk = Desk()
    pod_id = await desk.create_stopped()
    before = desk.bill(pod_id)
    desk.now += 1000 * HOUR
    assert desk.bill(pod_id) == before


async def test_the_price_shown_leaves_disks_out() -> None:
    desk = Desk()
    small, large = await desk.create(disk=1), await desk.create(**DISKS)
    assert small["cost"] == large["cost"]
    assert desk.machine("m2").burn_usd_per_hour == pytest.approx(large["cost"] + 0.03)


async def test_bills_by_bucket_add_up_to_what_was_billed_in_truth() -> None:
    desk = Desk()
    pod = await desk.create(**DISKS)
    await desk.create()
    desk.now += 30 * HOUR
    await desk.act("m1", "stop")
    desk.now += 30 * HOUR
    await desk.ask("DELETE", "/v2/pods/m2")
    hourly = await desk.get("/v2/billing/pods", bucketSize="hour", podId="m1")
    daily = await desk.get("/v2/billing/pods")
    assert hourly["metadata"]["totals"]["totalAmount"] == pytest.approx(desk.bill("m1"))
    assert hourly["metadata"]["totals"]["gpuAmount"] == pytest.approx(pod["cost"] * (30 + 4 / HOUR))
    assert {row["podId"] for row in hourly["records"]} == {"m1"}
    assert len(hourly["records"]) == 60
    assert daily["metadata"]["uniquePodCount"] == 2
    assert daily["metadata"]["totals"]["totalAmount"] == pytest.approx(desk.bill("m1") + desk.bill("m2"))
    starts = [row["startTime"] for row in daily["records"] if row["podId"] == "m1"]
    assert starts == ["2027-01-15T00:00:00.000Z", "2027-01-16T00:00:00.000Z", "2027-01-17T00:00:00.000Z"]


async def test_the_last_buckets_are_those_up_to_now() -> None:
    desk = Desk()
    await desk.create()
    desk.now += 50 * HOUR
    last = await desk.get("/v2/billing/pods", lastN="1")
    assert [row["startTime"] for row in last["records"]] == ["2027-01-17T00:00:00.000Z"]
    assert (await desk.ask("GET", "/v2/billing/pods", lastN="1", startTime="2027-01-01T00:00:00Z")).status == 400
