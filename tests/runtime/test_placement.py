"""Where machines are rented, on virtual time: outbid, bad hosts, bids, and the race of a resume with a rent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from autoscaler.core.decision import Action, Result
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.spec import Limits, MachineSpec, Placement
from autoscaler.core.units import DurationRange, Span
from providers.mock import Fault, MockProvider, MockSettings
from providers.mock.faults import Operation
from providers.mock.scenario import Step
from providers.mock.settings import Stock
from tests.support.build import NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

P = Phase
MINUTE = 60.0
SPOT_US = Placement(provider="mock", buy="spot", regions=("US",), max_usd_per_hour=0.6)
ON_DEMAND_DE = Placement(provider="mock", regions=("DE",), max_usd_per_hour=1.0)
ONE_HOST_EACH = tuple(
    Stock(gpu="RTX 4090", region=region, on_demand=0.76, spot=0.38, hosts=1) for region in ("US", "DE")
)


def told(daemon: Daemon, kind: Kind, *, pool: str = "images") -> list[Entry]:
    return [entry for entry in daemon.watcher.entries if entry.kind is kind and entry.pool == pool]


def machines(daemon: Daemon, *phases: P) -> list[Instance]:
    return [i for i in daemon.report.instances.values() if i.phase in phases]


# --- outbid -----------------------------------------------------------------------------------------------------------


async def test_when_a_machine_is_outbid_the_next_placement_is_rented_at_once() -> None:
    outbid = Step(fault=Fault.OUTBID, at=2 * HOUR)
    world = Rehearsal(
        replace(CALM, stock=ONE_HOST_EACH, scenario=(outbid,), outbid_returns=0.0),
        pools=(pool(placements=(SPOT_US, ON_DEMAND_DE)),),
    )
    daemon = world.daemon()
    await daemon.live(2 * HOUR + 4 * TICK_S)

    [fallen] = [e for e in told(daemon, Kind.PHASE) if e.result == P.WARM]
    first, second = [e for e in told(daemon, Kind.COMMAND) if e.action == Action.RENT]
    assert (first.text.split(":")[0], second.text.split(":")[0]) == (
        "rent a machine at mock-spot",
        "rent a machine at mock-on-demand",
    )
    assert fallen.at <= NOW + 2 * HOUR + TICK_S
    assert second.at - fallen.at <= 1.0, "as soon as fresh offers are there"
    assert not [e for e in told(daemon, Kind.COMMAND) if e.action == Action.RESUME]
    history = daemon.report.pools["images"].snapshot.history["mock-spot"]
    assert history.interruptions == 1.0
    assert history.hot_h == pytest.approx(1.5, abs=0.01)


async def test_another_standby_is_resumed_for_a_machine_that_is_outbid() -> None:
    outbid = Step(fault=Fault.OUTBID, at=4 * HOUR, machine=1)
    room = Limits(hot=Span(1, 2), warm=Span(1, 1))
    world = Rehearsal(
        replace(CALM, scenario=(outbid,), outbid_returns=0.0),
        pools=(pool(placements=(replace(SPOT_US, regions=()),), limits=room),),
    )
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(HOUR)
    world.queue.waiting = 0
    await daemon.live(3 * HOUR - TICK_S)
    assert (daemon.count(P.HOT), daemon.count(P.WARM)) == (1, 1)
    [standby] = machines(daemon, P.WARM)
    await daemon.live(4 * TICK_S)

    [resumed] = [e for e in told(daemon, Kind.COMMAND) if e.action == Action.RESUME]
    assert resumed.instance == standby.id
    await daemon.live(5 * MINUTE)
    assert daemon.count(P.HOT) == 1


# --- bad hosts --------------------------------------------------------------------------------------------------------


async def test_a_host_where_a_boot_failed_is_avoided_by_every_pool_and_by_the_next_daemon() -> None:
    crash = Step(fault=Fault.CRASH_LOOP, call=Operation.RENT, nth=1)
    world = Rehearsal(replace(CALM, scenario=(crash,)))
    first = world.daemon()
    await first.live(10 * MINUTE)
    failed = next(i for i in first.report.instances.values() if i.phase in (P.RELEASING, P.GONE))
    await first.stop()

    world.pools = (pool(), pool(name="videos", machine=MachineSpec(image="other:1", gpus=("RTX 4090",))))
    world.queue.others["videos"] = 100
    second = world.daemon()
    await second.live(30 * MINUTE)

    held = [i for i in second.report.instances.values() if i.phase is not P.GONE]
    assert {i.pool for i in held} == {"images", "videos"}
    assert failed.host not in {i.host for i in held}
    why_not = [reason.text for e in told(second, Kind.DECISION, pool="videos") for reason in e.why_not]
    assert any(f"host {failed.host} is avoided for" in text for text in why_not)


async def test_what_was_given_up_on_purpose_speaks_against_no_host() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(HOUR)
    world.queue.waiting = 0
    await daemon.live(30 * HOUR)

    assert machines(daemon, P.GONE) or daemon.count(P.HOT) == 1
    assert not daemon.report.pools["images"].snapshot.places.hosts


# --- sold out ---------------------------------------------------------------------------------------------------------


async def test_a_refused_rent_is_followed_by_another_of_its_placement_and_the_third_by_the_next_placement() -> None:
    us, de = replace(SPOT_US, buy="on_demand", name="us"), ON_DEMAND_DE
    stock = tuple(replace(kind, hosts=4, on_demand=0.5 if kind.region == "US" else 0.76) for kind in ONE_HOST_EACH)
    gone = Step(fault=Fault.OFFER_GONE, call=Operation.RENT, times=3)
    world = Rehearsal(replace(CALM, stock=stock, scenario=(gone,)), pools=(pool(placements=(us, de)),))
    daemon = world.daemon()
    await daemon.live(6 * TICK_S)

    tried = [e.text.split(":")[0] for e in told(daemon, Kind.COMMAND) if e.action == Action.RENT]
    assert tried == ["rent a machine at us"] * 3 + ["rent a machine at mock-on-demand"]
    assert len({i.host for i in machines(daemon, P.GONE)}) == 3


async def test_refusals_with_a_machine_between_them_are_not_in_a_row() -> None:
    us = replace(SPOT_US, buy="on_demand", name="us")
    stock = tuple(replace(kind, hosts=9, on_demand=0.5 if kind.region == "US" else 0.76) for kind in ONE_HOST_EACH)
    gone = [Step(fault=Fault.OFFER_GONE, call=Operation.RENT, nth=nth) for nth in (1, 2, 4, 5)]
    limits = Limits(hot=Span(1, 2), warm=Span(0, 0))
    world = Rehearsal(
        replace(CALM, stock=stock, scenario=tuple(gone)), pools=(pool(placements=(us, ON_DEMAND_DE), limits=limits),)
    )
    daemon = world.daemon()
    await daemon.live(4 * TICK_S)
    world.queue.waiting = 31
    await daemon.live(HOUR)

    tried = [e.text.split(":")[0] for e in told(daemon, Kind.COMMAND) if e.action == Action.RENT]
    assert tried == ["rent a machine at us"] * 6


# --- the race ---------------------------------------------------------------------------------------------------------

SHORT = replace(CALM, setup=DurationRange(300.0, 300.0))


async def standing_by(settings: MockSettings) -> tuple[Rehearsal, Daemon, Instance]:
    """A pool with one machine HOT and one stopped, whose resumes are known to take three minutes; more jobs come."""
    world = Rehearsal(settings)
    daemon = world.daemon()
    for waiting, seconds in [(31, settings.setup.high + MINUTE), (10, settings.setup.high + MINUTE), (0, HOUR)]:
        world.queue.waiting = waiting
        await daemon.live(seconds)
    assert (daemon.count(P.HOT), daemon.count(P.WARM)) == (1, 1)
    [standby] = machines(daemon, P.WARM)
    world.queue.waiting = 11
    return world, daemon, standby


async def test_a_resume_that_hangs_loses_against_a_rent_and_goes_back_to_standby() -> None:
    hangs = Step(fault=Fault.BOOT_HANGS, call=Operation.RESUME, nth=1)
    world, daemon, standby = await standing_by(replace(SHORT, scenario=(hangs,)))
    start = world.clock.now()
    await daemon.live(MINUTE)
    world.queue.waiting = 10
    await daemon.live(15 * MINUTE)

    commands = [e for e in told(daemon, Kind.COMMAND) if e.at >= start]
    resumed, rented, stopped = commands[:3]
    assert (resumed.action, resumed.instance) == (Action.RESUME, standby.id)
    assert rented.action == Action.RENT
    assert f"beside {standby.id}, its resume takes" in rented.text
    assert (stopped.action, stopped.instance) == (Action.STOP, standby.id)
    assert "came up first: back to standby; its resume has cost 0." in stopped.text
    assert stopped.at - start < 12 * MINUTE
    assert daemon.count(P.HOT) == 2
    assert daemon.report.instances[standby.id].phase is P.WARM
    assert daemon.usd_today() == pytest.approx(world.billed_usd(), rel=0.02), "the loser is booked"


async def test_a_resume_that_is_only_slow_wins_and_the_boot_beside_it_is_released() -> None:
    world, daemon, standby = await standing_by(SHORT)
    world.market.settings = replace(SHORT, resume=DurationRange(540.0, 540.0))
    start = world.clock.now()
    await daemon.live(15 * MINUTE)

    rented, released = [e for e in told(daemon, Kind.COMMAND) if e.at >= start][1:3]
    assert (rented.action, released.action) == (Action.RENT, Action.RELEASE)
    assert f"{standby.id} came up first; this race has cost 0." in released.text
    assert [i.id for i in machines(daemon, P.HOT)].count(standby.id) == 1
    assert daemon.count(P.HOT) == 2
    await daemon.live(5 * MINUTE)
    assert len(world.rented()) == 2
    assert not daemon.report.pools["images"].snapshot.places.hosts, "the loser's host did nothing wrong"


async def test_where_a_set_up_takes_half_an_hour_a_slow_resume_is_waited_for() -> None:
    world, daemon, _ = await standing_by(CALM)
    world.market.settings = replace(CALM, resume=DurationRange(340.0, 340.0))
    start = world.clock.now()
    await daemon.live(15 * MINUTE)

    assert [e.action for e in told(daemon, Kind.COMMAND) if e.at >= start] == [Action.RESUME]
    assert daemon.count(P.HOT) == 2


# --- bids -------------------------------------------------------------------------------------------------------------


class Auction(MockProvider):
    """A market whose spot machines are let by bids, at prices that a test moves; it lists our bids as its floor."""

    rise = 1.0

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        offers = await super().list_offers(placement, machine)
        bids = {each.host: each.usd_per_hour for each in self.market.machines.values()}
        return [
            replace(o, usd_per_hour=max(o.usd_per_hour * self.rise, bids.get(o.host, 0.0)), takes_bids=True)
            for o in offers
        ]


async def test_the_bid_of_a_running_machine_follows_the_market_and_not_its_own_echo() -> None:
    spot = replace(SPOT_US, max_usd_per_hour=0.60)
    world = Rehearsal(replace(CALM, price_swing=0.0), pools=(pool(placements=(spot,)),))
    auction = Auction("mock", world.market.settings, now=world.clock.now, rng=random.Random(1))
    world.provider, world.market = auction, auction.market
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    [machine] = world.market.machines.values()
    floor = machine.usd_per_hour / 1.1
    assert not [o for o in daemon.watcher.outcomes if o.action is Action.SET_BID]

    auction.rise = 1.2
    await daemon.live(12 * HOUR)

    [raised] = [o for o in daemon.watcher.outcomes if o.action is Action.SET_BID]
    assert raised.result is Result.OK
    assert floor * 1.2 < machine.usd_per_hour < floor * 1.2 * 1.2
    [record] = machines(daemon, P.HOT)
    assert record.usd_per_hour == record.burn_usd_per_hour == machine.usd_per_hour
    assert any("the market asks" in e.text for e in told(daemon, Kind.COMMAND))

    auction.rise = 2.0
    await daemon.live(12 * HOUR)
    assert machine.usd_per_hour <= 0.60
