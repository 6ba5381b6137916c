"""A loop goes on with other settings from one tick to the next, and forgets nothing that still holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from autoscaler.core.decision import Action, Result
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import FleetLimits, MachineSpec, Placement, Pool
from autoscaler.core.units import Span
from autoscaler.runtime.decider import STRAY_GRACE_S, PoolSetup
from policies import POLICIES
from policies.thresholds import Thresholds
from providers.base import Provider
from providers.mock import MockProvider
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

P = Phase
IMAGES = pool()


def floor(least: int, *, of: Pool = IMAGES) -> Pool:
    """A pool with another least number of machines."""
    return replace(of, limits=replace(of.limits, hot=Span(least, of.limits.hot.high)))


class SameMarket(MockProvider):
    """Another adapter of the same account, as another key makes one."""

    def __init__(self, first: MockProvider) -> None:
        super().__init__(first.name, first.market.settings, now=first._now, rng=random.Random(2))
        self.market = first.market
        self.asked: list[str] = []
        self.pause: asyncio.Event | None = None
        """What a rent waits for before it is answered."""

    async def list_machines(self) -> Listing:
        self.asked.append("list")
        return await super().list_machines()

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        self.asked.append("offers")
        return await super().list_offers(placement, machine)

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        self.asked.append("rent")
        rented = await super().rent(offer, machine, label=label)
        if self.pause is not None:
            await self.pause.wait()
        return rented


def adapt(
    daemon: Daemon,
    pools: Sequence[Pool],
    providers: Mapping[str, Provider],
    *,
    policy: Thresholds | None = None,
    limits: FleetLimits | None = None,
    tick_s: float = TICK_S,
    requeued: Collection[str] = (),
) -> None:
    policies = (("thresholds", POLICIES["thresholds"], policy or Thresholds()),)
    daemon.loop.adapt(
        pools=[PoolSetup(pool=each, policies=policies) for each in pools],
        providers=providers,
        limits=limits or FleetLimits(),
        tick_s=tick_s,
        requeued=requeued,
    )
    daemon.tick_s = tick_s


async def started(world: Rehearsal, seconds: float = HOUR) -> tuple[Daemon, dict[str, Provider]]:
    daemon = world.daemon()
    await daemon.live(seconds)
    return daemon, {each.name: each for each in (world.provider, *world.others)}


async def test_a_raised_floor_takes_effect_in_the_next_tick_and_what_was_learned_stays() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    learned = daemon.report.pools["images"].snapshot.history
    assert daemon.count(P.HOT) == 1
    assert learned

    adapt(daemon, [floor(3)], providers)
    await daemon.live(TICK_S)

    assert daemon.report.pools["images"].decision.hot == 3
    assert daemon.report.pools["images"].snapshot.history == learned
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == 3
    assert not daemon.watcher.failures


async def test_the_fresh_start_guard_does_not_begin_anew_for_a_pool_that_stays() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    before = daemon.report.pools["images"].snapshot.running_for_s

    adapt(daemon, [floor(2)], providers)
    await daemon.live(TICK_S)

    assert daemon.report.pools["images"].snapshot.running_for_s > before


async def test_the_past_says_nothing_of_a_pool_that_is_new_or_has_another_queue() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    world.queue.others = {"audio": 0}

    adapt(daemon, [IMAGES, pool(name="audio")], providers, requeued=["images"])
    await daemon.live(2 * TICK_S)

    young = [each.snapshot.running_for_s <= 2 * TICK_S for each in daemon.report.pools.values()]
    assert young == [True, True]


async def test_other_settings_of_a_policy_decide_from_the_next_tick_on() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    world.queue.waiting = 8
    await daemon.live(2 * TICK_S)
    assert daemon.report.pools["images"].decision.hot == 1

    adapt(daemon, [IMAGES], providers, policy=Thresholds(resume_depth=5, rent_depth=6))
    await daemon.live(10 * TICK_S)

    assert daemon.report.pools["images"].decision.hot == 2


async def test_a_provider_that_is_added_is_rented_from() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    spare = MockProvider("spare", CALM, now=world.clock.now, rng=random.Random(3))
    place = replace(IMAGES.placements[0], provider="spare", name=None)

    adapt(daemon, [replace(floor(2), placements=(place,))], {**providers, "spare": spare})
    await daemon.live(HOUR)

    assert daemon.count(P.HOT) == 2
    assert sorted(i.provider for i in daemon.report.instances.values()) == ["mock", "spare"]


async def test_an_unchanged_provider_is_not_asked_anew_and_its_answers_stay() -> None:
    world = Rehearsal(CALM)
    kept = SameMarket(world.provider)
    daemon = world.daemon(provider=kept)
    await daemon.live(HOUR)
    listed, searches = daemon.report.listings["mock"], kept.asked.count("offers")

    adapt(daemon, [floor(1)], {"mock": kept})
    await daemon.live(TICK_S - 1)

    assert kept.asked.count("offers") == searches
    assert isinstance(listed, Listing)
    assert daemon.report.listings["mock"] == replace(listed, asked_at=daemon.report.at)


async def test_a_key_that_changes_during_a_rent_leaves_one_machine_and_the_rent_settles() -> None:
    world = Rehearsal(CALM)
    first, second = SameMarket(world.provider), SameMarket(world.provider)
    first.pause = asyncio.Event()
    daemon = world.daemon(provider=first)
    await daemon.live(2 * TICK_S)
    assert daemon.count(P.PLANNED) == 1

    adapt(daemon, [IMAGES], {"mock": second})
    over = asyncio.create_task(daemon.loop.calls_over())
    await daemon.live(TICK_S)
    assert not over.done()
    first.pause.set()
    await daemon.live(TICK_S)
    assert over.done()
    await daemon.live(HOUR)

    rents = [outcome.result for outcome in daemon.watcher.outcomes if outcome.action is Action.RENT]
    assert rents == [Result.OK]
    assert len(world.rented()) == 1
    assert daemon.count(P.HOT) == 1
    assert "rent" not in second.asked
    assert first.asked.count("list") < second.asked.count("list")


async def test_machines_of_a_pool_that_is_removed_are_left_alone_for_the_grace_and_then_let_go_once_idle() -> None:
    world = Rehearsal(CALM, pools=(pool(), pool(name="audio")))
    world.queue.others = {"audio": 0}
    daemon, providers = await started(world)
    assert daemon.count(P.HOT) == 2

    adapt(daemon, [IMAGES], providers)
    await daemon.live(STRAY_GRACE_S - 3 * TICK_S)
    assert daemon.count(P.HOT) == 2
    await daemon.live(HOUR)

    assert list(daemon.report.pools) == ["images"]
    assert daemon.count(P.HOT) == 1
    assert len(world.rented()) == 1
    assert not daemon.watcher.failures


async def test_a_removed_pools_machine_at_work_is_never_let_go() -> None:
    world = Rehearsal(CALM, pools=(pool(), pool(name="audio")))
    world.queue.others = {"audio": 0}
    daemon, providers = await started(world)
    [machine] = [i for i in daemon.report.instances.values() if i.pool == "audio"]
    world.queue.busy = {machine.id: 1}

    adapt(daemon, [IMAGES], providers)
    await daemon.live(3 * HOUR)

    assert daemon.phases()[machine.id] in (P.HOT, P.DRAINING)
    assert len(world.rented()) == 2


async def test_a_pool_that_comes_back_within_the_grace_finds_its_machines() -> None:
    world = Rehearsal(CALM, pools=(pool(), pool(name="audio")))
    world.queue.others = {"audio": 0}
    daemon, providers = await started(world)
    before = set(daemon.phases())

    adapt(daemon, [IMAGES], providers)
    await daemon.live(STRAY_GRACE_S / 2)
    adapt(daemon, [IMAGES, pool(name="audio")], providers)
    await daemon.live(2 * HOUR)

    assert set(daemon.phases()) == before
    assert set(daemon.phases().values()) == {P.HOT}


async def test_other_tiers_other_pools_and_another_tick_break_no_tick() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    ticks = daemon.report.at
    world.queue.others = {"audio": 3, "video": 0}

    adapt(daemon, [pool(name="audio"), IMAGES], providers, tick_s=20.0)
    await daemon.live(600)
    adapt(daemon, [pool(name="video"), IMAGES], providers, tick_s=5.0)
    await daemon.live(600)

    assert not daemon.watcher.failures
    assert daemon.report.at - ticks >= 1100
    assert list(daemon.report.pools) == ["video", "images"]
    assert world.state.samples[-1].pools.keys() == {"video", "images"}


async def test_another_tick_is_kept_from_then_on() -> None:
    world = Rehearsal(CALM)
    daemon, providers = await started(world)
    adapt(daemon, [IMAGES], providers, tick_s=20.0)
    await daemon.live(TICK_S)

    first = daemon.report.at
    await daemon.live(TICK_S)
    assert daemon.report.at == first
    await daemon.live(TICK_S)
    assert daemon.report.at == first + 20.0
