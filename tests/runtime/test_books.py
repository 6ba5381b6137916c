"""The books of a whole daemon on virtual time: against the market's own bill, through restarts and faults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.ledger import DAY_S, DayLedger, Spent, day_name
from autoscaler.core.market import Offer
from autoscaler.core.reconcile import Verdict, reconcile
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.waste import Waste
from autoscaler.runtime.documents import read_ledger
from autoscaler.runtime.ports import Heartbeat
from providers.mock import Fault, Step
from tests.support.build import NOW
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal
from tests.support.teller import Teller

MIDNIGHT_S = DAY_S - NOW % DAY_S


def lines_of(books: Mapping[int, DayLedger]) -> dict[str, float]:
    """USD by purpose over all days, after a look at whether each page adds up."""
    found: dict[str, float] = {}
    for ledger in books.values():
        for spent in ledger.pools.values():
            assert sum(spent.lines.values()) == pytest.approx(spent.usd, abs=1e-9)
            for line, usd in spent.lines.items():
                assert (line.placement, line.provider) == ("mock-on-demand", "mock")
                found[line.purpose.value] = found.get(line.purpose.value, 0.0) + usd
    return found


def stored(world: Rehearsal) -> dict[int, DayLedger]:
    ledgers = [read_ledger(json.loads(text)) for text in world.state.ledger.values()]
    return {ledger.day: ledger for ledger in ledgers}


def beat(world: Rehearsal, busy: int, **said: Any) -> None:
    """Each machine's worker speaks."""
    for number, name in enumerate([*world.state.instances]):
        stamp = f"{world.clock.now()}-{number}"
        world.state.heartbeats[name] = Heartbeat(busy=busy, stamp=stamp, **said)


async def at_work(world: Rehearsal, daemon: Daemon, hours: float, busy: int, **said: Any) -> None:
    for _ in range(int(hours * HOUR / (3 * TICK_S))):
        beat(world, busy, **said)
        await daemon.live(3 * TICK_S)


async def test_a_day_and_its_night_are_booked_for_what_they_were_for_and_add_up_to_the_bill() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    world.queue.waiting = 100
    await daemon.live(HOUR)
    await at_work(world, daemon, 3.0, 1)
    world.queue.waiting = 0
    await at_work(world, daemon, 2.0, 0, drained=True)
    await daemon.live(MIDNIGHT_S)
    books = daemon.report.books
    assert len(books) == 2
    lines = lines_of(books)
    assert {"serving", "idle", "boot", "leaving", "stopped", "unseen"} == lines.keys()
    assert sum(lines.values()) == pytest.approx(world.billed_usd(), rel=0.02)
    assert sum(lines.values()) == pytest.approx(sum(ledger.usd() for ledger in books.values()))


async def test_a_restart_loses_no_line_and_what_nobody_saw_meanwhile_is_unseen() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(HOUR)
    await at_work(world, daemon, 1.0, 1)
    await daemon.stop()
    before = lines_of(stored(world))
    assert before.keys() >= {"boot", "serving"}
    await world.clock.sleep(5 * HOUR)
    daemon = world.daemon()
    await daemon.live(3 * TICK_S)
    lines = lines_of(daemon.report.books)
    [machine] = daemon.report.instances.values()
    assert lines["unseen"] - before.get("unseen", 0.0) == pytest.approx(5 * machine.burn_usd_per_hour, rel=0.02)
    assert {name: lines[name] for name in ("boot", "serving")} == pytest.approx(
        {name: before[name] for name in ("boot", "serving")}
    )


async def test_boots_that_fail_are_booked_as_such_with_their_reason() -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=Fault.CRASH_LOOP, nth=1),)))
    daemon = world.daemon()
    await daemon.live(3 * HOUR)
    page = daemon.report.books[max(daemon.report.books)].pools["images"]
    lines = lines_of(daemon.report.books)
    assert page.wasted[Waste.CRASH_LOOP].times == 1
    assert lines["failed_boot"] == pytest.approx(page.wasted[Waste.CRASH_LOOP].usd)
    assert lines["boot"] > lines["failed_boot"] > 0.0, "the next machine came up"


async def test_work_by_class_reaches_the_store_and_survives_workers_that_begin_anew() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(HOUR)
    for done in ((0, 0.0), (10, 300.0), (12, 360.0), (1, 30.0)):
        beat(world, 1, classes={"sdxl-1024": done}, done={"pro": done})
        await daemon.live(2 * HOUR / 60)
    await daemon.live(2 * HOUR / 60)
    await daemon.stop()
    page: Spent = stored(world)[max(daemon.report.books)].pools["images"]
    [sdxl] = page.classes.values()
    assert (sdxl.jobs, sdxl.work_s, sdxl.told) == (13, 390.0, 13)
    assert page.tiers["pro"] == sdxl


class Metered(Teller):
    """A provider that sells traffic by the GB, and bills."""

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        return [replace(offer, usd_per_gb=0.05) for offer in await super().list_offers(placement, machine)]


async def test_bills_and_what_downloads_should_cost_stand_beside_the_books_and_are_in_no_sum() -> None:
    world = Rehearsal(CALM)
    machine = replace(world.pools[0].machine, download_gb=20.0)
    world.pools = (replace(world.pools[0], machine=machine),)
    teller = Metered(world)
    daemon = world.daemon(provider=teller)
    await daemon.live(MIDNIGHT_S)
    first = min(daemon.report.books)
    booked = daemon.report.books[first].usd()
    teller.bills[day_name(first)] = {
        name: usd + 2.0 for name, usd in world.market.billed_usd(world.clock.now()).items()
    }
    await daemon.live(3 * HOUR)
    await daemon.stop()
    ledger = stored(world)[first]
    assert ledger.pools["images"].downloads == {"mock": pytest.approx(1.0)}
    assert ledger.usd() == pytest.approx(booked, abs=0.01)
    [bill] = reconcile(stored(world), [first], first + 1)
    assert bill.billed_usd == pytest.approx(booked + 2.0, abs=0.2)
    assert bill.verdict is Verdict.DOWNLOADS
