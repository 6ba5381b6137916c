"""A Redis Cluster: keys on many nodes, one pipeline to each, slots that move meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ResponseError,
    TryAgainError,
)

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.discover import look
from autoscaler.link import Command, RedisSettings
from autoscaler.link.refusals import classed
from autoscaler.queues import make_reader
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from tests.support.fleet_store import keeps_a_fleet
from tests.support.library import until as soon
from tests.support.queues import NOW, as_admin, linked
from tests.support.real_time import until
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer
from tests.support.serving import serving

POOLS = 100


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    """One that a test may break."""
    cluster = RedisCluster(tmp_path)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def a_list(key: str) -> ListQueue:
    return ListQueue(kind="list", tiers=(ListTier(name="t", key=key),))


@pytest.mark.parametrize("protocol", [2, 3])
async def test_each_command_is_answered_by_the_node_that_owns_its_key(cluster: RedisCluster, protocol: int) -> None:
    async with linked(f"{cluster.url}?protocol={protocol}") as link:
        commands: list[Command] = [("SET", f"k{number}", number) for number in range(50)]
        assert await link.execute(commands) == [b"OK"] * 50
        reads: list[Command] = [("GET", f"k{number}") for number in range(50)]
        assert await link.execute([*reads, ("PING",)]) == [*(b"%d" % number for number in range(50)), b"PONG"]
        [refused, fine] = await link.execute([("LLEN", "k1"), ("LLEN", "k2x")])
        assert isinstance(refused, ResponseError)
        assert fine == 0


async def test_any_node_will_do_to_find_the_others(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        async with linked(RedisSettings(url=node.url, cluster=True)) as link:
            assert await link.execute([("SET", "a", 1), ("SET", "b", 1), ("SET", "c", 1)]) == [b"OK"] * 3
    async with linked(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster.nodes[2].port}") as link:
        assert await link.execute([("GET", "a")]) == [b"1"]


async def test_a_tick_of_a_hundred_queues_costs_each_node_one_round_trip_or_two_where_heads_moved(
    cluster: RedisCluster,
) -> None:
    async with linked(cluster.url) as link:
        source = QueueDemand({f"p{n}": (link, make_reader(a_list(f"q{n}"))) for n in range(POOLS)})
        pushes: list[Command] = [("RPUSH", f"q{n}", "job") for n in range(POOLS)]
        await link.execute(pushes)
        await source.read(NOW)
        for most in (1, 2, 1):
            if most == 2:
                await link.execute([("LPOP", f"q{n}") for n in range(POOLS)])
                await link.execute(pushes)
            first, second = cluster.reads(), cluster.reads()  # asking for the number costs some reads itself
            readings = await source.read(NOW)
            taken = {port: reads - 2 * second[port] + first[port] for port, reads in cluster.reads().items()}
            assert all(isinstance(reading, Demand) and reading.waiting for reading in readings.values())
            assert all(1 <= reads <= most for reads in taken.values()), taken


async def test_the_store_keeps_a_fleet_in_one_slot(cluster: RedisCluster) -> None:
    async with linked(cluster.url) as link:
        await keeps_a_fleet(link)


async def test_a_slot_that_is_being_moved_is_read_where_its_keys_are(cluster: RedisCluster) -> None:
    source, target = cluster.nodes[0], cluster.nodes[1]
    here = cluster.key_of(source, "jobs")
    absent = f"{{{here}}}:absent"
    slot = key_slot(here.encode())
    commands: list[Command] = [("LLEN", here), ("LLEN", absent)]
    async with linked(cluster.url) as link:
        assert await link.execute([("RPUSH", here, "a", "b"), *commands]) == [2, 2, 0]
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(source))
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(target))
        try:
            assert await link.execute(commands) == [2, 0]
            assert await link.execute([("RPUSH", absent, "x")]) == [1]
            source.do("MIGRATE", "127.0.0.1", target.port, here, 0, 1000)
            assert await link.execute(commands) == [2, 1]
        finally:
            cluster.hand_over(slot, source, target)
        assert await link.execute(commands) == [2, 1]
        assert await link.execute([("INCR", f"{{{here}}}:n")]) == [1]
    target.do("FLUSHALL")
    cluster.move(slot, target, source)


async def test_a_node_that_is_away_makes_its_own_queues_unknown_and_no_others_until_its_replica_takes_over(
    own_cluster: RedisCluster, tmp_path: Path
) -> None:
    lost, kept = own_cluster.nodes[2], own_cluster.nodes[0]
    replica = own_cluster.start_replica(lost, tmp_path / "replica")
    keys = {"lost": own_cluster.key_of(lost, "jobs"), "kept": own_cluster.key_of(kept, "jobs")}
    async with linked(own_cluster.url) as link:
        source = QueueDemand({name: (link, make_reader(a_list(key))) for name, key in keys.items()})
        await link.execute([("RPUSH", key, "a", "b") for key in keys.values()])
        until(lambda: replica.do("DBSIZE") == 1, "the replica has the queue")
        lost.stop()
        reasons: list[str] = []

        async def recovered() -> bool:
            readings = await source.read(NOW)
            kept, lost = readings["kept"], readings["lost"]
            assert isinstance(kept, Demand)
            if isinstance(lost, Unknown):
                reasons.append(lost.reason)
                return False
            assert (kept.waiting, lost.waiting) == (2, 2)
            return True

        await soon(recovered)
        assert f"(the node 127.0.0.1:{lost.port} of the Cluster)" in reasons[0]


@pytest.mark.parametrize(
    ("said", "kind"),
    [("MOVED 42 10.0.0.1:7000", MovedError), ("ASK 42 10.0.0.1:7000", AskError), ("TRYAGAIN busy", TryAgainError),
     ("CLUSTERDOWN down", ClusterDownError), ("MASTERDOWN gone", MasterDownError), ("WRONGTYPE no", ResponseError)],
)  # fmt: skip
def test_refusals_of_a_cluster_are_told_apart_whichever_redis_py_reads_them(
    said: str, kind: type[ResponseError]
) -> None:
    assert type(classed(ResponseError(said))) is kind


async def test_a_node_without_a_name_is_another_port_of_the_one_that_was_asked_and_a_slot_may_have_no_owner() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        first, last = key_slot(b"moved"), key_slot(b"here")
        owners = "".join(f"*3\r\n:{slot}\r\n:{slot}\r\n*2\r\n$0\r\n\r\n:{port}\r\n" for slot in (first, last))
        moved = 0
        while said := await reader.read(65536):
            for name in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)", said):
                asked.append(name)
                if name == b"CLUSTER":
                    writer.write(f"*2\r\n{owners}".encode())
                elif name == b"XINFO" and (moved := moved + 1) == 1:
                    writer.write(f"-MOVED {first} :{port}\r\n".encode())
                else:
                    writer.write(b"+OK\r\n")

    async with serving(serve) as port, linked(f"redis+cluster://127.0.0.1:{port}") as link:
        assert await link.execute([("XINFO", "GROUPS", "moved"), ("GET", "here")]) == [b"OK", b"OK"]
        with pytest.raises(StoreUnavailable, match="no node of the Cluster owns this key's slot"):
            await link.execute([("GET", "elsewhere")])
        assert await link.execute([("GET", "here")]) == [b"OK"]
    assert [asked.count(name) for name in (b"XINFO", b"GET", b"CLUSTER")] == [2, 2, 3]


async def test_a_cluster_asked_as_one_server_says_what_to_write(cluster: RedisCluster) -> None:
    async with linked(cluster.nodes[0].url) as link:
        with pytest.raises(StoreRefused, match="`cluster: true`"):
            await link.execute([("GET", f"k{number}") for number in range(9)])


async def test_one_server_asked_as_a_cluster_says_what_to_write(redis_server: RedisServer) -> None:
    async with linked(RedisSettings(url=redis_server.url, cluster=True)) as link:
        with pytest.raises(StoreRefused, match="leave out `cluster: true`"):
            await link.execute([("GET", "k")])


async def test_a_cluster_that_is_away_names_each_node_that_was_tried() -> None:
    async with linked("redis+cluster://127.0.0.1:1,127.0.0.1:2") as link:
        with pytest.raises(StoreUnavailable, match=r"no node of the Cluster answers \(127.0.0.1:1: .*127.0.0.1:2: "):
            await link.execute([("GET", "k")])


async def test_a_user_of_a_cluster_needs_to_ask_who_owns_what_and_no_more(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        await as_admin(node.url, ("ACL", "SETUSER", "reader", "reset", "on", ">pw", "~*", "+get", "+cluster|slots"))
    async with linked(RedisSettings(url=cluster.url, username="reader", password=None)) as link:
        with pytest.raises(StoreRefused, match="user name or password"):
            await link.execute([("GET", "k")])
    async with linked(cluster.url.replace("//", "//reader:pw@")) as link:
        assert await link.execute([("GET", "k"), ("GET", "b")]) == [None, None]
        for node in cluster.nodes:
            await as_admin(node.url, ("ACL", "SETUSER", "reader", "-cluster|slots"))
    async with linked(cluster.url.replace("//", "//reader:pw@")) as link:
        with pytest.raises(StoreRefused, match=r"allow its user \+cluster\|slots"):
            await link.execute([("GET", "k")])
    await asyncio.gather(*(as_admin(node.url, ("ACL", "DELUSER", "reader")) for node in cluster.nodes))


async def test_a_look_at_the_keys_sees_those_of_all_nodes(cluster: RedisCluster) -> None:
    async with linked(cluster.url) as link:
        await link.execute([("RPUSH", f"jobs{number}:{{{number}}}", "x") for number in range(50)])
        looked = await look(link, lambda _seen, _of: None)
        assert (looked.seen, looked.complete, set(looked.keyspace.types.values())) == (50, True, {"list"})


async def test_a_look_that_is_bounded_looks_at_all_nodes_alike(cluster: RedisCluster) -> None:
    async with linked(cluster.url) as link:
        await link.execute([("SET", f"key{number}", "") for number in range(6000)])
        told: list[int] = []
        partly = await look(link, lambda seen, _of: told.append(seen), most=2400)
        assert (len(told), told[-1], partly.complete) == (len(cluster.nodes), partly.seen, False)
