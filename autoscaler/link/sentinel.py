"""A Redis that Sentinel watches: the primary may be another server from one moment to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.link.address import Address, HostPort, host_port
from autoscaler.link.commands import Command, Reply, Servers
from autoscaler.link.in_turn import ask_in_turn, first_good
from autoscaler.link.server import Server, connect, connect_sentinel
from autoscaler.link.settings import RedisSettings


class Watched:
    """The primary, whichever server that is.

    A Sentinel is asked before each pipeline, and not only when a connection breaks: an old primary that Sentinel has
    replaced may still answer, with a queue that nobody fills any more.
    """

    def __init__(self, settings: RedisSettings, address: Address) -> None:
        self._settings = settings
        self._address = address
        self._name = address.master or ""
        self._sentinels = {host: connect_sentinel(settings, address, host) for host in address.hosts}
        """The one that answered last comes first."""
        self._primary: tuple[HostPort, Server] | None = None

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Ask a Sentinel, then the primary.

        Raises:
            StoreUnavailable: either did not answer.
        """
        host, server = await self._find()
        try:
            return await server.exchange(commands)
        except StoreUnavailable as error:
            where = f"{host_port(*host)}, the primary that Sentinel names for {self._name}"
            raise type(error)(f"{error} ({where})") from error

    async def listen(self, channel: str) -> AsyncIterator[bytes]:
        """What is published on a channel from now on; it breaks off when Sentinel has named another primary.

        Raises:
            StoreUnavailable: it was refused, or broke off.
        """
        _, server = await self._find()
        async for message in server.listen(channel):
            yield message

    async def parts(self) -> Sequence[Servers]:
        """The primary.

        Raises:
            StoreUnavailable: no Sentinel names one.
        """
        _, server = await self._find()
        return [server]

    async def _find(self) -> tuple[HostPort, Server]:
        host = await self._named()
        if self._primary is None or self._primary[0] != host:
            old, self._primary = self._primary, (host, connect(self._settings, self._address, host))
            if old is not None:
                await old[1].close()
        return self._primary

    async def _named(self) -> HostPort:
        """What a Sentinel says; it is asked first the next time."""
        answers = await ask_in_turn(list(self._sentinels), self._ask)
        if (found := first_good(answers)) is None:
            refused = any(isinstance(problem, StoreRefused) for problem in answers.values())
            problems = "; ".join(f"{host_port(*host)}: {problem}" for host, problem in answers.items())
            kind = StoreRefused if refused else StoreUnavailable
            raise kind(f"no Sentinel names a primary for {self._name} ({problems})")
        sentinel, primary = found
        self._sentinels = {sentinel: self._sentinels[sentinel], **self._sentinels}
        return primary

    async def _ask(self, host: HostPort) -> HostPort | StoreUnavailable:
        try:
            [reply] = await self._sentinels[host].exchange([("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)])
        except StoreUnavailable as error:
            return error
        if isinstance(reply, list) and len(reply) == 2:
            return reply[0].decode(), int(reply[1])
        return StoreRefused("knows none of that name") if reply is None else StoreUnavailable(str(reply))

    async def close(self) -> None:
        """Close all connections."""
        for sentinel in self._sentinels.values():
            await sentinel.close()
        if self._primary is not None:
            await self._primary[1].close()
