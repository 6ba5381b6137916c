"""Redis fails over, restarts or is a Cluster, under a fleet that is at work: no machine is rented twice or lost.

The lease may go with the old primary; whoever takes it then finds the machines by their records, and where a restart
has emptied Redis by their labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.redis.test_sentinel import Watched, watched
from tests.support.daemon_process import connect
from tests.support.real_time import until
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer
from tests.support.several_daemons import Peer, Several

__all__ = ["watched"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    directory = tmp_path / "cluster"
    directory.mkdir()
    cluster = RedisCluster(directory)
    cluster.start()
    yield cluster
    cluster.stop()


def says(peers: Sequence[Peer], status: int) -> bool:
    """Whether all daemons answer so when they are asked whether they are ready."""
    return all(peer.ask("/readyz")[0] == status for peer in peers)


@pytest.mark.parametrize("pools", [("images",), ("a", "b")], ids=["one lease", "spread"])
def test_a_failover_under_load_costs_no_machine_and_rents_none_twice(
    tmp_path: Path, watched: Watched, pools: tuple[str, ...]
) -> None:
    spread = len(pools) > 1
    leases = pools if spread else ("",)
    with Several(tmp_path, watched.url, pools, spread=spread) as several, connect(watched.replica.url) as survivor:
        survivor.set_retry(Retry(ConstantBackoff(0.1), 9))  # who is made primary hangs up on everybody
        first, second = several.start(), several.start()
        several.until_served(survivor, len(pools))
        with connect(watched.primary.url) as client:
            for pool in pools:
                client.rpush(f"jobs:{pool}", *range(200))
            client.wait(1, 1000)
        watched.primary.stop()
        several.until_served(survivor, 3 * len(pools))
        until(lambda: all(several.leader(survivor, lease) for lease in leases), "each lease is one of theirs")
        until(lambda: says((first, second), 200), "both tick well")
        assert len(several.tokens()) == 3 * len(pools)


@pytest.mark.parametrize("kept", [True, False], ids=["with persistence", "without"])
def test_a_restart_of_redis_under_load_costs_no_machine_and_rents_none_twice(tmp_path: Path, *, kept: bool) -> None:
    arguments = ("--appendonly", "yes", "--appendfsync", "always") if kept else ()
    directory = tmp_path / "redis"
    directory.mkdir()
    server = RedisServer(directory, *arguments)
    server.start()
    with Several(tmp_path, server.url) as several, connect(server.url) as client:
        peers = several.start(), several.start()
        client.rpush("jobs:images", *range(200))
        several.until_served(client, 3)
        machines = several.tokens()
        server.stop()
        until(lambda: says(peers, 503), "both tell that Redis is away")
        server.start()
        client.rpush("jobs:images", *range(200))
        several.until_served(client, 3)
        until(lambda: several.leader(client) in peers, "one of them leads")
        for peer in peers:
            peer.wait_ticks()
        assert sorted(several.tokens()) == sorted(machines)
    server.stop()


def test_a_fleet_that_is_spread_lies_in_one_slot_of_a_cluster(tmp_path: Path, cluster: RedisCluster) -> None:
    owner = cluster.owner("autoscaler:{attic}:lease")
    with Several(tmp_path, cluster.url, ("a", "b"), spread=True) as several, connect(owner.url) as client:
        first, second = several.start(), several.start()

        def led_by_both() -> bool:
            return {several.leader(client, pool) for pool in "ab"} == {first, second}

        until(led_by_both, "each leads one pool")
        several.until_served(client, 2)
        first.kill()
        for pool in "ab":
            several.until_led(client, second, pool=pool)
        second.wait_ticks()
        assert len(several.tokens()) == 2
