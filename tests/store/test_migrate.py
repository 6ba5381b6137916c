"""What an older version left in Redis, and what a newer one did."""

from __future__ import annotations

import json

import pytest

from autoscaler.core.errors import NewerRecords
from autoscaler.core.instance import RECORD_VERSION
from autoscaler.core.orders import OrderKind
from autoscaler.store.redis import RedisStore
from tests.support.stores import RedisBackend


async def leading(backend: RedisBackend) -> RedisStore:
    store = backend.open("leader")
    assert (await store.read()).leads
    return store


async def test_the_pause_of_version_1_still_holds(redis_backend: RedisBackend) -> None:
    client, keys = redis_backend.client, redis_backend.keys
    await client.hset(keys.settings, mapping={"paused": "1", "paused_by": "ada"})
    store = redis_backend.open("daemon")
    control = await store.read()
    assert control.leads
    [pause] = control.orders
    assert (pause.kind, pause.by) == (OrderKind.PAUSE, "ada")
    assert not await client.exists(keys.settings)
    assert await store.withdraw("pause", by="ada")
    assert not (await store.read()).orders, "it is taken over once"


async def test_a_daemon_that_follows_changes_no_stored_form(redis_backend: RedisBackend) -> None:
    client, keys = redis_backend.client, redis_backend.keys
    await leading(redis_backend)
    await client.delete(keys.version)
    await client.hset(keys.settings, "paused", "1")
    assert not (await redis_backend.open("follower").read()).leads
    assert await client.exists(keys.settings)
    assert not await client.exists(keys.version)


async def test_records_of_version_1_are_read(redis_backend: RedisBackend) -> None:
    client, keys = redis_backend.client, redis_backend.keys
    least = {"id": "i1", "pool": "images", "placement": "p", "provider": "mock", "phase": "hot"}
    await client.hset(keys.instances, "i1", json.dumps({"v": 1, "phase_since": 1.0, "created_at": 1.0} | least))
    store = await leading(redis_backend)
    [record] = (await store.load()).instances
    assert (record.id, record.phase) == ("i1", "hot")
    assert int(await client.get(keys.version)) == RECORD_VERSION


async def test_what_a_newer_program_keeps_is_refused_and_left_to_it(redis_backend: RedisBackend) -> None:
    client, keys = redis_backend.client, redis_backend.keys
    await client.set(keys.version, RECORD_VERSION + 1)
    with pytest.raises(NewerRecords, match=f"version {RECORD_VERSION + 1}.*up to {RECORD_VERSION}.*newer program"):
        await redis_backend.open("older").read()
    assert not await client.exists(keys.lease), "the newer program can lead at once"
    assert not await client.exists(keys.instances)


async def test_a_leader_gives_way_when_a_newer_program_has_begun(redis_backend: RedisBackend) -> None:
    store = await leading(redis_backend)
    await redis_backend.client.set(redis_backend.keys.version, RECORD_VERSION + 1)
    with pytest.raises(NewerRecords):
        await store.read()
    assert not store.may_act()
    assert not await redis_backend.client.exists(redis_backend.keys.lease)
