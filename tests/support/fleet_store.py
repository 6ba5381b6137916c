"""What the store must do in any Redis: one leads, only he writes, and what he wrote is read."""

from __future__ import annotations

import pytest

from autoscaler.core.errors import LeaseLost
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.orders import Order, OrderKind
from autoscaler.link import RedisLink
from autoscaler.runtime.ports import Changes
from autoscaler.store.redis import RedisStore
from tests.support.stores import FLEET, an_instance

CHANGES = Changes(
    instances=(an_instance("i1"), an_instance("i2")),
    journal=(Entry(at=1.0, kind=Kind.ALARM, text="something happened"),),
    documents={"learned": "{}"},
    ledger={"2026-11-21": "{}"},
)


async def keeps_a_fleet(link: RedisLink) -> None:
    """Two daemons share the store: the lease passes from one to the other, and each write is fenced."""
    one, other = RedisStore(link, FLEET, "one"), RedisStore(link, FLEET, "other")
    assert (await one.read()).leads
    assert not (await other.read()).leads
    await one.commit(CHANGES)
    with pytest.raises(LeaseLost):
        await other.commit(CHANGES)

    saved = await other.load()
    assert [each.id for each in saved.instances] == ["i1", "i2"]
    assert (saved.documents, saved.ledger) == (CHANGES.documents, CHANGES.ledger)
    assert [entry.text for entry in await other.journal(5)] == ["something happened"]

    await one.give(Order(kind=OrderKind.PAUSE, by="somebody", at=1.0))
    assert (await one.read()).orders
    await one.resign()
    assert (await other.read()).leads
    with pytest.raises(LeaseLost):
        await one.commit(CHANGES)
