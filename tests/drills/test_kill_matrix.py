"""Crash anywhere: `kill -9` at any await around a provider call leaves no machine unknown, and the next daemon goes on.

A fleet lives through a life in which every command is given, and its daemon is killed in each step of it; from life to
life at another point, until it was killed at all that it awaits: before and after each call of the provider, each read,
and each commit that stores an intent, an answer or what was seen. After each kill

* every machine of ours has a record that names it by its token: none is unknown for any time at all;
* the next daemon finishes, adopts or releases what was begun, and the life goes on to what it was to come to;
* machines and records are one to one, nothing was rented twice, the machines of others are as they were;
* the books hold at least what the market billed, the time included in which nobody ran.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.lifecycle import Phase
from tests.support.fleet_life import FOREIGN, LIFE, SPEED, TICK_S, World, a_fleet, live
from tests.support.mortal_daemon import KEYS, MortalDaemon, booked, is_accounted_for, tokens, unknown
from tests.support.real_time import until

AWAITS = (
    ("load", "balance_usd", "billed_usd", "stored planned"),
    ("rent", "stored planned → renting", "stored renting → booting", "stored booting → hot"),
    ("stored hot → draining", "list_machines", "read"),
    ("stored draining → hot", "list_offers"),
    ("stored draining → stopping", "stop", "stored stopping, answered", "stored stopping → warm"),
    ("stored warm → resuming", "resume", "stored resuming, answered", "stored resuming → booting"),
    ("stored warm → releasing", "release", "stored releasing, answered", "stored releasing → gone"),
    ("stored hot, with a higher bid", "set_bid", "stored hot, answered"),
)
"""What the daemon is killed at in each step of a life."""
POINTS = tuple([f"{name}: {side}" for name in names for side in ("before", "after")] for names in AWAITS)
LIVES = max(map(len, POINTS))
DEAREST_USD_PER_HOUR = 0.45
LEASE = "10m"
"""Five seconds of the drill, so that a busy machine lets none run out; that of a dead process is freed at once."""


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[MortalDaemon]:
    """A daemon, not started, of a fleet in an empty market."""
    mortal = MortalDaemon(tmp_path, a_fleet(tmp_path, redis_url) | {"lease": LEASE}, SPEED)
    yield mortal
    mortal.kill()


def unbooked_usd(daemon: MortalDaemon, client: Any) -> float:
    """How much more the market billed for our machines than the books hold; negative where they hold more."""
    usd, until_at = booked(client)
    bill = daemon.market().billed_usd(until_at)
    return sum(each for provider_id, each in bill.items() if not provider_id.startswith("foreign")) - usd


def test_the_matrix_has_every_await_of_a_life_that_nobody_ends(daemon: MortalDaemon, client: Any) -> None:
    daemon.start()
    live(daemon, client, *LIFE)
    assert daemon.terminate() == 0
    assert daemon.passed() == set(chain.from_iterable(POINTS))
    assert tokens(daemon)
    assert unbooked_usd(daemon, client) <= 0.0


@pytest.mark.parametrize("life", range(LIVES))
def test_kill_9_leaves_no_machine_unknown_and_the_next_daemon_goes_on(
    life: int, daemon: MortalDaemon, client: Any
) -> None:
    daemon.die_at(POINTS[0][life])
    daemon.start()
    for step, points in zip(LIFE, POINTS, strict=True):
        point = points[life] if life < len(points) else ""
        daemon.die_at(point)
        live(daemon, client, step)
        if point:
            until(lambda: daemon.is_dead, f"it died at {point}")
            assert unknown(daemon, client) == set(), point
            daemon.start_again()
            live(daemon, client, step)
        until(lambda: is_accounted_for(daemon, client), f"machines and records were one to one after {point}")
        assert daemon.market().rented == step.rented, f"something was rented twice after {point}"
    assert [each.label for each in daemon.market().machines.values() if each.id.startswith("foreign")] == [FOREIGN]
    assert "internal error" not in daemon.log.read_text()
    assert daemon.terminate() == 0
    assert unbooked_usd(daemon, client) <= DEAREST_USD_PER_HOUR * TICK_S / 3600.0


def test_a_machine_that_drains_is_still_waited_for_after_kill_9(daemon: MortalDaemon, client: Any) -> None:
    *before, drains, _, stopped = LIFE[:5]
    daemon.start()
    live(daemon, client, *before, drains)
    daemon.kill()
    daemon.start_again()
    over_at, world = daemon.now() + 300.0, World(client)
    until(lambda: world.play(drains, daemon) and daemon.now() > over_at, "five minutes went by, and it drained")
    [draining] = [record.id for record in daemon.records(client) if record.phase is Phase.DRAINING]
    assert client.exists(KEYS.drain(draining)), "its worker must pull no other"
    live(daemon, client, stopped)
    assert is_accounted_for(daemon, client)
