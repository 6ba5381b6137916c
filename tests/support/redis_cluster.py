"""A real Redis Cluster of three nodes under a test's control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.crc import key_slot

from tests.support.real_time import until
from tests.support.redis_server import RedisServer, free_port

SLOTS = 16384
_NODES = 3


class RedisCluster:
    """Three nodes on loopback, each with a third of the slots.

    With `tls` they speak it to each other, and to clients on ports of their own.
    """

    def __init__(self, directory: Path, *arguments: str, program: str = "redis-server", tls: bool = False) -> None:
        self.tls_ports = [free_port() for _ in range(_NODES)] if tls else []
        self._program = program
        self._replicas: list[RedisServer] = []
        self.nodes: list[RedisServer] = []
        for number in range(_NODES):
            secured = ("--tls-cluster", "yes", "--tls-port", str(self.tls_ports[number])) if tls else ()
            self.nodes.append(self._node(directory / str(number), *arguments, *secured, program=program))
        self.url = f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    @staticmethod
    def _node(directory: Path, *arguments: str, program: str) -> RedisServer:
        directory.mkdir()
        own = ("--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--cluster-require-full-coverage", "no")
        return RedisServer(directory, *own, *arguments, program=program)

    def start(self) -> None:
        """Start all and wait until each knows who owns what."""
        for number, node in enumerate(self.nodes):
            node.start()
            node.do("CLUSTER", "ADDSLOTS", *range(number * SLOTS // _NODES, (number + 1) * SLOTS // _NODES))
        for node in self.nodes[1:]:
            node.do("CLUSTER", "MEET", "127.0.0.1", self.tls_ports[0] if self.tls_ports else self.nodes[0].port)
        until(self._complete, "all nodes know all owners")

    def _complete(self) -> bool:
        said = [str(node.do("CLUSTER", "INFO")) for node in self.nodes]
        return all(f"cluster_slots_ok:{SLOTS}" in each and "cluster_state:ok" in each for each in said)

    def start_replica(self, of: RedisServer, directory: Path) -> RedisServer:
        """One node more, which follows another and takes over from it."""
        replica = self._node(directory, program=self._program)
        self._replicas.append(replica)
        replica.start()
        replica.do("CLUSTER", "MEET", "127.0.0.1", of.port)
        until(lambda: self.id_of(of) in str(replica.do("CLUSTER", "NODES")), "the replica knows its primary")
        replica.do("CLUSTER", "REPLICATE", self.id_of(of))
        until(lambda: "'master_link_status': 'up'" in str(replica.do("INFO", "replication")), "the replica has it all")
        known = [self.id_of(of), self.id_of(replica)]
        until(
            lambda: all(known[1] in str(node.do("CLUSTER", "REPLICAS", known[0])) for node in self.nodes),
            "all nodes, who would vote for it, know whose replica it is",
        )
        return replica

    def stop(self) -> None:
        """End all."""
        for node in (*self.nodes, *self._replicas):
            node.stop()

    def owner(self, key: str) -> RedisServer:
        """The node that owns a key, as they were made."""
        return self.nodes[key_slot(key.encode()) * _NODES // SLOTS]

    def key_of(self, node: RedisServer, prefix: str) -> str:
        """A key that a node owns."""
        return next(key for number in range(1000) if self.owner(key := f"{prefix}{number}") is node)

    def id_of(self, node: RedisServer) -> str:
        """What the Cluster calls a node."""
        return str(node.do("CLUSTER", "MYID"))

    def move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Hand over a slot that is empty, and wait until every node knows."""
        target.do("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.do("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        self.hand_over(slot, source, target)

    def hand_over(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """End a move that has begun. Its new owner, told first, gives it an epoch that outdoes older news."""
        owner = self.id_of(target)
        for node in (target, source):
            node.do("CLUSTER", "SETSLOT", slot, "NODE", owner)
        until(lambda: all(_owner(node, slot) == owner for node in self.nodes), "all nodes know the new owner")

    def flush(self) -> None:
        """Empty it."""
        for node in self.nodes:
            node.do("FLUSHALL")

    def reads(self) -> dict[int, int]:
        """How often each node has read from its sockets: at least once a round trip."""
        return {node.port: _reads(node.do("INFO", "stats")) for node in self.nodes}


def _owner(node: RedisServer, slot: int) -> str:
    ranges: Any = node.do("CLUSTER", "SLOTS")
    return next(str(primary[2]) for first, last, primary, *_ in ranges if first <= slot <= last)


def _reads(stats: Any) -> int:
    return int(stats["total_reads_processed"])
