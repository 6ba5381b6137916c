"""A daemon whose ticks fail gives the lead back, whether or not it can write, and ever more rarely."""

from __future__ import annotations

from itertools import pairwise

from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.orders import Order, OrderKind
from autoscaler.runtime.ports import Changes, Control, Saved
from autoscaler.store.memory import MemoryStore
from tests.support.build import NOW
from tests.support.rehearsal import HOUR, TICK_S, Rehearsal


class BesideOthers(MemoryStore):
    """A store in which another daemon lives that takes no lead, and whose parts may break."""

    unreadable = unwritable = False

    def __init__(self, world: Rehearsal) -> None:
        super().__init__(world.state, "a", world.clock)
        self._world = world
        self.given_back: list[float] = []

    def should_yield(self, *, failing: bool) -> bool:
        return failing

    async def read(self) -> Control:
        control = await super().read()
        if self.unwritable:
            pause = Order(kind=OrderKind.PAUSE, by="ada", at=NOW, for_s=60.0)
            await self.give(pause)  # there is something to write in every tick
        return control

    async def load(self) -> Saved:
        if self.unreadable:
            raise StoreUnavailable("a record cannot be read")
        return await super().load()

    async def commit(self, changes: Changes) -> None:
        if self.unwritable and changes:
            raise StoreUnavailable("nothing more can be written")
        await super().commit(changes)

    async def resign(self, *, stay: bool = False) -> None:
        self.given_back.append(self._world.clock.now())
        await super().resign(stay=stay)


def ticks_between(times: list[float]) -> list[int]:
    return [round((after - before) / TICK_S) for before, after in pairwise(times)]


async def test_where_all_daemons_fail_alike_the_lead_is_handed_on_ever_more_rarely() -> None:
    world = Rehearsal()
    store = BesideOthers(world)
    store.unreadable = True
    daemon = world.daemon(store=store)
    await daemon.live(HOUR)
    assert ticks_between([NOW, *store.given_back])[:6] == [3, 6, 12, 24, 48, 96]
    await daemon.live(HOUR)
    assert ticks_between(store.given_back)[-1] == 96
    store.unreadable = False
    await daemon.live(60.0)
    assert daemon.watcher.report is not None
    await daemon.kill()


async def test_a_good_tick_makes_it_as_quick_as_before_to_let_another_try() -> None:
    world = Rehearsal()
    store = BesideOthers(world)
    store.unreadable = True
    daemon = world.daemon(store=store)
    await daemon.live(120.0)
    store.unreadable = False
    await daemon.live(300.0)
    store.unreadable, store.given_back = True, []
    world.state.fence += 1  # another led for a moment
    await daemon.live(300.0)
    assert ticks_between(store.given_back)[:2] == [6, 12]
    await daemon.kill()


async def test_a_daemon_that_cannot_write_gives_the_lead_back() -> None:
    world = Rehearsal()
    store = BesideOthers(world)
    daemon = world.daemon(store=store)
    await daemon.live(60.0)
    store.unwritable = True
    await daemon.live(120.0)
    assert store.given_back
    store.unwritable = False
    before = len(daemon.watcher.failures)
    await daemon.live(60.0)
    assert len(daemon.watcher.failures) <= before + 1
    await daemon.kill()
