"""What providers tell of our accounts with them, through the whole daemon on virtual time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from autoscaler.core.decision import Action, Command, Result
from autoscaler.core.demand import Unknown
from autoscaler.core.errors import AuthFailed, InsufficientFunds
from autoscaler.core.journal import Kind
from autoscaler.core.ledger import DAY_S, day_name, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.meter import Meter
from autoscaler.core.settle import begin as begin_command
from autoscaler.core.spec import Placement
from autoscaler.runtime.fleet import Fleet
from autoscaler.runtime.report import Account
from providers.mock import Fault, MockSettings, Operation, Step
from tests.support.build import NOW, instance, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal, Watcher
from tests.support.teller import Teller

P = Phase
TODAY = day_name(day_of(NOW))
LEFT_OF_DAY_S = DAY_S - NOW % DAY_S


def begin(settings: MockSettings = CALM) -> tuple[Rehearsal, Teller, Daemon]:
    world = Rehearsal(settings)
    teller = Teller(world)
    return world, teller, world.daemon(provider=teller)


# --- notices ----------------------------------------------------------------------------------------------------------


async def test_a_notice_is_told_once_and_again_when_it_changes_or_comes_back() -> None:
    _, teller, daemon = begin()
    told = []
    for notices in [("0.40 from May",), ("0.40 from May",), ("0.50 from May",), (), ("0.50 from May",)]:
        teller.notices = notices
        await daemon.live(3 * TICK_S)
        told.append(len(daemon.texts(Kind.NOTICE)))
    assert told == [1, 1, 2, 2, 3]
    assert daemon.texts(Kind.NOTICE)[0] == "mock wants you to decide: 0.40 from May"


async def test_a_listing_that_fails_makes_no_notice_new() -> None:
    _, teller, daemon = begin(replace(CALM, scenario=(Step(fault=Fault.LISTING_FAILS, at=600.0, until=1200.0),)))
    teller.notices = ("0.40 from May",)
    await daemon.live(HOUR)
    assert len(daemon.texts(Kind.NOTICE)) == 1


# --- the balance ------------------------------------------------------------------------------------------------------


async def test_a_balance_that_lasts_for_less_than_six_hours_is_an_alarm_once_and_over_when_topped_up() -> None:
    _, teller, daemon = begin()
    await daemon.live(HOUR)
    [record] = daemon.report.instances.values()
    price = record.burn_usd_per_hour
    told = []
    for hours in (6.5, 5.5, 4.0, 7.0, 30.0, 5.0):
        teller.balance = hours * price
        await daemon.live(130.0)
        told.append((len(daemon.texts(Kind.ALARM)), len(daemon.texts(Kind.ACCOUNT))))
    assert told == [(0, 0), (1, 0), (1, 0), (1, 0), (1, 1), (2, 1)]
    assert daemon.report.accounts == {"mock": Account(balance_usd=5.0 * price)}


async def test_a_balance_that_is_unknown_or_not_told_is_no_alarm() -> None:
    _, teller, daemon = begin()
    await daemon.live(HOUR)
    teller.balance = 1000.0
    await daemon.live(130.0)
    teller.balance_fails = True
    await daemon.live(HOUR)
    assert daemon.report.accounts == {"mock": Account()}
    teller.balance_fails, teller.balance = False, None
    await daemon.live(HOUR)
    assert daemon.report.accounts == {"mock": Account()}
    assert daemon.texts(Kind.ALARM) == []


async def test_machines_of_others_draw_on_the_balance_too() -> None:
    _, teller, daemon = begin(replace(CALM, foreign=("a", "b", "c")))
    teller.balance = 8.0  # with three strangers at 0.50 USD/h and one of ours
    await daemon.live(HOUR)
    assert len(daemon.texts(Kind.ALARM)) == 1


# --- bills ------------------------------------------------------------------------------------------------------------


async def to_the_next_day(world: Rehearsal, daemon: Daemon) -> dict[str, float]:
    """Live until midnight; gives what each machine has cost by the market's own meters."""
    await daemon.live(NOW - NOW % DAY_S + DAY_S - world.clock.now())
    return world.market.billed_usd(world.clock.now())


async def test_the_bill_of_a_day_is_held_against_the_books_once_and_a_restart_forgets_neither() -> None:
    world, teller, daemon = begin()
    await daemon.live(2 * HOUR)
    world.market.release(world.clock.now(), next(iter(world.market.machines)))  # forgotten long before midnight
    await daemon.live(4 * HOUR)
    await daemon.stop()
    daemon = world.daemon(provider=teller)
    teller.bills[TODAY] = bill = await to_the_next_day(world, daemon)
    assert len(bill) == 2
    await daemon.live(3 * HOUR)
    last = world.daemon(provider=teller)
    await daemon.stop()
    await last.live(2 * HOUR)

    usd = sum(bill.values())
    [told] = [*daemon.texts(Kind.ACCOUNT), *last.texts(Kind.ACCOUNT)]
    billed, booked = (float(word) for word in told.split() if word.count(".") == 1)
    assert told.startswith(f"mock billed {usd:.2f} USD for {TODAY}, the books say ")
    assert 0.0 <= booked - billed <= 0.2, "a machine that was lost is booked until it is proven gone"
    assert daemon.texts(Kind.ALARM) == []
    assert daemon.report.accounts["mock"].billed_yesterday_usd == usd


async def test_a_bill_far_above_the_books_is_an_alarm() -> None:
    world, teller, daemon = begin()
    bill = await to_the_next_day(world, daemon)
    teller.bills[TODAY] = {name: 1.3 * usd for name, usd in bill.items()} | {"a stranger's": 90.0}
    await daemon.live(3 * HOUR)
    [alarm] = daemon.texts(Kind.ALARM)
    assert alarm.startswith(f"mock billed {1.3 * sum(bill.values()):.2f} USD for {TODAY}, the books say ")


async def test_a_machine_that_is_billed_after_it_is_gone_is_an_alarm_once() -> None:
    world, teller, daemon = begin()
    teller.bills[TODAY] = {}
    await daemon.live(HOUR)
    [gone] = world.rented()
    world.market.release(world.clock.now(), gone)
    for hours in range(6):
        teller.bills[TODAY] = {gone: 1.0 + 0.4 * hours}
        await daemon.live(HOUR)
    [alarm] = daemon.texts(Kind.ALARM)
    assert alarm.startswith(f"mock goes on to bill {gone}, 0.40 USD more, gone for ")


# --- refusals ---------------------------------------------------------------------------------------------------------

TWO = pool(
    placements=(
        Placement(provider="mock", buy="spot", max_usd_per_hour=1.0),
        Placement(provider="mock", max_usd_per_hour=1.0),
        Placement(provider="other", max_usd_per_hour=1.0),
    )
)


async def test_with_a_wrong_key_nothing_is_tried_and_the_reason_names_the_fix_until_it_is_mended() -> None:
    world, _, daemon = begin(replace(CALM, scenario=(Step(fault=Fault.AUTH_FAILED, until=3 * HOUR),)))
    await daemon.live(3 * HOUR - TICK_S)
    listing = daemon.report.listings["mock"]
    assert isinstance(listing, Unknown)
    assert listing.reason == f"AuthFailed: 401: the key was refused; {AuthFailed.fix}"
    assert daemon.watcher.outcomes == []
    assert daemon.watcher.failures == []

    await daemon.live(HOUR)
    assert len(world.rented()) == 1
    assert daemon.count(P.HOT) == 1


async def test_a_key_that_may_look_and_not_rent_is_one_alarm_and_is_tried_every_ten_minutes() -> None:
    _, _, daemon = begin(replace(CALM, scenario=(Step(fault=Fault.AUTH_FAILED, call=Operation.RENT, until=2 * HOUR),)))
    await daemon.live(2 * HOUR)
    assert 11 <= len(daemon.watcher.outcomes) <= 12
    assert daemon.texts(Kind.ALARM) == [f"mock refuses us: auth_failed (401: the key was refused); {AuthFailed.fix}"]
    assert daemon.texts(Kind.ACCOUNT) == []

    await daemon.live(HOUR)
    assert daemon.texts(Kind.ACCOUNT) == ["mock serves us again"]
    assert daemon.count(P.HOT) == 1


async def test_when_funds_are_gone_the_next_provider_serves_and_the_first_is_left_alone_until_they_are_back() -> None:
    gone, back = 2 * HOUR, 5 * HOUR
    spent = Step(fault=Fault.BALANCE_SPENT, at=gone, until=back)
    world = Rehearsal(replace(CALM, scenario=(spent,)), pools=(TWO,))
    world.others.append(Teller(Rehearsal(CALM), "other"))
    daemon = world.daemon()
    await daemon.live(gone + 120.0)
    empty, refused = daemon.texts(Kind.ALARM)
    assert empty.startswith("mock: 0.00 USD left, ")
    assert refused.startswith("mock refuses us: insufficient_funds (")
    assert refused.endswith(InsufficientFunds.fix)
    assert [i.provider for i in daemon.report.instances.values() if i.phase in (P.RENTING, P.BOOTING)] == ["other"]

    await daemon.live(back - gone)
    tried = [o for o in daemon.watcher.outcomes if o.result is Result.INSUFFICIENT_FUNDS]
    assert len([o for o in tried if o.action is Action.RENT]) <= 1, "whichever placement it is of"
    assert daemon.count(P.HOT) == 1
    assert len(daemon.texts(Kind.ALARM)) == 2

    world.queue.waiting = 500
    await daemon.live(2 * HOUR)
    assert "mock serves us again" in daemon.texts(Kind.ACCOUNT)


# --- providers that are slow ------------------------------------------------------------------------------------------


async def test_a_provider_that_hangs_costs_no_tick_its_deadline() -> None:
    hangs = Step(fault=Fault.HANGS, at=HOUR, until=3 * HOUR)
    world = Rehearsal(replace(CALM, scenario=(hangs,)), pools=(TWO,))
    other = Teller(Rehearsal(CALM), "other")
    world.others.append(other)
    daemon = world.daemon()
    await daemon.live(HOUR)
    slowest, oldest = 0.0, 0.0
    for _ in range(600):
        await daemon.live(TICK_S)
        slowest = max(slowest, daemon.report.duration_s)
        oldest = max(oldest, world.clock.now() - other.listed_at[-1])
    assert isinstance(daemon.report.listings["mock"], Unknown)
    assert daemon.watcher.failures == []
    assert slowest <= TICK_S / 4
    assert oldest <= 2 * TICK_S

    await daemon.live(2 * HOUR)
    assert not isinstance(daemon.report.listings["mock"], Unknown)


async def test_a_listing_of_many_pages_neither_loses_a_machine_nor_makes_one_twice() -> None:
    world, teller, daemon = begin()
    teller.page_s = 12.0
    world.queue.waiting = 500
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == len(world.rented()) == 6
    world.queue.waiting = 0
    await daemon.live(3 * HOUR)
    assert all("LOST" not in text.upper() for text in daemon.texts(Kind.PHASE))
    assert set(daemon.phases()) == set(world.rented().values())
    rents = [o for o in daemon.watcher.outcomes if o.action is Action.RENT]
    assert len(rents) == 6
    assert daemon.count(P.HOT) == 1


async def test_a_rent_that_came_out_otherwise_leaves_its_placement_alone_for_a_while() -> None:
    dearer = Step(fault=Fault.DEARER, times=3)
    world, _, daemon = begin(replace(CALM, scenario=(dearer,)))
    await daemon.live(HOUR)
    rented_at = [entry.at - NOW for entry in daemon.watcher.entries if entry.action == Action.RENT and entry.result]
    assert len(rented_at) == 4
    pauses = [later - earlier for earlier, later in pairwise(rented_at)]
    assert all(pause >= wait for pause, wait in zip(pauses, (300.0, 600.0, 1200.0), strict=True))
    assert daemon.count(P.BOOTING, P.HOT) == len(world.rented()) == 1


async def test_a_price_that_rises_is_one_alarm_and_counts_from_then_on() -> None:
    world, _, daemon = begin()
    await daemon.live(HOUR)
    [machine] = world.market.machines.values()
    [agreed] = [record.usd_per_hour for record in daemon.report.instances.values()]
    world.market.bill(machine)
    machine.usd_per_hour = dearer = 1.5 * agreed
    world.market.changed()
    await daemon.live(HOUR)
    [alarm] = daemon.texts(Kind.ALARM)
    assert f" costs {dearer:.3f} USD/h now, {agreed:.3f} was agreed: " in alarm
    [record] = daemon.report.instances.values()
    assert (record.phase, record.usd_per_hour) == (P.HOT, dearer)


def test_a_bid_of_our_own_is_no_rise() -> None:
    fleet, record = Fleet(Watcher(), Meter(TICK_S)), instance(P.HOT, buy="spot", usd_per_hour=0.2)
    fleet.put(record, NOW)
    raised = Command(action=Action.SET_BID, pool="images", instance=record.id, reason="", bid_usd_per_hour=0.3)
    fleet.put(begin_command(raised, record, NOW), NOW, ordered=True)
    assert isinstance(fleet.listener, Watcher)
    assert [entry.kind for entry in fleet.listener.entries] == [Kind.PHASE]


# --- the end of a contract --------------------------------------------------------------------------------------------


async def test_a_machine_is_replaced_in_good_time_before_its_contract_ends() -> None:
    world, teller, daemon = begin()
    await daemon.live(HOUR)
    [first] = daemon.phases()
    [provider_id] = world.rented()
    teller.ends_at[provider_id] = end = NOW + 6 * HOUR
    await daemon.live(3 * HOUR)
    assert list(daemon.phases()) == [first]
    fewest = 1
    while world.clock.now() < end:
        await daemon.live(60.0)
        fewest = min(fewest, daemon.count(P.HOT))
    assert first not in daemon.phases()
    assert provider_id not in world.rented()
    assert (fewest, daemon.count(P.HOT)) == (1, 1)
    [told] = daemon.texts(Kind.HEALTH)
    assert told == f"{first}: its contract ends at 2027-01-15 14:00 UTC: it is to be replaced, then drained"


async def test_a_contract_that_is_extended_keeps_the_machine() -> None:
    world, teller, daemon = begin()
    await daemon.live(HOUR)
    [provider_id] = world.rented()
    teller.ends_at[provider_id] = world.clock.now() + HOUR
    await daemon.live(2 * TICK_S)
    [record] = [i for i in daemon.report.instances.values() if i.provider_id == provider_id]
    assert record.ailment
    teller.ends_at[provider_id] += 300 * HOUR
    await daemon.live(2 * HOUR)
    assert daemon.report.instances[record.id].phase is P.HOT
    assert not daemon.report.instances[record.id].ailment
