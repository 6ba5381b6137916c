"""A full disk, wherever it is: no crash, no call of a provider, one clear line, and on it goes with room.

The log may have no room, the market's state may not be written, Redis may refuse writes because it is out of memory or
because it could not save to its own disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.core.lifecycle import Phase
from tests.support.daemon_process import connect
from tests.support.fleet_life import LIFE, World, a_fleet, live
from tests.support.mortal_daemon import MortalDaemon, is_accounted_for, tokens, unknown
from tests.support.real_time import until
from tests.support.redis_server import RedisServer

SPEED = 40.0
FLOOR, RUSHED = LIFE[:2]
Words = tuple[str, ...]


@pytest.fixture
def own_redis(tmp_path: Path, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that a test may fill, and that can save nothing: its dump's name is taken."""
    server = RedisServer(tmp_path)
    server.start()
    (tmp_path / "dump.rdb" / "taken").mkdir(parents=True)
    yield server
    server.stop()


@pytest.fixture
def daemon(tmp_path: Path, own_redis: RedisServer) -> Iterator[MortalDaemon]:
    """A daemon, not started."""
    mortal = MortalDaemon(tmp_path, a_fleet(tmp_path, own_redis.url), SPEED)
    yield mortal
    mortal.kill()


FULL: dict[str, tuple[list[Words], list[Words], str]] = {
    "out of memory": (
        [("CONFIG", "SET", "maxmemory-policy", "noeviction"), ("CONFIG", "SET", "maxmemory", "1")],
        [("CONFIG", "SET", "maxmemory", "0")],
        "Redis is out of memory",
    ),
    "its saves fail": (
        [("CONFIG", "SET", "save", "1 1")],
        [("CONFIG", "SET", "save", "")],
        "Redis cannot save to its disk",
    ),
}
"""What fills a Redis, what gives it room again, and what the daemon is to say."""


@pytest.mark.parametrize("cause", FULL)
def test_a_redis_that_refuses_writes_gets_no_calls_made_and_is_said_in_one_line(
    cause: str, daemon: MortalDaemon, own_redis: RedisServer
) -> None:
    fill, empty, words = FULL[cause]
    daemon.start()
    with connect(own_redis.url) as client:
        live(daemon, client, FLOOR)
        machines = tokens(daemon)
        World(client).play(RUSHED, daemon)
        filled_at = daemon.now()
        for command in fill:
            own_redis.do(*command)
        until(lambda: daemon.events("tick_failed"), "it said so")
        over_at = daemon.now() + 100.0
        until(lambda: daemon.now() > over_at, "ten ticks had passed")
        told = [line["text"] for line in daemon.events("tick_failed") if words in line["text"]]
        assert 1 <= len(told) <= 1 + (daemon.now() - filled_at) / 60.0, "once, and once more after a minute of its time"
        rented = daemon.market().rented
        assert unknown(daemon, client) == set()
        assert daemon.ask("/healthz")[0] == 200
        assert tokens(daemon).items() >= machines.items()

        for command in empty:
            own_redis.do(*command)
        live(daemon, client, RUSHED)
        until(lambda: is_accounted_for(daemon, client), "machines and records were one to one")
        assert daemon.market().rented == RUSHED.rented >= rented
        assert daemon.terminate() == 0


def test_a_log_without_room_ends_nothing(daemon: MortalDaemon, own_redis: RedisServer) -> None:
    daemon.log = Path("/dev/full")
    daemon.start()
    with connect(own_redis.url) as client:
        live(daemon, client, FLOOR, RUSHED)
        assert is_accounted_for(daemon, client)
    assert daemon.terminate() == 0


def test_a_state_of_the_market_that_cannot_be_written_is_an_answer_that_is_not_clear(
    daemon: MortalDaemon, own_redis: RedisServer, tmp_path: Path
) -> None:
    daemon.start()
    with connect(own_redis.url) as client:
        live(daemon, client, FLOOR)
        blocked = tmp_path / "market.json.new"
        blocked.mkdir()
        World(client).play(RUSHED, daemon)
        until(lambda: "the state file cannot be written" in daemon.log.read_text(), "it said so")
        blocked.rmdir()
        live(daemon, client, RUSHED)
        assert Phase.LOST not in daemon.phases(client)
        assert "internal error" not in daemon.log.read_text()
    assert daemon.terminate() == 0
