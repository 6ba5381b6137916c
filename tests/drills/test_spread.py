"""Daemons share the pools of a fleet evenly, and each pool is led by at most one of them.

One that is killed leaves its pools to the others with their first ticks after the lease, and so within twice its time;
one that joins is handed its share. No machine is rented twice, and none is released on the way. A fleet may go from one
leader for all pools to leaders for each, and back, with its machines and its books.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET
from tests.support.real_time import until
from tests.support.several_daemons import Peer, Several

POOLS = tuple("abcdef")
TWO = POOLS[:2]
"""Of which each has a machine soon: a vendor takes rents one by one."""


@pytest.fixture
def several(tmp_path: Path, redis_url: str) -> Iterator[Several]:
    with Several(tmp_path, redis_url, POOLS, spread=True) as several:
        yield several


@pytest.fixture
def small(tmp_path: Path, redis_url: str) -> Iterator[Several]:
    with Several(tmp_path, redis_url, TWO, spread=True) as several:
        yield several


def shares(several: Several, client: Any) -> list[int]:
    """How many pools each daemon leads, those that lead none left out."""
    leaders = [several.leader(client, pool) for pool in POOLS]
    return sorted(Counter(peer.url for peer in leaders if peer is not None).values())


def test_shares_are_even_and_stay_so_when_daemons_go_and_come(several: Several, client: Any) -> None:
    first, second = several.start(), several.start()
    until(lambda: shares(several, client) == [3, 3], "two share six pools")
    several.until_served(client, len(POOLS), patience_s=60.0)
    third = several.start()
    until(lambda: shares(several, client) == [2, 2, 2], "three share six pools")
    for peer in several.peers:
        peer.wait_ticks()
        assert peer.ask("/readyz")[1]["leads"]
    machines, calls = several.tokens(), [peer.calls for peer in several.peers]

    first.kill()
    assert several.vacant(client, (second, third), POOLS, lambda: shares(several, client) == [3, 3]) == 0
    for peer in (second, third):
        peer.wait_ticks()

    fourth = several.start()
    until(lambda: shares(several, client) == [2, 2, 2], "three share six pools again")
    fourth.wait_ticks()
    assert sorted(several.tokens()) == sorted(machines)
    assert [peer.calls for peer in several.peers] == [*calls, 0], "a pool that changed hands cost a call"


def test_a_pool_that_changes_hands_is_led_again_at_the_next_tick(several: Several, client: Any) -> None:
    first = several.start()
    until(lambda: shares(several, client) == [6], "it leads all")
    second = several.start()
    assert several.vacant(client, [second], POOLS, lambda: shares(several, client) == [3, 3]) == 0
    first.process.send_signal(signal.SIGTERM)
    assert several.vacant(client, [second], POOLS, lambda: shares(several, client) == [6]) == 0


def test_a_paused_daemon_that_wakes_finds_its_pools_led_by_others_and_does_nothing(small: Several, client: Any) -> None:
    first, second = small.start(), small.start()
    until(lambda: shares(small, client) == [1, 1], "each leads one")
    small.until_served(client, len(TWO))
    first.pause()
    until(lambda: shares(small, client) == [2], "the other leads all")
    calls, fences = first.calls, [client.get(Keys(FLEET, pool).fence) for pool in TWO]
    first.wake()
    until(lambda: shares(small, client) == [1, 1], "it is handed its share again")
    first.wait_ticks()
    assert (first.calls, second.calls) == (calls, second.calls)
    assert all(client.get(Keys(FLEET, pool).fence) >= fence for pool, fence in zip(TWO, fences, strict=True))
    assert len(small.tokens()) == len(TWO)


def spent(client: Any) -> float:
    """What the books hold in all, whichever keys they lie under: of each day and pool the higher figure."""
    books: dict[tuple[str, str], float] = {}
    for keys in (Keys(FLEET), *(Keys(FLEET, pool) for pool in TWO)):
        for day, stored in client.hgetall(keys.ledger).items():
            for pool, parts in json.loads(stored)["pools"].items():
                total = parts["running_usd"] + parts["stopped_usd"]
                books[day, pool] = max(books.get((day, pool), 0.0), total)
    return sum(books.values())


def test_a_fleet_is_spread_and_gathered_again_with_its_machines_and_its_books(small: Several, client: Any) -> None:
    def go_on(peer: Peer, *, spread: bool) -> Peer:
        peer.process.send_signal(signal.SIGTERM)
        assert peer.process.wait(15) == 0
        small.settings["spread"] = spread
        return small.start()

    small.settings["spread"] = False
    whole = small.start()
    small.until_served(client, len(TWO))
    machines = small.tokens()
    spread = go_on(whole, spread=True)
    until(lambda: shares(small, client) == [2], "each pool is led by itself")
    spread.wait_ticks()
    before = spent(client)
    gathered = go_on(spread, spread=False)
    small.until_led(client, gathered)
    gathered.wait_ticks()
    assert sorted(small.tokens()) == sorted(machines)
    assert {name.decode() for name in client.hkeys(Keys(FLEET).instances)} == set(machines)
    assert spent(client) >= before > 0
    assert (spread.calls, gathered.calls) == (0, 0)
