"""What a daemon knows does not go when the store loses it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.memory import MemoryState
from providers.mock import Fault
from providers.mock.scenario import Step
from tests.support.build import NOW
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Rehearsal


async def test_what_an_older_replica_lacks_is_written_again_in_minutes() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(600)
    booting = dict(world.state.instances)
    await daemon.live(HOUR)
    hot = dict(world.state.instances)
    world.state.instances.clear()
    world.state.instances.update(booting)

    await daemon.live(600)

    assert world.state.instances == hot != booting


async def test_the_days_books_outlive_a_failover_to_an_empty_store() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(3 * HOUR)
    for part in fields(MemoryState):
        setattr(world.state, part.name, getattr(MemoryState(), part.name))

    await daemon.live(HOUR)

    assert daemon.usd_today() == pytest.approx(world.billed_usd(), rel=0.02)


async def test_books_of_days_past_that_an_older_store_lacks_are_written_again_within_two_hours() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(26 * HOUR)
    yesterday, today = sorted(world.state.ledger)
    kept = world.state.ledger.pop(yesterday)

    await daemon.live(2 * HOUR)

    assert world.state.ledger[yesterday] == kept
    assert sorted(world.state.ledger) == [yesterday, today]


async def test_nothing_is_rented_for_an_empty_store_before_the_machines_that_there_are_were_listed() -> None:
    blind = Step(fault=Fault.LISTING_FAILS, at=HOUR, until=2 * HOUR)
    world = Rehearsal(replace(CALM, scenario=(blind,)))
    daemon = world.daemon()
    await daemon.live(HOUR + TICK_S)
    for part in fields(MemoryState):
        setattr(world.state, part.name, getattr(MemoryState(), part.name))

    await daemon.live(HOUR / 2)
    texts = [reason.text for reason in daemon.report.pools["images"].decision.why_not]
    await daemon.live(HOUR)

    assert any("its machines are not listed yet" in text and "and some may be ours already" in text for text in texts)
    assert world.market.rented == 1


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPING, Phase.RELEASING])
async def test_what_a_store_restored_from_an_old_copy_says_of_a_worker_ends_no_machine(phase: Phase) -> None:
    """In the copy a machine ends, as its worker had drained. It has been put to work again since, and has a job."""
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    name = next(iter(daemon.phases()))
    world.state.heartbeats[name] = Heartbeat(busy=1, stamp="new")
    await daemon.live(TICK_S)
    record = world.state.instances[name]

    world.state.instances[name] = replace(record, phase=phase, retry_at=NOW)
    world.state.heartbeats[name] = Heartbeat(busy=0, drained=True, stamp="old")
    daemon.watcher.outcomes.clear()
    world.state.owner, world.state.fence = "", world.state.fence - 5
    world.state.lease_until = float("-inf")
    await daemon.live(2 * TICK_S)
    for beat in range(20):
        world.state.heartbeats[name] = Heartbeat(busy=1, stamp=f"newer {beat}")
        await daemon.live(TICK_S)

    assert [each for each in daemon.watcher.outcomes if each.instance == name] == []


async def test_every_machine_is_known_again_within_a_minute_of_the_loss() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(HOUR)
    before = {record.provider_id for record in world.state.instances.values()}
    for part in fields(MemoryState):
        setattr(world.state, part.name, getattr(MemoryState(), part.name))

    await daemon.live(60)

    assert {record.provider_id for record in world.state.instances.values()} == before != set()


WRONG = '{"day": "x", "hosts": {"h": {"at": ["x"]}}, "images": {"setup": "x"}}'


@pytest.mark.parametrize("garbage", ["", "null", "7", "[7]", '{"x": 7}', WRONG])
async def test_what_was_learned_and_cannot_be_read_is_told_and_learned_anew(garbage: str) -> None:
    world = Rehearsal(CALM)
    world.queue.waiting = 31
    first = world.daemon()
    await first.live(600)
    machines = world.rented()
    await first.stop()
    learned = ("history:images", "places:mock", "load:images", "signal:images", "policy:images:thresholds")
    world.state.documents |= dict.fromkeys((*learned, "admission:images", "bills", "images", "told"), garbage)

    second = world.daemon()
    await second.live(60)

    assert second.watcher.failures == []
    assert world.rented().items() >= machines.items()
    told = second.texts(Kind.ALARM)
    assert len(told) == len(set(told))
    assert all("cannot be read" in text for text in told)
    assert any("learned in history:images" in text for text in told)


@pytest.mark.parametrize(
    "garbage",
    [
        *("", "[]", '{"pools": {}}'),
        '{"day": 1, "booked_until": 1, "pools": {"images": {"running_usd": NaN}}}',
        '{"day": 1, "booked_until": 1, "pools": {"images": {"running_usd": -500.0}}}',
    ],
    ids=["nothing", "list", "no day", "no number", "below zero"],
)
async def test_without_its_books_nothing_is_spent_and_it_is_told_which_cannot_be_read(garbage: str) -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    await first.live(HOUR)
    await first.stop()
    [day] = world.state.ledger
    world.state.ledger[day] = garbage
    world.queue.waiting = 31

    second = world.daemon()
    await second.live(60)

    assert second.watcher.outcomes == []
    assert set(second.watcher.failures) == {next(iter(second.watcher.failures))}
    assert f"the books of {day} cannot be read" in second.watcher.failures[0]
