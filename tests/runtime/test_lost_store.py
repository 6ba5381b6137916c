"""What a daemon knows does not go when the store loses it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from autoscaler.store.memory import MemoryState
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, Rehearsal


async def test_what_an_older_replica_lacks_is_written_again_in_minutes() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(600)
    booting = dict(world.state.instances)
    await daemon.live(HOUR)
    hot = dict(world.state.instances)
    world.state.instances.clear()
    world.state.instances.update(booting)

    await daemon.live(600)

    assert world.state.instances == hot != booting


async def test_the_days_books_outlive_a_failover_to_an_empty_store() -> None:
    world = Rehearsal(CALM)
    daemon = world.daemon()
    await daemon.live(3 * HOUR)
    for part in fields(MemoryState):
        setattr(world.state, part.name, getattr(MemoryState(), part.name))

    await daemon.live(HOUR)

    assert daemon.usd_today() == pytest.approx(world.billed_usd(), rel=0.02)
