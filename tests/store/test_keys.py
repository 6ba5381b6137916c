"""All keys of a fleet lie in one slot of a Cluster, or no script could touch two of them."""

from __future__ import annotations

from redis.crc import key_slot

from autoscaler.store.keys import Keys


def test_all_keys_of_a_fleet_lie_in_one_slot_of_a_cluster() -> None:
    slots = {
        key_slot(name.encode())
        for keys in (Keys("acme"), Keys("acme", "images"))
        for name in (*vars(keys).values(), keys.drain("i1"))
        if name != keys.pool
    }
    assert slots == {key_slot(b"acme")}
