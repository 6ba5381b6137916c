"""Pools that are led one by one: who may take which lease, and how records come from one way to lead to the other."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from autoscaler.core.admission import Admission, Notice
from autoscaler.core.errors import LeaseLost, StoreUnavailable
from autoscaler.core.unit import WHOLE, units_of
from autoscaler.link import RedisLink
from autoscaler.runtime.ports import Changes
from autoscaler.store.common import Common
from autoscaler.store.keys import Keys
from autoscaler.store.redis import RedisStore
from tests.support.redis_server import free_port
from tests.support.stores import FLEET, RedisBackend, an_instance

POOLS = ("a", "b", "c", "d", "e", "f")


class Daemon:
    """The stores of one daemon."""

    def __init__(self, url: str, owner: str, pools: Sequence[str] = POOLS, ttl_s: float = 30.0) -> None:
        self.link = RedisLink(url)
        self.common = Common(self.link, FLEET, owner, ttl_s, units=len(pools))
        self.stores = {
            unit.name: RedisStore(self.link, FLEET, owner, ttl_s, unit=unit, common=self.common)
            for unit in units_of(pools)
        }

    async def tick(self) -> set[str]:
        """Read all of them at once, after giving back what is too many; gives the pools that it leads."""
        for store in self.stores.values():
            if store.should_yield(failing=False):
                await store.resign(stay=True)
        controls = await asyncio.gather(*(store.read() for store in self.stores.values()))
        return {pool for pool, control in zip(self.stores, controls, strict=True) if control.leads}


@pytest.fixture
async def daemons(redis_backend: RedisBackend) -> AsyncIterator[list[Daemon]]:
    """Three daemons that share six pools."""
    daemons = [Daemon(redis_backend.url, owner) for owner in "xyz"]
    yield daemons
    for daemon in daemons:
        await daemon.link.close()


async def test_one_daemon_leads_all_and_gives_back_what_others_are_due(daemons: list[Daemon]) -> None:
    first, second, third = daemons
    assert await first.tick() == set(POOLS)
    assert await second.tick() == set()
    await first.tick()  # hears that the other asks for some
    assert [len(await first.tick()), len(await second.tick())] == [3, 3]
    for _ in range(4):
        for daemon in (third, first, second):
            await daemon.tick()
    shares = [await daemon.tick() for daemon in daemons]
    assert [len(share) for share in shares] == [2, 2, 2]
    assert set().union(*shares) == set(POOLS)


async def test_a_unit_that_reads_in_a_turn_of_its_own_takes_no_more_than_the_share(daemons: list[Daemon]) -> None:
    first, second, _ = daemons
    assert await first.tick() == set(POOLS)
    await second.tick()
    await first.tick()  # hears that the other asks for some
    given = [store for store in first.stores.values() if store.should_yield(failing=False)]
    for store in given:
        await store.resign(stay=True)
        assert not (await store.read()).leads, "what is given back is left to the other"
    assert len(given) == 3
    assert len(await second.tick()) == 3


async def test_a_daemon_that_goes_leaves_its_share_to_the_others_at_once(daemons: list[Daemon]) -> None:
    for daemon in daemons * 5:
        await daemon.tick()
    await asyncio.gather(*(store.resign() for store in daemons[0].stores.values()))
    assert [len(await daemon.tick()) for daemon in daemons[1:]] == [3, 3]


async def test_a_daemon_that_would_lead_all_pools_takes_no_share_from_those_that_lead_them_one_by_one(
    redis_backend: RedisBackend, daemons: list[Daemon]
) -> None:
    whole = redis_backend.open("whole")
    await whole.read()
    await whole.resign(stay=True)
    for _ in range(2):
        assert await daemons[0].tick() == set(POOLS)
        assert not (await whole.read()).leads


async def test_a_pool_that_is_given_back_because_all_fails_is_taken_by_another_though_their_shares_are_even(
    daemons: list[Daemon],
) -> None:
    first, second = daemons[:2]
    for daemon in (first, second) * 5:
        await daemon.tick()
    store = next(store for store in first.stores.values() if store.may_act())
    assert store.should_yield(failing=True)
    await store.resign(stay=True)
    assert [len(await first.tick()), len(await second.tick()), len(await first.tick())] == [2, 4, 2]


async def test_one_that_fails_alone_leads_on(daemons: list[Daemon]) -> None:
    await daemons[0].tick()
    assert not any(store.should_yield(failing=True) for store in daemons[0].stores.values())


async def test_who_leads_is_told_to_those_who_do_not(daemons: list[Daemon]) -> None:
    await daemons[0].tick()
    assert (await daemons[1].stores["a"].read()).leader == "x"


async def test_a_tick_of_six_pools_takes_one_round_trip(daemons: list[Daemon]) -> None:
    await daemons[0].tick()
    before = daemons[0].link.round_trips
    assert len(await daemons[0].tick()) == 6
    assert daemons[0].link.round_trips == before + 1


async def test_a_redis_that_is_away_is_told_to_whoever_reads_and_to_nobody_else() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    daemon = Daemon(f"redis://127.0.0.1:{free_port()}", "x", ("a", "b"))
    with pytest.raises(StoreUnavailable):
        await asyncio.gather(*(store.read() for store in daemon.stores.values()))
    while begun := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(begun)
        begun.clear()
    gc.collect()
    assert not told
    await daemon.link.close()


async def test_nobody_leads_all_pools_while_one_is_led_and_the_other_way_round(redis_backend: RedisBackend) -> None:
    whole, daemon = redis_backend.open("whole"), Daemon(redis_backend.url, "x")
    assert (await whole.read()).leads
    assert await daemon.tick() == set()
    assert (await daemon.stores["a"].read()).leader == "whole"
    await whole.resign()
    assert await daemon.tick() == set(POOLS)
    assert not (await whole.read()).leads
    with pytest.raises(LeaseLost):
        await whole.commit(Changes(documents={"d": "1"}))
    await daemon.link.close()


def a_day(**usd: float) -> dict[str, str]:
    pools = {pool: {"running_usd": spent, "stopped_usd": 0.0} for pool, spent in usd.items()}
    return {"2026-11-21": json.dumps({"day": 20778, "booked_from": 1.0, "booked_until": 2.0, "pools": pools})}


def usd(ledger: object) -> dict[str, float]:
    assert isinstance(ledger, dict)
    return {pool: spent["running_usd"] for pool, spent in json.loads(ledger["2026-11-21"])["pools"].items()}


async def test_switching_there_and_back_keeps_each_record_once_and_the_books_whole(
    redis_backend: RedisBackend,
) -> None:
    whole, daemon = redis_backend.open("whole"), Daemon(redis_backend.url, "x", ("a", "b"))
    await whole.read()
    machines = [replace(an_instance(name), pool=pool) for name, pool in (("i1", "a"), ("i2", "b"), ("i3", "gone"))]
    kinds = ("history", "admission", "load", "policy", "signal")
    documents = {f"{kind}:{pool}": "{}" for kind in kinds for pool in "ab"} | {"places:mock": "{}"}
    await whole.commit(Changes(instances=tuple(machines), documents=documents, ledger=a_day(a=1.0, b=2.0)))
    await whole.resign()

    await daemon.tick()
    first, second = [await daemon.stores[pool].load() for pool in ("a", "b")]
    assert [{each.id for each in saved.instances} for saved in (first, second)] == [{"i1", "i3"}, {"i2"}]
    assert [saved.documents.keys() for saved in (first, second)] == [
        {*(f"{kind}:a" for kind in kinds), "places:mock"},
        {*(f"{kind}:b" for kind in kinds), "places:mock"},
    ]
    assert [usd(saved.ledger) for saved in (first, second)] == [{"a": 1.0}, {"b": 2.0}]
    assert await redis_backend.client.hlen(redis_backend.keys.instances) == 0
    await daemon.stores["a"].commit(Changes(ledger=a_day(a=5.0)))
    for store in daemon.stores.values():
        await store.resign()
    await redis_backend.client.delete(redis_backend.keys.lease)  # its time has run out

    again = redis_backend.open("again")
    assert (await again.read()).leads
    back = await again.load()
    assert {each.id for each in back.instances} == {"i1", "i2", "i3"}
    assert usd(back.ledger) == {"a": 5.0, "b": 2.0}
    for key in (Keys(FLEET, "a").instances, Keys(FLEET, "a").documents):
        assert not {"i1", "policy:a"} & set(await redis_backend.client.hkeys(key))
    await daemon.link.close()


async def test_who_takes_machines_of_no_pool_knows_which_pools_are_led_or_were_lately(
    redis_backend: RedisBackend,
) -> None:
    daemon = Daemon(redis_backend.url, "x", ("a", "b"))
    long_ago_ms, lately_ms = [int((await redis_backend.client.time())[0] - ago_s) * 1000 for ago_s in (700, 500)]
    await redis_backend.client.zadd(redis_backend.keys.pools, {"long ago": long_ago_ms, "lately": lately_ms})
    first, second = await asyncio.gather(*(store.read() for store in daemon.stores.values()))
    assert first.led == {"a", "b", "lately"}
    assert not second.led
    assert set(await redis_backend.open("onlooker").led()) == {"a", "b", "lately"}
    await daemon.link.close()


async def test_who_gives_a_lease_back_and_stays_is_counted_until_it_goes(redis_backend: RedisBackend) -> None:
    store = redis_backend.open("x")
    await store.read()
    for stay, counted in ((True, ["x"]), (False, [])):
        await store.resign(stay=stay)
        assert await redis_backend.client.zrange(redis_backend.keys.daemons, 0, -1) == counted


async def test_whoever_only_looks_sees_all_and_moves_nothing(redis_backend: RedisBackend) -> None:
    daemon = Daemon(redis_backend.url, "x", ("a", "b"))
    await daemon.tick()
    await daemon.stores["b"].commit(Changes(instances=(replace(an_instance("i2"), pool="b"),)))
    assert {each.id for each in (await redis_backend.open("onlooker").load()).instances} == {"i2"}
    assert await redis_backend.client.hlen(Keys(FLEET, "b").instances) == 1
    await daemon.link.close()


async def test_each_daemon_publishes_its_own_tiers_and_drops_those_whose_time_is_over(
    redis_backend: RedisBackend,
) -> None:
    daemon = Daemon(redis_backend.url, "x", ("a", "b"))
    await daemon.tick()

    async def publish(pool: str, valid_for_s: float) -> set[str]:
        tiers = (Admission(pool=pool, tier="pro"),)
        await daemon.stores[pool].commit(Changes(notice=Notice(at=1.0, valid_for_s=valid_for_s, tiers=tiers)))
        return set(await redis_backend.admission())

    assert await publish("a", 60.0) == {"a/pro"}
    assert await publish("b", 0.05) == {"a/pro", "b/pro"}
    while await publish("a", 60.0) != {"a/pro"}:
        continue
    for key in (redis_backend.keys.admission, redis_backend.keys.admission_ends):
        assert 50_000 < await redis_backend.client.pttl(key) <= 60_000, "it is gone soon after all daemons are"
    assert await redis_backend.client.zrange(redis_backend.keys.admission_ends, 0, -1) == ["a/pro"]
    await daemon.link.close()


def test_strays_are_the_first_units_alone_and_a_pool_led_elsewhere_is_nobodys_here() -> None:
    first, second = units_of(("a", "b"))
    assert [unit.owns("unheard of") for unit in (first, second, WHOLE)] == [True, False, True]
    assert [unit.owns("b") for unit in (first, second)] == [False, True]
    assert not first.beside({"new"}).owns("new")
    assert first.beside({"a"}).owns("a")
