"""Admission and reserved capacity in the whole daemon, on virtual time."""

from __future__ import annotations

from autoscaler.core.admission import Admission, Notice
from autoscaler.core.demand import Unknown
from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Pool, Tier
from autoscaler.runtime.ports import Changes
from autoscaler.store.memory import MemoryState, MemoryStore
from tests.support.build import NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

REFUSING = pool(tiers=(Tier(name="pro", refuse_above=60.0),))
FULL = 9  # jobs of 20 s on one slot: a wait of three minutes


def published(state: MemoryState) -> Admission:
    assert state.notice is not None
    [admission] = state.notice.tiers
    return admission


class NotedStore(MemoryStore):
    """The store in memory, which remembers the notices that were written and when."""

    def __init__(self, world: Rehearsal) -> None:
        super().__init__(world.state, "noted", world.clock)
        self.notices: list[Notice] = []
        self.writes = 0
        self.failing = False

    async def commit(self, changes: Changes) -> None:
        if self.failing:
            raise StoreUnavailable("connection refused")
        await super().commit(changes)
        self.writes += 1
        self.notices += [changes.notice] if changes.notice is not None else []


async def settled(world: Rehearsal, daemon: Daemon) -> None:
    await daemon.live(HOUR)
    assert daemon.count(Phase.HOT) >= 1, "the fleet did not settle"


# --- admission --------------------------------------------------------------------------------------------------------


async def test_if_queue_wait_time_is_too_long_new_jobs_are_refused_at_once_and_taken_again_once_it_was_short() -> None:
    world = Rehearsal(CALM, pools=(REFUSING,))
    daemon = world.daemon()
    await settled(world, daemon)
    assert published(world.state).accept
    world.queue.waiting = FULL
    await daemon.live(TICK_S)
    assert not published(world.state).accept, "in the same tick"
    assert not daemon.report.pools["images"].admission[0].accept
    world.queue.waiting = 0
    await daemon.live(3 * TICK_S)
    assert not published(world.state).accept
    await daemon.live(2 * TICK_S)
    assert published(world.state).accept
    assert [text.split(":")[1] for text in daemon.texts(Kind.ADMISSION)[-2:]] == [
        " new jobs of pro are refused",
        " new jobs of pro are taken again",
    ]


async def test_a_queue_that_cannot_be_read_refuses_nobody() -> None:
    world = Rehearsal(CALM, pools=(REFUSING,))
    daemon = world.daemon()
    await settled(world, daemon)
    world.queue.waiting = FULL
    await daemon.live(TICK_S)
    world.queue.waiting = Unknown("connection refused", NOW)
    await daemon.live(TICK_S)
    assert published(world.state).accept


async def test_what_is_refused_stays_so_over_a_restart() -> None:
    world = Rehearsal(CALM, pools=(REFUSING,))
    first = world.daemon()
    await settled(world, first)
    world.queue.waiting = FULL
    await first.live(2 * TICK_S)
    await first.stop()
    second = world.daemon()
    await second.live(TICK_S / 2)
    assert not second.report.pools["images"].admission[0].accept
    assert second.texts(Kind.ADMISSION) == [], "nothing has changed"


async def test_a_daemon_that_has_just_started_refuses_nobody_for_a_minute() -> None:
    world = Rehearsal(CALM, pools=(REFUSING,))
    world.queue.waiting = FULL
    daemon = world.daemon()
    await daemon.live(5 * TICK_S)
    assert published(world.state).accept
    await daemon.live(2 * TICK_S)
    assert not published(world.state).accept


async def test_a_quiet_fleet_says_who_is_let_in_once_a_minute_along_with_what_is_written_anyway() -> None:
    world = Rehearsal(CALM, pools=(REFUSING,))
    store = NotedStore(world)
    daemon = world.daemon(store=store)
    await settled(world, daemon)
    store.writes, store.notices = 0, []
    await daemon.live(600.0)
    assert store.writes <= 11
    assert len(store.notices) == store.writes
    ages = [later.at - sooner.at for sooner, later in zip(store.notices, store.notices[1:], strict=False)]
    assert max(ages) <= store.notices[-1].valid_for_s / 2, "a reader never holds the daemon for dead"


async def test_a_notice_whose_write_failed_is_written_again() -> None:
    world = Rehearsal(CALM, pools=(REFUSING,))
    store = NotedStore(world)
    daemon = world.daemon(store=store)
    await settled(world, daemon)
    world.queue.waiting = FULL
    store.failing = True
    await daemon.live(TICK_S)
    assert published(world.state).accept
    store.failing = False
    await daemon.live(2 * TICK_S)
    assert not published(world.state).accept


# --- reserved capacity ------------------------------------------------------------------------------------------------


def reserving(slots: int) -> Pool:
    return pool(tiers=(Tier(name="enterprise", reserve=slots), Tier(name="pro")))


def tiers(daemon: Daemon) -> list[str | None]:
    """Of the HOT machines, oldest first."""
    hot = [record for record in daemon.report.instances.values() if record.phase is Phase.HOT]
    return [record.tier for record in sorted(hot, key=lambda record: (record.created_at, record.id))]


async def test_reserved_slots_are_hot_beyond_what_lower_tiers_use() -> None:
    world = Rehearsal(CALM, pools=(reserving(1),))
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    assert tiers(daemon) == ["enterprise", None]
    world.queue.waiting = 31
    await daemon.live(HOUR)
    assert tiers(daemon).count(None) >= 2, "whoever waits gets machines on top of the reserved one"
    assert tiers(daemon).count("enterprise") == 1
    world.queue.waiting = 0
    await daemon.live(6 * HOUR)
    assert sorted(map(str, tiers(daemon))) == ["None", "enterprise"]


async def test_the_tier_moves_to_another_machine_when_its_own_is_lost() -> None:
    world = Rehearsal(CALM, pools=(reserving(1),))
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    [apart] = [record for record in daemon.report.instances.values() if record.tier]
    await world.provider.release(str(apart.provider_id))
    await daemon.live(120.0)
    assert tiers(daemon) == [None], "the last machine serves all"
    await daemon.live(2 * HOUR)
    assert tiers(daemon) == ["enterprise", None]
    assert f"{apart.id} takes jobs of enterprise and more urgent ones from now on" in daemon.texts(Kind.RESERVE)
