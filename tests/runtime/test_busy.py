"""What machines are known to do decides when they end: the whole daemon on virtual time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.spec import Deadlines, Limits, MachineSpec
from autoscaler.core.units import Span
from autoscaler.runtime.inside import AGAIN_S, SETTLE_S
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.memory import MemoryStore
from autoscaler.store.rules import DRAIN_MARK
from providers.mock import MockProvider
from tests.support.build import NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal
from tests.support.settable_clock import SettableClock

pytestmark = pytest.mark.looptime


class Cloud(MockProvider):
    """A provider that, as real ones, does not know what its machines do."""

    async def list_machines(self) -> Listing:
        listing = await super().list_machines()
        return replace(listing, machines=tuple(replace(each, busy_slots=None) for each in listing.machines))


class Comfy:
    """ComfyUI on every machine."""

    def __init__(self) -> None:
        self.holds: int | None = 0

    async def ready(self, instance: Instance, check: str) -> bool:
        return True

    async def jobs(self, instance: Instance, question: str) -> int | None:
        return self.holds


async def two_hot(world: Rehearsal) -> Daemon:
    """A daemon with two machines up, one of which nobody needs soon."""
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(2 * HOUR)
    assert daemon.count(Phase.HOT) >= 2
    return daemon


async def until_draining(daemon: Daemon) -> str:
    """The machine that drains first."""
    for _ in range(1000):
        await daemon.live(TICK_S)
        draining = [name for name, phase in daemon.phases().items() if phase is Phase.DRAINING]
        if draining:
            return draining[0]
    raise AssertionError("none ever drained")


async def test_a_machine_that_drains_is_not_ended_while_the_library_says_that_it_works() -> None:
    world = Rehearsal(CALM)
    daemon = await two_hot(world)
    world.queue.waiting = 0
    world.queue.busy = dict.fromkeys(daemon.phases(), 1)
    machine = await until_draining(daemon)
    await daemon.live(HOUR)
    assert daemon.phases()[machine] is Phase.DRAINING

    world.queue.busy = {}
    await daemon.live(60)
    assert daemon.phases().get(machine) is not Phase.DRAINING


async def test_a_comfyui_is_ended_once_it_is_proved_empty_and_not_before() -> None:
    machine = MachineSpec(image="comfy:1", gpus=("RTX 4090",), busy="comfyui :8188")
    world = Rehearsal(CALM, pools=(pool(machine=machine),))
    world.provider = Cloud("mock", CALM, now=world.clock.now, rng=random.Random(1))
    world.market = world.provider.market
    world.probe = comfy = Comfy()
    daemon = await two_hot(world)
    world.queue.waiting = 0
    draining = await until_draining(daemon)
    marked_at = world.clock.now()

    for answer in (1, None):
        comfy.holds = answer
        await daemon.live(HOUR)
        assert daemon.phases()[draining] is Phase.DRAINING

    comfy.holds = 0
    emptied_at = world.clock.now()
    while daemon.phases().get(draining) is Phase.DRAINING:
        await daemon.live(TICK_S)
    assert AGAIN_S <= world.clock.now() - emptied_at <= AGAIN_S + 3 * TICK_S
    assert emptied_at - marked_at > SETTLE_S


@pytest.mark.parametrize("why", ["by order", "by its deadline", "while the clock is set"])
async def test_a_machine_that_is_given_up_before_it_is_ready_waits_for_its_worker_to_say_that_it_has_drained(
    why: str,
) -> None:
    """The worker beat before it took a job, and the daemon has not heard of that yet."""
    machine = MachineSpec(image="comfy:1", gpus=("RTX 4090",), ready="http :8188/system_stats")
    world = Rehearsal(CALM, pools=(pool(machine=machine, deadlines=Deadlines(booting=2 * HOUR)),))
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(HOUR)
    [(name, phase)] = daemon.phases().items()
    assert phase is Phase.BOOTING
    if why == "by order":
        order = Order(kind=OrderKind.RELEASE, subject=name, by="ada", at=0.0)
        await MemoryStore(world.state, "operator", world.clock).give(order)
    idle = (Heartbeat(busy=0, stamp=f"idle {beat}") for beat in range(1000))
    while daemon.phases()[name] not in DRAIN_MARK:
        world.state.heartbeats[name] = next(idle)
        await daemon.live(TICK_S)
    for beat in [*idle][:6]:
        world.state.heartbeats[name] = beat
        clock.ahead_s += 60.0 if why == "while the clock is set" else 0.0
        await daemon.live(TICK_S)
        assert name in world.rented().values()

    world.state.heartbeats[name] = Heartbeat(busy=0, drained=True)
    await daemon.live(60)
    assert name not in world.rented().values()


@pytest.mark.parametrize("beats", [10, 0])
async def test_a_machine_that_is_given_up_is_ended_only_once_a_first_beat_would_have_been_read(beats: int) -> None:
    """Its worker may beat, and look for the drain mark, in the very tick that sets it, and take a job then."""
    world = Rehearsal(CALM, pools=(pool(deadlines=Deadlines(booting=60.0)),))
    daemon = world.daemon()
    await daemon.live(TICK_S)
    [name] = daemon.phases()
    while daemon.phases()[name] not in DRAIN_MARK:
        await daemon.live(0.1)
    assert name in world.rented().values()

    for beat in range(beats):
        world.state.heartbeats[name] = Heartbeat(busy=1, stamp=str(beat))
        await daemon.live(TICK_S)
        assert name in world.rented().values()
    if beats:
        world.state.heartbeats[name] = Heartbeat(busy=0, drained=True)
    await daemon.live(2 * TICK_S)
    assert name not in world.rented().values()


async def test_a_drain_before_its_provider_started_it_by_itself_says_nothing_of_what_it_does_since() -> None:
    world = Rehearsal(CALM, pools=(pool(limits=Limits(hot=Span(1, 1), warm=Span(0, 1))),))
    daemon = world.daemon()
    await daemon.live(HOUR)
    [name] = daemon.phases()
    await daemon.stop()
    world.pools = [pool(limits=Limits(hot=Span(0, 0), warm=Span(0, 1)), deadlines=Deadlines(booting=60.0))]
    daemon = world.daemon()
    await daemon.live(TICK_S)
    while daemon.phases()[name] is not Phase.WARM:
        world.state.heartbeats[name] = Heartbeat(busy=0, drained=True, stamp=str(world.clock.now()))
        await daemon.live(TICK_S)
    await daemon.live(HOUR)

    [provider_id] = world.rented()
    world.market.resume(world.clock.now(), provider_id)
    while daemon.phases()[name] not in DRAIN_MARK:
        await daemon.live(0.1)
    world.state.heartbeats[name] = Heartbeat(busy=1, stamp="its first")
    await daemon.live(2 * TICK_S)
    assert provider_id in world.rented()
