"""Which machines Prometheus is told to scrape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Pool
from autoscaler.web.discovery import discovery_route
from tests.support.reports import POOL, machine
from tests.support.served import served

SERVING = replace(POOL, machine=replace(POOL.machine, ready="http :8188/system_stats"))
AT = "203.0.113.7:41188"


async def answered(
    query: str, *machines: Instance, pool: Pool = POOL, error: Exception | None = None
) -> tuple[int, Any]:
    async def records() -> Sequence[Instance]:
        if error is not None:
            raise error
        return machines

    async with served(None, discovery_route(records, lambda: {pool.name: pool.machine.port})) as daemon:
        return await daemon.json(f"/sd/prometheus{query}")


async def targets(query: str, *machines: Instance, pool: Pool = POOL) -> list[str]:
    status, groups = await answered(query, *machines, pool=pool)
    assert status == 200, groups
    return [target for group in groups for target in group["targets"]]


async def test_a_machine_is_a_target_of_its_own_with_what_is_known_of_it() -> None:
    known = machine("m1", address="203.0.113.7", gpu="RTX 4090", region="US")
    status, groups = await answered("?port=9400", known)
    assert status == 200
    assert groups == [
        {
            "targets": ["203.0.113.7:9400"],
            "labels": {
                "__meta_autoscaler_instance": "m1",
                "__meta_autoscaler_pool": "images",
                "__meta_autoscaler_provider": "mock",
                "__meta_autoscaler_placement": "mock-spot",
                "__meta_autoscaler_gpu": "RTX 4090",
                "__meta_autoscaler_region": "US",
                "__meta_autoscaler_phase": "hot",
            },
        }
    ]


@pytest.mark.parametrize("phase", Phase)
async def test_only_machines_that_run_for_jobs_are_targets(phase: Phase) -> None:
    there = await targets("?port=9400", machine(phase=phase, address="203.0.113.7"))
    assert bool(there) == (phase in (Phase.HOT, Phase.DRAINING))


async def test_a_machine_without_an_address_is_none() -> None:
    assert await targets("?port=9400", machine()) == []


async def test_the_port_that_the_provider_maps_is_asked_for_where_it_answers_outside() -> None:
    assert await targets("?port=8188", machine(address=AT), pool=SERVING) == [AT]


async def test_another_port_is_asked_for_as_it_is_for_nobody_says_where_it_is_mapped() -> None:
    assert await targets("?port=9400", machine(address=AT), pool=SERVING) == ["203.0.113.7:9400"]
    assert await targets("?port=8188", machine(address=AT, pool="gone"), pool=SERVING) == ["203.0.113.7:8188"]


async def test_one_pool_alone_can_be_asked_for() -> None:
    own, other = machine("a", address="203.0.113.7"), machine("b", address="203.0.113.8", pool="llm")
    assert await targets("?port=9400&pool=images", own, other) == ["203.0.113.7:9400"]
    assert await targets("?port=9400", own, other) == ["203.0.113.7:9400", "203.0.113.8:9400"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "port"),
        ("?port=0", "greater than or equal to 1"),
        ("?port=65536", "less than or equal to 65535"),
        ("?port=9400&pool=typo", "expected one of images"),
        ("?port=9400&tier=pro", "tier: there is no such field"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_can(query: str, says: str) -> None:
    status, body = await answered(query)
    assert status == 400
    assert says in body["error"]


async def test_records_that_cannot_be_read_are_no_empty_list() -> None:
    status, _ = await answered("?port=9400", error=StoreUnavailable("Redis is away"))
    assert status == 503
