"""The whole daemon on virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace

import pytest

from autoscaler.core.decision import Action, Result
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import Kind
from autoscaler.core.ledger import DAY_S, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.spec import Cap, Limits, Placement
from autoscaler.core.units import Span
from autoscaler.runtime.ports import Changes, Control
from autoscaler.store.memory import MemoryState, MemoryStore
from policies.thresholds import Thresholds
from providers.mock import Fault, MockSettings
from providers.mock.faults import Operation
from providers.mock.scenario import FaultPlan, Step
from tests.support.build import FLEET, NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Rehearsal

P = Phase
MACHINE_LIFE = [P.PLANNED, P.RENTING, P.BOOTING, P.HOT, P.DRAINING, P.STOPPING, P.WARM, P.RESUMING, P.BOOTING, P.HOT]


async def test_a_fleet_goes_from_cold_to_hot_to_warm_and_back_behind_a_queue() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == 1

    world.queue.waiting = 31
    await daemon.live(60)
    world.queue.waiting = 10
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == 2

    world.queue.waiting = 0
    await daemon.live(HOUR)
    assert (daemon.count(P.HOT), daemon.count(P.WARM)) == (1, 1)

    world.queue.waiting = 11
    await daemon.live(600)
    assert daemon.count(P.HOT) == 2
    second = max(daemon.report.instances.values(), key=lambda i: i.created_at).id
    lived = [e.result for e in daemon.watcher.entries if e.kind is Kind.PHASE and e.instance == second]
    assert lived == MACHINE_LIFE

    world.queue.waiting = 0
    await daemon.live(26 * HOUR)
    assert (daemon.count(P.HOT), daemon.count(P.WARM)) == (1, 0)
    assert len(world.rented()) == 1


async def test_the_books_agree_with_the_providers_bill() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(2 * HOUR)
    world.queue.waiting = 0
    await daemon.live(3 * HOUR)

    assert daemon.usd_today() == pytest.approx(world.billed_usd(), rel=0.02)
    assert sum(i.cost_usd(world.clock.now()) for i in daemon.report.instances.values()) == pytest.approx(
        daemon.usd_today(), rel=0.001
    )


async def test_the_books_of_a_quiet_fleet_are_written_once_a_minute_and_a_kill_costs_them_nothing() -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    await first.live(2 * HOUR)
    written = set(world.state.ledger.values())
    for _ in range(60):
        await first.live(TICK_S)
        written.update(world.state.ledger.values())
    assert len(written) == 11, "what was there, and ten times in ten minutes"
    [machine] = first.report.instances.values()
    await first.kill()

    second = world.daemon()
    await second.live(60.0)

    hours = (second.report.at - first.report.at) / HOUR
    assert second.usd_today() - first.usd_today() == pytest.approx(machine.burn_usd_per_hour * hours)


async def test_a_day_that_ends_while_the_store_is_away_is_booked_to_its_end() -> None:
    world = Rehearsal(CALM)
    store = FlakyStore(world.state, "flaky", world.clock)
    daemon = world.daemon(store=store)
    midnight = (day_of(NOW) + 1) * DAY_S
    await daemon.live(midnight - NOW - 30.0)
    store.refusing = True
    await daemon.live(180.0)
    store.refusing = False
    await daemon.live(60.0)

    first_day, _ = sorted(world.state.ledger)
    assert json.loads(world.state.ledger[first_day])["booked_until"] == midnight


async def test_set_up_and_resume_times_are_learned_and_outlive_the_daemon() -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    world.queue.waiting = 31
    await first.live(HOUR)
    world.queue.waiting = 0
    await first.live(2 * HOUR)
    world.queue.waiting = 11
    await first.live(600)
    await first.stop()

    second = world.daemon()
    await second.live(60)

    history = second.report.pools["images"].snapshot.history["mock-on-demand"]
    assert history.setup.mean_s == pytest.approx(1800.0, abs=2 * TICK_S)
    assert history.resume.mean_s == pytest.approx(180.0, abs=2 * TICK_S)
    assert history.setup.count == 2, "one observation a machine"


async def test_nothing_is_stopped_while_the_queue_cannot_be_read() -> None:
    rich = pool(limits=Limits(hot=Span(1, 6), warm=Span(0, 3), usd_per_day=Cap(warn=100.0, stop=200.0)))
    world = Rehearsal(CALM, pools=(rich,))
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(2 * HOUR)
    world.queue.waiting = Unknown("connection refused", NOW)
    await daemon.live(10 * HOUR)

    assert daemon.count(P.HOT) >= 2
    assert not [o for o in daemon.watcher.outcomes if o.action in (Action.STOP, Action.RELEASE)]


async def test_nothing_is_stopped_within_one_window_after_a_restart() -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    world.queue.waiting = 31
    await first.live(2 * HOUR)
    await first.stop()
    world.queue.waiting = 0

    second = world.daemon()
    await second.live(1790)
    assert second.count(P.HOT) >= 2
    assert not second.watcher.outcomes

    await second.live(1 * HOUR)
    assert second.count(P.DRAINING, P.STOPPING, P.WARM) >= 1


async def test_a_paused_fleet_is_watched_and_not_touched() -> None:
    world = Rehearsal(CALM)
    operator = MemoryStore(world.state, "cli", world.clock)
    await operator.give(Order(kind=OrderKind.PAUSE, by="kim", at=world.clock.now()))
    daemon = world.daemon()
    await daemon.live(HOUR)

    assert not world.rented()
    assert any("paused by kim" in text for text in daemon.texts(Kind.DECISION))

    assert await operator.withdraw("pause", by="kim")
    await daemon.live(60)
    assert len(world.rented()) == 1


async def test_of_two_daemons_one_acts_and_the_other_takes_over() -> None:
    world = Rehearsal(CALM)
    first, second = world.daemon(), world.daemon()
    await first.live(HOUR)
    assert (first.report.leads, second.report.leads) == (True, False)
    assert len(world.rented()) == 1
    assert not second.watcher.outcomes

    await first.stop()
    await second.live(60)
    assert second.report.leads
    assert second.count(P.HOT) == 1
    assert len(world.rented()) == 1


async def test_machines_of_our_label_are_found_again_when_the_store_was_wiped() -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    world.queue.waiting = 31
    await first.live(2 * HOUR)
    await first.stop()
    before = set(world.rented())
    world.state = MemoryState()
    world.queue.waiting = 5

    second = world.daemon()
    await second.live(60)

    assert set(world.rented()) == before
    assert {i.provider_id for i in second.report.instances.values()} == before
    assert all(i.adopted for i in second.report.instances.values())


async def test_machines_of_a_pool_that_is_no_longer_configured_are_released_after_a_grace() -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    await first.live(HOUR)
    await first.stop()
    world.pools = (pool(name="videos"),)

    second = world.daemon()
    await second.live(590)
    assert "images" in {i.pool for i in second.report.instances.values() if i.phase is not P.GONE}

    await second.live(300)
    assert "images" not in {i.pool for i in second.report.instances.values() if i.phase is not P.GONE}


async def test_pools_of_one_daemon_have_their_own_machines_money_and_signals() -> None:
    world = Rehearsal(CALM, pools=(pool(), pool(name="videos")))
    world.queue.others["videos"] = Unknown("WRONGTYPE", NOW)
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(HOUR)

    assert Result.NO_CAPACITY not in {o.result for o in daemon.watcher.outcomes}, "both rented the same offer"
    pools = [i.pool for i in daemon.report.instances.values()]
    assert (pools.count("images"), pools.count("videos")) == (2, 1)
    assert daemon.usd_today() + daemon.usd_today("videos") == pytest.approx(world.billed_usd(), rel=0.03)
    assert not daemon.report.pools["images"].decision.hold_down
    assert daemon.report.pools["videos"].decision.hold_down


async def test_three_offers_that_others_took_at_once_are_no_reason_to_leave_their_market_alone() -> None:
    gone = tuple(Step(fault=Fault.OFFER_GONE, call=Operation.RENT, nth=nth) for nth in (1, 2, 3))
    world = Rehearsal(replace(CALM, scenario=gone), pools=(pool(limits=Limits(hot=Span(3, 3), warm=Span(0, 0))),))
    daemon = world.daemon()
    await daemon.live(60)
    assert [o.result for o in daemon.watcher.outcomes].count(Result.NO_CAPACITY) == 3
    assert len(world.rented()) == 3


async def test_a_call_that_never_answers_does_not_keep_the_lease_from_being_given_back() -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=Fault.HANGS, call=Operation.RENT, nth=1),)))
    daemon = world.daemon()
    await daemon.live(5)
    assert list(daemon.phases().values()) == [P.PLANNED]

    await daemon.stop()

    assert world.state.lease_until <= world.clock.now()
    assert [i.phase for i in world.state.instances.values()] == [P.RENTING], "it is looked for by its token"


async def test_foreign_machines_are_never_touched() -> None:
    labels = ("their-machine", "autoscaler.other.images.abcd", "")
    world = Rehearsal(replace(CALM, foreign=labels))
    daemon = world.daemon()
    world.queue.waiting = 100
    await daemon.live(3 * HOUR)
    world.queue.waiting = 0
    await daemon.live(40 * HOUR)

    left = [m for m in world.market.machines.values() if m.label in labels]
    assert len(left) == 3


async def test_the_day_budget_is_kept_and_the_floor_stays() -> None:
    tight = pool(limits=Limits(hot=Span(1, 6), warm=Span(0, 3), usd_per_day=Cap(warn=20.0, stop=30.0)))
    world = Rehearsal(CALM, pools=(tight,))
    daemon = world.daemon()
    world.queue.waiting = 10_000
    for _ in range(72):
        await daemon.live(HOUR)
        assert daemon.usd_today() <= 30.0
        assert daemon.count(P.HOT, P.BOOTING, P.RENTING, P.PLANNED) >= 1
    assert any("affordable" in text for text in daemon.texts(Kind.DECISION))


# --- the market behaves badly -----------------------------------------------------------------------------------------

SPOT_FIRST = pool(
    placements=(
        Placement(provider="mock", buy="spot", max_usd_per_hour=0.6),
        Placement(provider="mock", max_usd_per_hour=1.0),
    )
)


async def lived_through(settings: MockSettings, *, hours: int = 16) -> Rehearsal:
    """A market after days of tides with a fault, and a quiet half day without."""
    world = Rehearsal(settings, pools=(SPOT_FIRST,), policy=Thresholds(release_after=4 * HOUR))
    daemon = world.daemon()
    for hour in range(hours):
        world.queue.waiting = 40 if hour % 4 == 0 else 0
        await daemon.live(HOUR)
    assert not daemon.watcher.failures
    world.queue.waiting = 0
    world.market.plan = FaultPlan(CALM.faults, (), random.Random(1))
    await daemon.live(8 * HOUR)
    records = {i.provider_id for i in daemon.report.instances.values() if i.phase is not P.GONE}
    assert set(world.rented()) == records, "the records and the provider's listing differ"
    assert daemon.count(P.HOT, P.BOOTING) >= 1, "the floor is not kept"
    assert daemon.count(P.HOT, P.BOOTING) <= 2, "machines are left over"
    assert not daemon.count(P.PLANNED, P.RENTING, P.LOST)
    return world


@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.BALANCE_SPENT}))
async def test_any_fault_that_strikes_often_leaves_the_records_and_the_listing_in_agreement(fault: Fault) -> None:
    await lived_through(replace(CALM, faults={**CALM.faults, fault: 0.3}))


@pytest.mark.parametrize(
    "fault", [Fault.ANSWER_LOST, Fault.ANSWER_HANGS, Fault.REFUSED_YET_MADE, Fault.LISTED_LATE, Fault.PARTIAL_LAUNCH]
)
async def test_a_rent_whose_answer_misleads_never_leaves_more_than_one_machine_unknown(fault: Fault) -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=fault, call=Operation.RENT, nth=1),)))
    daemon = world.daemon()
    for _ in range(60):
        await daemon.live(60)
        known = {i.id for i in daemon.report.instances.values() if i.phase is not P.GONE}
        unknown = [token for token in world.rented().values() if token not in known]
        assert not unknown or world.clock.now() - NOW < 200
    assert len(world.rented()) == 1


async def test_a_market_with_every_fault_at_once_leaves_nothing_unknown_in_the_end() -> None:
    faults: dict[Fault, float] = {fault: 0.05 for fault in Fault if fault is not Fault.BALANCE_SPENT}
    await lived_through(MockSettings(faults=faults), hours=48)


async def test_an_empty_account_is_told_and_served_again_when_it_is_filled() -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=Fault.BALANCE_SPENT, at=2 * HOUR, until=5 * HOUR),)))
    daemon = world.daemon()
    await daemon.live(4 * HOUR)
    assert Result.INSUFFICIENT_FUNDS in {o.result for o in daemon.watcher.outcomes}

    await daemon.live(3 * HOUR)
    assert daemon.count(P.HOT) == 1


# --- the store and the daemon fail ------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.0, 1.0, 10.0, 11.0, 1805.0, 3605.0, 3611.0, 5400.0, 5421.0, 7231.0])
async def test_a_daemon_killed_at_any_time_leaves_no_machine_unknown(after_s: float) -> None:
    world = Rehearsal(CALM)
    first = world.daemon()
    world.queue.waiting = 31
    await first.live(after_s)
    await first.kill()
    world.queue.waiting = 0

    second = world.daemon()
    await second.live(4 * HOUR)

    records = {i.provider_id for i in second.report.instances.values() if i.phase is not P.GONE}
    assert set(world.rented()) == records
    assert second.count(P.HOT) == 1


@pytest.mark.parametrize("fault", [Fault.HANGS, Fault.ANSWER_HANGS])
async def test_a_daemon_killed_while_a_rent_is_being_answered_finds_its_machine_or_gives_it_up(fault: Fault) -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=fault, call=Operation.RENT, nth=1),)))
    first = world.daemon()
    await first.live(5)
    await first.kill()

    second = world.daemon()
    await second.live(2 * HOUR)

    assert len(world.rented()) == 1
    assert second.count(P.HOT) == 1


class FlakyStore(MemoryStore):
    """A store that can be told to fail."""

    refusing = False

    async def commit(self, changes: Changes) -> None:
        from autoscaler.core.errors import StoreUnavailable

        if self.refusing:
            raise StoreUnavailable("connection refused")
        await super().commit(changes)


class SilentStore(MemoryStore):
    """A store that takes all and, from some time on, answers nothing."""

    silent = False

    async def read(self) -> Control:
        if self.silent:
            await asyncio.Event().wait()
        return await super().read()


async def test_a_tick_that_waits_for_the_store_in_vain_says_so_and_nothing_is_lost() -> None:
    world = Rehearsal(CALM)
    store = SilentStore(world.state, "daemon-1", world.clock)
    daemon = world.daemon(store=store)
    await daemon.live(HOUR)
    machines, entries = world.rented(), len(world.state.journal)

    store.silent = True
    await daemon.live(10 * TICK_S)
    assert set(daemon.watcher.failures) == {"the store did not answer within 5s, half a tick"}

    store.silent = False
    await daemon.live(10 * TICK_S)
    assert world.rented() == machines
    assert len(world.state.journal) >= entries
    assert len(daemon.watcher.failures) == 10
    await daemon.stop()


async def test_no_call_is_made_whose_intent_could_not_be_stored() -> None:
    world = Rehearsal(CALM)
    store = FlakyStore(world.state, "flaky", world.clock)
    store.refusing = True
    daemon = world.daemon(store=store)
    await daemon.live(HOUR)
    assert not world.rented()
    assert "connection refused" in daemon.watcher.failures[0]

    store.refusing = False
    await daemon.live(HOUR)
    assert len(world.rented()) == 1
    assert daemon.count(P.HOT) == 1


async def test_every_entry_of_the_journal_is_stored_once() -> None:
    world = Rehearsal(CALM)
    store = FlakyStore(world.state, "flaky", world.clock)
    daemon = world.daemon(store=store)
    world.queue.waiting = 31
    await daemon.live(HOUR)
    store.refusing = True
    await daemon.live(HOUR)
    store.refusing = False
    world.queue.waiting = 0
    await daemon.live(HOUR)
    await daemon.stop()

    stored = sorted(repr(entry) for entry in await store.journal(10_000))
    assert stored == sorted(repr(entry) for entry in daemon.watcher.entries)


async def test_the_same_seed_gives_the_same_journal() -> None:
    async def run() -> list[str]:
        world = Rehearsal(MockSettings(faults={Fault.RESUME_REFUSED: 0.5, Fault.OUTBID: 0.2, Fault.OFFER_GONE: 0.3}))
        daemon = world.daemon()
        start = world.clock.now()
        for hour in range(24):
            world.queue.waiting = 40 if hour % 3 == 0 else 0
            await daemon.live(HOUR)
        await daemon.kill()
        return [f"{entry.at - start:.3f} {entry.text}" for entry in daemon.watcher.entries]

    assert await run() == await run()


async def test_the_fleet_and_the_label_are_in_the_rent_call_itself() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(60)

    [machine] = [m for m in world.market.machines.values() if m.label]
    [record] = daemon.report.instances.values()
    assert machine.label == f"autoscaler.{FLEET}.images.{record.id}"
    assert machine.env["AUTOSCALER_INSTANCE"] == record.id
