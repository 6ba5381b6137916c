"""A Redis Cluster.

redis-py has a client for it, which asks `COMMAND` where keys stand, resolves the policy of each command in a call of
its own, and sends what failed again as it sees fit. We send a handful of commands whose keys stand in known places, and
must know that none is run twice: so the nodes are asked here, by one pipeline each.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import chain

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, ResponseError

from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.link.address import Address, HostPort, host_port
from autoscaler.link.commands import Command, Reply, Servers
from autoscaler.link.in_turn import ask_in_turn, first_good
from autoscaler.link.server import Server, connect
from autoscaler.link.settings import RedisSettings

_KEY_AT = {"EVAL": 3, "EVALSHA": 3, "XINFO": 2, "XGROUP": 2}
"""Where the key of a command stands, if it is not the first argument."""
_MAX_REDIRECTIONS = 5
_SLOTS = 16384


class Cluster:
    """The nodes, asked at the same time. A node that cannot be reached spoils no other's answers."""

    def __init__(self, settings: RedisSettings, address: Address) -> None:
        self._settings = settings
        self._address = address
        self._servers: dict[HostPort, Server] = {}
        self._owners: list[tuple[int, int, HostPort]] = []
        """First slot, last slot and owner, in order; empty while they are not known."""

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """One pipeline to each node that owns a key; what was moved meanwhile is sent on to where it is.

        Raises:
            StoreUnavailable: no node says who owns what.
        """
        owners = self._owners or await self._learn()
        replies: list[Reply] = [None] * len(commands)
        asked = [(number, _owner(owners, _slot(command)), False) for number, command in enumerate(commands)]
        for _ in range(_MAX_REDIRECTIONS):
            await self._ask(commands, asked, replies)
            asked = [
                (number, self._target(host, replies[number]), isinstance(replies[number], AskError))
                for number, host, _ in asked
                if isinstance(replies[number], (MovedError, AskError))
            ]
            if not asked:
                break
            self._owners = []  # learned anew the next time
        for number, _, _ in asked:
            replies[number] = StoreUnavailable("the Cluster is being resharded: each of its nodes names another")
        return replies

    async def listen(self, channel: str) -> AsyncIterator[bytes]:
        """What is published on a channel from now on: each node hears what is published at any other.

        Raises:
            StoreUnavailable: it was refused, or broke off.
        """
        _, _, host = (self._owners or await self._learn())[0]
        async for message in self._server(host).listen(channel):
            yield message

    async def parts(self) -> Sequence[Servers]:
        """The nodes that own slots.

        Raises:
            StoreUnavailable: no node says who owns what.
        """
        owners = self._owners or await self._learn()
        return [self._server(host) for host in dict.fromkeys(host for _, _, host in owners)]

    async def _ask(
        self, commands: Sequence[Command], asked: Iterable[tuple[int, HostPort | None, bool]], replies: list[Reply]
    ) -> None:
        by_host: dict[HostPort, list[tuple[int, bool]]] = {}
        for number, host, asking in asked:
            if host is None:
                replies[number] = StoreUnavailable("no node of the Cluster owns this key's slot")
                self._owners = []
            else:
                by_host.setdefault(host, []).append((number, asking))
        await asyncio.gather(*(self._ask_node(host, numbers, commands, replies) for host, numbers in by_host.items()))

    async def _ask_node(
        self, host: HostPort, numbers: Sequence[tuple[int, bool]], commands: Sequence[Command], replies: list[Reply]
    ) -> None:
        sent = [[("ASKING",), commands[number]] if asking else [commands[number]] for number, asking in numbers]
        try:
            answers = iter(await self._server(host).exchange(list(chain.from_iterable(sent))))
        except StoreUnavailable as error:
            self._owners = []  # another may have taken over
            failed = type(error)(f"{error} (the node {host_port(*host)} of the Cluster)")
            for number, _ in numbers:
                replies[number] = failed
            return
        for (number, _), each in zip(numbers, sent, strict=True):
            *_, replies[number] = (next(answers) for _ in each)

    def _server(self, host: HostPort) -> Server:
        if host not in self._servers:
            self._servers[host] = connect(self._settings, self._address, host)
        return self._servers[host]

    @staticmethod
    def _target(asked: HostPort | None, redirection: AskError) -> HostPort:
        """Where a redirection points; one without a host means another port of the node that was asked."""
        host, port = redirection.node_addr
        return host or (asked[0] if asked else ""), port

    async def _learn(self) -> list[tuple[int, int, HostPort]]:
        """Who owns which slots, by a node that says so; it is asked first the next time."""
        answers = await ask_in_turn(list(dict.fromkeys([*self._servers, *self._address.hosts])), self._ask_owners)
        if (found := first_good(answers)) is None:
            if refusal := next((each for each in answers.values() if isinstance(each, StoreRefused)), None):
                raise refusal
            problems = "; ".join(f"{host_port(*host)}: {problem}" for host, problem in answers.items())
            raise StoreUnavailable(f"no node of the Cluster answers ({problems})")
        host, self._owners = found
        self._servers = {host: self._server(host), **self._servers}
        await self._forget()
        return self._owners

    async def _ask_owners(self, asked: HostPort) -> list[tuple[int, int, HostPort]] | StoreUnavailable:
        try:
            [reply] = await self._server(asked).exchange([("CLUSTER", "SLOTS")])
        except StoreUnavailable as error:
            return error
        if isinstance(reply, ResponseError):
            return StoreRefused(_explain(reply))
        return sorted((first, last, _host(node, asked)) for first, last, node, *_ in reply)

    async def _forget(self) -> None:
        """Let go of nodes that own nothing any more."""
        owners = {host for _, _, host in self._owners}
        for host in self._servers.keys() - owners:
            await self._servers.pop(host).close()

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers.values():
            await server.close()


def _slot(command: Command) -> int:
    """The slot of a command's key; of one without a key, any."""
    at = _KEY_AT.get(str(command[0]), 1)
    if at >= len(command):
        return 0
    key = command[at]
    return key_slot(key if isinstance(key, bytes) else str(key).encode(errors="replace"))


def _owner(owners: Sequence[tuple[int, int, HostPort]], slot: int) -> HostPort | None:
    at = bisect_right(owners, slot, key=lambda each: each[0]) - 1
    return owners[at][2] if at >= 0 and slot <= owners[at][1] else None


def _host(node: Sequence[Reply], asked: HostPort) -> HostPort:
    """A node's address; without a host it is another port of the node that was asked."""
    host, port = node[0], node[1]
    return (host.decode() if host else asked[0]), int(port)


def _explain(refusal: ResponseError) -> str:
    if "cluster support disabled" in str(refusal):
        return "this Redis is no Cluster; leave out `cluster: true`, and write redis:// or rediss://"
    return f"Redis does not say who owns which slots ({refusal}); allow its user +cluster|slots"
