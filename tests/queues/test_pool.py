from __future__ import annotations

import pytest

from autoscaler.core.demand import Demand, InFlightKind
from autoscaler.link import Command
from autoscaler.queues import make_reader
from autoscaler.queues.band import Band
from autoscaler.queues.caution import Caution
from autoscaler.queues.in_flight import Counted
from autoscaler.queues.list import LIBRARY, ListQueue, ListTier
from autoscaler.queues.places import UnstampedSet
from autoscaler.queues.pool import PoolReader, TierReader
from tests.support.queues import NOW, driven

PROBE: list[Command] = [("EXISTS", "a"), ("EXISTS", "b")]


def a_reader() -> PoolReader:
    return PoolReader(
        [TierReader("pro", UnstampedSet("jobs", Band()))],
        Counted(InFlightKind.EXECUTING, lambda _: [("HLEN", "busy")]),
        probe=PROBE,
    )


@pytest.mark.parametrize("exists", [("EXISTS", "a"), ("EXISTS", "b"), ("HLEN", "busy"), ("ZCOUNT", "jobs")])
def test_a_queue_is_seen_for_good_once_any_of_its_keys_was_there(exists: Command) -> None:
    reader = a_reader()
    seen = []
    for there in (False, True, False):
        demand, asked = driven(reader.read(NOW), lambda command, there=there: int(there and command[:2] == exists))  # type: ignore[misc]
        assert isinstance(demand, Demand)
        seen.append((demand.seen, PROBE[0] in asked[0]))
    assert seen == [(False, True), (True, True), (True, False)]


def test_of_every_caution_there_is_advice_and_a_library_has_the_first_word() -> None:
    reader = make_reader(ListQueue(kind="list", tiers=(ListTier(name="pro", key="jobs"),)))
    assert reader.advice.keys() == {*Caution}
    assert {**reader.advice, **LIBRARY.advice} == reader.advice
