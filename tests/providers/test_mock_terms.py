"""The market by the terms of another vendor."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from autoscaler.core.errors import NoCapacity
from autoscaler.core.market import Status
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.units import DurationRange
from providers.mock import Fault, Market, MockSettings, Terms

HOUR = 3600.0
SPEC = MachineSpec(image="i", gpus=("RTX 4090",))
ANYWHERE = Placement(provider="mock", max_usd_per_hour=10.0)
SETTINGS = MockSettings(
    setup=DurationRange(HOUR, HOUR),
    resume=DurationRange(60.0, 60.0),
    stop=DurationRange(10.0, 10.0),
    let_to_others=DurationRange(HOUR, HOUR),
    faults={Fault.RESUME_REFUSED: 0.0},
)


def opened(terms: Terms, settings: MockSettings = SETTINGS) -> Market:
    market = Market("mock", settings, (), random.Random(1), terms=terms)
    market.settle(0.0)
    return market


def rented(market: Market, now: float = 0.0) -> str:
    return market.rent(now, market.offers(now, ANYWHERE, SPEC)[0], SPEC, "w1")


@pytest.mark.parametrize("bills_boot", [True, False])
def test_a_boot_costs_the_gpu_or_the_disk_alone(bills_boot: bool) -> None:
    market = opened(Terms(bills_boot=bills_boot))
    machine = market.machines[rented(market)]
    booting = machine.usd_per_hour if bills_boot else machine.disk_usd_per_hour
    assert market.billed_usd(HOUR)[machine.id] == pytest.approx(booting)
    assert market.billed_usd(2 * HOUR)[machine.id] == pytest.approx(booting + machine.usd_per_hour)


@pytest.mark.parametrize(("queues", "status"), [(True, Status.RUNNING), (False, Status.STOPPED)])
def test_a_refused_start_is_a_pending_order_or_none(queues: bool, status: Status) -> None:
    market = opened(Terms(queues_starts=queues))
    machine_id = rented(market)
    market.stop(HOUR, machine_id)
    with pytest.raises(NoCapacity):
        market.resume(2 * HOUR, machine_id, frozenset({Fault.RESUME_REFUSED}))
    market.settle(4 * HOUR)
    assert market.machines[machine_id].status is status


def test_a_queued_start_that_is_refused_for_ever_stays_queued() -> None:
    market = opened(Terms(queues_starts=True))
    machine_id = rented(market)
    market.stop(HOUR, machine_id)
    with pytest.raises(NoCapacity):
        market.resume(2 * HOUR, machine_id, frozenset({Fault.RESUME_NEVER}))
    market.settle(1000 * HOUR)
    assert market.machines[machine_id].status is Status.QUEUED


def test_machines_have_the_ids_of_the_vendor_foreign_ones_too() -> None:
    market = opened(Terms(name=lambda plain: f"vendor-{plain}"), replace(SETTINGS, foreign=("notebook",)))
    assert rented(market) == "vendor-m1"
    assert list(market.machines) == ["vendor-foreign-1", "vendor-m1"]


def test_a_machine_can_be_given_another_label() -> None:
    market = opened(Terms())
    machine_id = rented(market)
    assert [row.label for row in market.listing(0.0)] == ["w1"]
    market.label(0.0, machine_id, "w2")
    assert [row.label for row in market.listing(0.0)] == ["w2"]


def test_the_free_gpus_of_a_host_are_those_that_nobody_holds() -> None:
    market = opened(Terms())
    machine = market.machines[rented(market)]
    host = market.hosts[machine.host]
    assert market.free_gpus(host) == host.stock.gpus_per_host - 1
    host.taken_until = HOUR
    assert market.free_gpus(host) == 0
