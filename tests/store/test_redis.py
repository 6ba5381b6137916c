"""What others see of the store in Redis, and how Redis can fail it."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from autoscaler.core.admission import Admission, Notice
from autoscaler.core.errors import LeaseLost, NewerRecords, StoreUnavailable
from autoscaler.core.instance import RECORD_VERSION
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.samples import Sample
from autoscaler.link import RedisLink
from autoscaler.runtime.ports import Changes
from autoscaler.store.redis import RedisStore
from tests.support.redis_server import RedisServer, free_port
from tests.support.stores import RedisBackend, an_instance


async def leading(backend: RedisBackend, owner: str = "a") -> RedisStore:
    store = backend.open(owner)
    assert (await store.read()).leads
    return store


@pytest.mark.parametrize("phase", Phase)
async def test_endpoints_and_drain_marks_follow_the_phase(redis_backend: RedisBackend, phase: Phase) -> None:
    store, client, keys = await leading(redis_backend), redis_backend.client, redis_backend.keys
    for before in (Phase.DRAINING, Phase.WARM):
        await store.commit(Changes(instances=(an_instance("i1", before),)))
        await store.commit(Changes(instances=(an_instance("i1", phase, reason="too many"),)))
        assert await client.hexists(keys.endpoints, "i1") is (phase in {Phase.HOT, Phase.DRAINING})
        marked = phase in {Phase.DRAINING, Phase.STOPPING, Phase.RELEASING, Phase.GONE}
        assert await client.get(keys.drain("i1")) == ("too many" if marked else None)


async def test_a_sample_that_is_written_again_because_the_answer_was_lost_counts_once(
    redis_backend: RedisBackend,
) -> None:
    store = await leading(redis_backend)
    hour = tuple(Sample(at=60.0 * minute, until=60.0 * minute + 60.0) for minute in range(60))
    for samples in (hour[:-1], hour, hour):
        await store.commit(Changes(samples=samples))
    assert [sample async for sample in store.samples()] == [*hour]


async def test_a_drain_mark_goes_when_its_machine_is_forgotten(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await store.commit(Changes(instances=(an_instance("i1", Phase.GONE),)))
    await store.commit(Changes(forgotten=("i1",)))
    assert not await redis_backend.client.exists(redis_backend.keys.drain("i1"))


async def test_an_endpoint_says_where_jobs_go(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    machine = an_instance("i1", Phase.DRAINING, address="10.0.0.7:8188", slots=2, gpu="RTX 4090", region="CA")
    await store.commit(Changes(instances=(machine,)))
    assert json.loads(await redis_backend.client.hget(redis_backend.keys.endpoints, "i1") or "") == {
        "address": "10.0.0.7:8188",
        "phase": "draining",
        "slots": 2,
        "tier": None,
        "pool": "images",
        "gpu": "RTX 4090",
        "region": "CA",
        "provider": "mock",
    }


async def test_an_endpoint_carries_the_tier_its_machine_is_set_apart_for_so_that_a_gateway_can_route(
    redis_backend: RedisBackend,
) -> None:
    store = await leading(redis_backend)
    await store.commit(Changes(instances=(an_instance("i1", tier="enterprise"),)))
    endpoint = json.loads(await redis_backend.client.hget(redis_backend.keys.endpoints, "i1") or "")
    assert endpoint["tier"] == "enterprise"


async def test_a_drain_mark_is_there_even_without_a_reason(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await store.commit(Changes(instances=(an_instance("i1", Phase.STOPPING),)))
    assert await redis_backend.client.get(redis_backend.keys.drain("i1")) == "stopping"


async def test_a_forgotten_machine_leaves_nothing_behind(redis_backend: RedisBackend) -> None:
    store, keys = await leading(redis_backend), redis_backend.keys
    await redis_backend.beat("i1", busy=0)
    await store.commit(Changes(instances=(an_instance("i1", Phase.DRAINING),)))
    await store.commit(Changes(instances=(an_instance("i1", Phase.HOT),), forgotten=("i1",)))
    assert set(await redis_backend.client.keys("*")) == {keys.lease, keys.fence, keys.version, keys.daemons}


async def test_what_is_said_of_admission_goes_when_the_daemon_is_dead(redis_backend: RedisBackend) -> None:
    store, key = await leading(redis_backend), redis_backend.keys.admission
    await store.commit(Changes(notice=Notice(at=1.0, valid_for_s=180.0, tiers=(Admission(pool="images", tier="pro"),))))
    assert 170_000 < await redis_backend.client.pttl(key) <= 180_000
    await store.commit(Changes(notice=Notice(at=2.0, valid_for_s=900.0, tiers=(Admission(pool="images", tier="pro"),))))
    assert await redis_backend.client.pttl(key) > 180_000


async def test_every_key_carries_the_fleet_as_hash_tag(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await store.give(Order(kind=OrderKind.PAUSE, by="ada", at=1.0))
    await redis_backend.beat("i1", busy=0)
    await store.commit(
        Changes(
            instances=(an_instance("i1", Phase.DRAINING),),
            journal=(Entry(at=1.0, kind=Kind.ALARM, text="!"),),
            documents={"d": "1"},
            ledger={"2026-11-21": "{}"},
            notice=Notice(at=1.0, valid_for_s=180.0, tiers=(Admission(pool="images", tier="pro"),)),
        )
    )
    names = await redis_backend.client.keys("*")
    assert len(names) == 13
    assert all(name.startswith("autoscaler:{attic}:") for name in names)


async def test_fleets_in_one_redis_do_not_touch_each_other(redis_backend: RedisBackend) -> None:
    ours = await leading(redis_backend)
    link = RedisLink(redis_backend.url)
    theirs = RedisStore(link, "cellar", "a")
    assert (await theirs.read()).leads
    await ours.commit(Changes(instances=(an_instance(),)))
    assert (await theirs.load()).instances == ()
    await link.close()


async def test_the_fence_rises_with_each_taking_and_only_then(redis_backend: RedisBackend) -> None:
    first, second = await leading(redis_backend, "a"), redis_backend.open("b")
    await first.read()
    assert await redis_backend.client.get(redis_backend.keys.lease) == "a:1"
    await redis_backend.expire_lease()
    await second.read()
    assert await redis_backend.client.get(redis_backend.keys.lease) == "b:2"


async def test_each_read_gives_the_lease_its_full_time(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.pexpire(redis_backend.keys.lease, 1)
    await store.read()
    assert await redis_backend.client.pttl(redis_backend.keys.lease) > 20_000


async def test_a_peek_shows_what_the_leader_reads_and_leaves_no_trace(redis_backend: RedisBackend) -> None:
    await redis_backend.beat("i1", busy=1)
    peeked = await redis_backend.open("a").peek()
    assert await redis_backend.client.keys("*") == [redis_backend.keys.workers]
    assert replace(peeked, leader="b") == await redis_backend.open("b").read()


async def test_a_tick_costs_two_round_trips_shared_with_the_queues(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    [link] = redis_backend.links
    await store.commit(Changes(instances=(an_instance(),)))
    before = link.round_trips
    await asyncio.gather(store.read(), link.execute([("LLEN", "jobs:pro")]))
    await store.commit(Changes(instances=(an_instance(phase=Phase.DRAINING),)))
    assert link.round_trips - before == 2


async def test_scripts_that_redis_forgot_are_sent_again(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.script_flush()
    await store.commit(Changes(instances=(an_instance(),)))
    assert len((await store.load()).instances) == 1


async def test_ten_thousand_adopted_machines_fit_in_one_commit(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    machines = tuple(an_instance(f"i{n:05}", adopted=True) for n in range(10_000))
    await store.commit(Changes(instances=machines))
    assert (await store.load()).instances == machines
    assert await redis_backend.client.hlen(redis_backend.keys.endpoints) == 10_000


async def test_one_unreadable_heartbeat_hides_no_other(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.hset(
        redis_backend.keys.workers,
        mapping={"i1": "soon", "i2": '{"busy": 1, "seen_at": 17.5}', "i3": b"\xff", b"\xfe": "1"},
    )
    beats = (await store.read()).heartbeats
    assert {name: beat.busy for name, beat in beats.items()} == {"i2": 1, "\ufffd": 1}


async def test_an_order_that_cannot_be_read_stops_the_tick_and_can_be_withdrawn(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.hset(redis_backend.keys.orders, "floor:images", "{")
    with pytest.raises(StoreUnavailable, match=r"the order floor:images cannot be read"):
        await store.read()
    assert await store.withdraw("floor:images", by="ada")
    assert (await store.read()).orders == ()
    assert (await store.journal(1))[0].text == "order floor:images, which cannot be read, withdrawn by ada"


async def test_records_of_a_newer_program_stop_the_load(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.hset(redis_backend.keys.instances, "i9", '{"v": 99}')
    with pytest.raises(NewerRecords, match=f"instance i9 has version 99.*up to {RECORD_VERSION}"):
        await store.load()


async def test_an_unreadable_record_stops_the_load(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.hset(redis_backend.keys.instances, "i9", "{")
    with pytest.raises(StoreUnavailable, match="instance i9 cannot be read"):
        await store.load()


async def test_an_unreadable_journal_entry_is_shown_as_such(redis_backend: RedisBackend) -> None:
    store, client, key = await leading(redis_backend), redis_backend.client, redis_backend.keys.journal
    await client.xadd(key, {"entry": "?"}, id="1500-0")
    await client.xadd(key, {"entry": '{"v": 99}'}, id="2500-0")
    await client.xadd(key, {"note": "by hand"}, id="3500-0")
    await store.commit(Changes(journal=(Entry(at=4.0, kind=Kind.ALARM, text="fine"),)))
    fine, by_hand, newer, broken = await store.journal(10)
    assert fine.text == "fine"
    assert [entry.at for entry in (by_hand, newer, broken)] == [3.5, 2.5, 1.5]
    assert "version 99" in newer.text
    assert "journal entry 1500-0 cannot be read" in broken.text


async def test_a_user_without_rights_is_told_which_to_grant(real_backend: RedisBackend) -> None:
    await real_backend.client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection")
    link = RedisLink(real_backend.url.replace("//", "//reader:pw@"))
    with pytest.raises(StoreUnavailable, match=r"ACL SETUSER … ~autoscaler:\{attic\}:\* \+@read"):
        await RedisStore(link, "attic", "a").read()
    await link.close()


async def test_the_rights_we_name_are_enough(real_backend: RedisBackend) -> None:
    rights = ["~autoscaler:{attic}:*", "+@read", "+@write", "+@scripting", "+time", "+client|setname"]
    await real_backend.client.execute_command("ACL", "SETUSER", "writer", "on", ">pw", *rights)
    link = RedisLink(real_backend.url.replace("//", "//writer:pw@"))
    store = RedisStore(link, "attic", "a")
    assert (await store.read()).leads
    await store.give(Order(kind=OrderKind.PAUSE, by="ada", at=1.0))
    await store.commit(Changes(instances=(an_instance(),), journal=(Entry(at=1.0, kind=Kind.ALARM, text="!"),)))
    assert len(await store.journal(10)) == 2
    await store.resign()
    await link.close()


async def test_a_read_only_replica_is_named_as_such(real_backend: RedisBackend) -> None:
    await real_backend.client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(StoreUnavailable, match=r"read-only replica.*primary"):
            await real_backend.open("a").read()
    finally:
        await real_backend.client.replicaof("NO", "ONE")


async def test_a_full_redis_is_named_as_such_and_takes_nothing(real_backend: RedisBackend) -> None:
    store = await leading(real_backend)
    await real_backend.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match=r"out of memory.*maxmemory"):
            await store.commit(Changes(instances=(an_instance(),)))
    finally:
        await real_backend.client.config_set("maxmemory", "0")
    assert (await store.load()).instances == ()


async def test_a_key_of_another_kind_is_reported(real_backend: RedisBackend) -> None:
    client, keys = real_backend.client, real_backend.keys
    await client.set(keys.workers, "mine")
    with pytest.raises(StoreUnavailable, match=f"^{re.escape(keys.workers)} holds what another program wrote.*DEL"):
        await real_backend.open("a").read()
    await client.delete(keys.workers, keys.lease)
    await client.set(keys.fence, "mine")
    with pytest.raises(StoreUnavailable, match=f"^one of {re.escape(keys.prefix)}.* holds what another program"):
        await real_backend.open("a").read()


@pytest.mark.parametrize("kind", ["documents", "ledger", "journal", "history"])
async def test_where_one_key_is_anothers_nothing_is_written_and_the_key_is_named(
    real_backend: RedisBackend, kind: str
) -> None:
    store, key = await leading(real_backend), str(getattr(real_backend.keys, kind))
    await real_backend.client.set(key, "mine")
    changes = Changes(
        instances=(an_instance(),),
        documents={"images": "{}"},
        ledger={"2026-11-21": "{}"},
        journal=(Entry(at=1.0, kind=Kind.PHASE, text="it boots"),),
        samples=(Sample(at=0.0, until=60.0),),
    )
    before = await real_backend.client.keys()

    with pytest.raises(StoreUnavailable, match=f"^{re.escape(key)} holds what another program wrote.*DEL"):
        await store.commit(changes)

    assert sorted(await real_backend.client.keys()) == sorted(before)
    await real_backend.client.delete(key)
    await store.commit(changes)


async def test_a_redis_that_is_away_leaves_the_lease_certain_for_its_time(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    link = RedisLink(server.url)
    store = RedisStore(link, "attic", "a")
    await store.read()
    server.stop()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.read()
    assert store.may_act()
    await link.close()


async def test_scripts_keep_to_one_slot_of_a_cluster(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port())) as server:
        client: Any = Redis.from_url(server.url)
        link = RedisLink(server.url)
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while b"cluster_state:ok" not in await client.execute_command("CLUSTER", "INFO"):
            pass
        store = RedisStore(link, "attic", "a")
        assert (await store.read()).leads
        await store.commit(
            Changes(instances=(an_instance("i1"), an_instance("i2", Phase.DRAINING)), documents={"d": "1"})
        )
        assert len((await store.load()).instances) == 2
        await store.resign()
        await link.close()
        await client.aclose()


async def test_a_primary_that_lost_its_replicas_gives_no_lease_where_it_is_told_to_need_one(
    real_backend: RedisBackend,
) -> None:
    """What bounds the time of two leaders where a primary is cut off and its Sentinels name another."""
    store = await leading(real_backend)
    await real_backend.client.config_set("min-replicas-to-write", 1)
    with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
        await store.read()
    with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
        await store.commit(Changes(documents={"d": "1"}))
    await real_backend.client.config_set("min-replicas-to-write", 0)


async def test_a_lease_that_was_lost_with_a_primary_refuses_what_its_holder_writes(real_backend: RedisBackend) -> None:
    """Both hold the same number then: the owner's name tells them apart."""
    first, second = await leading(real_backend, "a"), real_backend.open("b")
    await real_backend.client.delete(real_backend.keys.lease, real_backend.keys.fence)
    assert (await second.read()).leads
    assert await real_backend.client.get(real_backend.keys.lease) == "b:1"
    with pytest.raises(LeaseLost):
        await first.commit(Changes(documents={"d": "1"}))
    assert not first.may_act()
