"""Two daemons stand beside one queue, and at most one acts.

Whatever befalls the one that leads - it is killed, told to stop, paused and woken up late, in the middle of a call
even, or cut from Redis - the other leads with its first tick after the lease, and so within twice its time; and none of
the first one's calls or writes comes after that. Clocks that differ by an hour change nothing of it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autoscaler.store.keys import Keys
from providers.vastai.client import SPACING_S
from tests.support.daemon_process import FLEET
from tests.support.real_time import until
from tests.support.several_daemons import TICK_S, Peer, Several

KEYS = Keys(FLEET)
LEADS = 'autoscaler_pool_leader{pool="images"}'


@pytest.fixture
def several(tmp_path: Path, redis_url: str) -> Iterator[Several]:
    with Several(tmp_path, redis_url) as several:
        yield several


@pytest.fixture
def pair(several: Several, client: Any) -> tuple[Peer, Peer]:
    """Who leads, with one machine, and who stands by."""
    pair = several.start(), several.start()
    assert several.leader(client) is pair[0]
    several.until_served(client, 1)
    return pair


def want_three(client: Any) -> None:
    """More jobs than one machine is allowed to leave waiting."""
    client.rpush("jobs:images", *range(200))


def test_a_killed_leader_is_followed_within_twice_the_lease(
    several: Several, pair: tuple[Peer, Peer], client: Any
) -> None:
    first, second = pair
    first.kill()
    assert several.until_led(client, second) == 0
    want_three(client)
    several.until_served(client, 3)


def test_a_leader_that_is_told_to_stop_is_followed_at_the_next_tick(
    several: Several, pair: tuple[Peer, Peer], client: Any
) -> None:
    first, second = pair
    first.process.send_signal(signal.SIGTERM)
    assert several.until_led(client, second) == 0
    assert first.process.wait(15) == 0
    assert len(several.tokens()) == 1


def test_a_leader_that_is_paused_for_too_long_does_nothing_when_it_wakes(
    several: Several, pair: tuple[Peer, Peer], client: Any
) -> None:
    first, second = pair
    want_three(client)
    first.pause()
    assert several.until_led(client, second) == 0
    several.until_served(client, 3)
    calls, fence = first.calls, client.get(KEYS.fence)
    first.wake()
    first.wait_ticks()
    assert first.ask("/readyz")[1] == {"ready": True, "leads": False, "error": None}
    assert (first.calls, client.get(KEYS.fence)) == (calls, fence)
    assert several.leader(client) is second
    assert len(several.tokens()) == 3


def test_a_leader_that_is_paused_in_the_middle_of_a_rent_leaves_no_machine_unknown(
    several: Several, pair: tuple[Peer, Peer], client: Any
) -> None:
    first, second = pair
    first.vendor.hold_answers()
    calls = first.calls
    want_three(client)
    until(lambda: first.calls > calls, "a rent is under way")
    until(lambda: len(client.hkeys(KEYS.instances)) == 3, "the next one waits for its turn at the vendor's")
    first.pause()
    calls = first.calls
    assert several.until_led(client, second) == 0
    several.until_served(client, 2)
    first.vendor.forward()
    first.wake()
    first.wait_ticks(1)
    turn_at = first.ask("/api/v1/status")[1]["at"] + SPACING_S["create"]
    until(lambda: first.ask("/api/v1/status")[1]["at"] > turn_at + TICK_S, "the next one's turn has come")
    assert first.calls == calls, "what waited for its turn was sent although another leads"
    assert several.leader(client) is second
    assert len(several.tokens()) == 2


@pytest.mark.parametrize("way", ["hang", "hold_answers", "cut"])
def test_a_leader_that_is_cut_from_redis_stops_acting_before_the_other_leads(
    several: Several, pair: tuple[Peer, Peer], client: Any, way: str
) -> None:
    first, second = pair
    assert first.redis is not None
    getattr(first.redis, way)()
    assert several.until_led(client, second) == 0
    assert first.metrics()[LEADS] == 0.0, "Prometheus is told of two leaders"
    until(lambda: second.metrics()[LEADS] == 1.0, "it says that it leads")
    calls, fence = first.calls, client.get(KEYS.fence)
    want_three(client)
    several.until_served(client, 3)
    first.redis.forward()
    until(lambda: first.ask("/readyz")[1].get("leads") is False, "it stands by")
    first.wait_ticks()
    assert (first.calls, client.get(KEYS.fence)) == (calls, fence)
    assert len(several.tokens()) == 3


def test_a_leader_that_is_cut_from_its_provider_leads_on_and_loses_no_machine(
    several: Several, pair: tuple[Peer, Peer], client: Any
) -> None:
    first, second = pair
    before = several.tokens()
    first.vendor.cut()
    want_three(client)
    first.wait_ticks(4)
    assert several.leader(client) is first
    assert set(before) <= {name.decode() for name in client.hkeys(KEYS.instances)}
    first.vendor.forward()
    several.until_served(client, 3)
    assert set(before) <= set(several.tokens())
    assert second.calls == 0


def test_clocks_that_differ_by_an_hour_neither_give_the_lead_away_nor_keep_it(several: Several, client: Any) -> None:
    first, second = several.start(), several.start(ahead_s=3600.0)
    several.until_served(client, 1)
    second.wait_ticks(4)
    assert several.leader(client) is first
    first.pause()
    assert several.until_led(client, second) == 0
    want_three(client)
    several.until_served(client, 3)
    calls = first.calls
    first.wake()
    first.wait_ticks()
    assert first.calls == calls
    second.kill()
    assert several.until_led(client, first) == 0
    first.wait_ticks()
    several.until_served(client, 3)


def test_a_leader_whose_ticks_fail_lets_another_try(several: Several, pair: tuple[Peer, Peer], client: Any) -> None:
    first, second = pair
    client.hset(KEYS.instances, "broken", b"{")
    assert first.redis is not None
    first.redis.cut()
    several.until_led(client, second)
    first.redis.forward()
    several.until_led(client, first)
    client.hdel(KEYS.instances, "broken")
    until(lambda: any(peer.ask("/readyz")[1].get("leads") for peer in pair), "one leads well again")
    several.until_served(client, 1)
