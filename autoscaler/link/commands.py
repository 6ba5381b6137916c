"""What goes to Redis and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

Command = tuple[str | bytes | int | float, ...]
"""One Redis command and its arguments, e.g. ``("LLEN", "jobs:pro")``."""
Reply = Any
"""A reply as RESP2 gives it; a command that Redis refused gives its ``ResponseError`` as a value."""


class Servers(Protocol):
    """Where commands go: one server, the primary that Sentinel names, or the nodes of a Cluster."""

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands, each once, and give their replies in order.

        Where the commands go to several servers, those for one that cannot be reached have a `StoreUnavailable` as
        their reply.

        Raises:
            StoreUnavailable: none of them was answered.
        """
        ...

    def listen(self, channel: str) -> AsyncIterator[bytes]:
        """What is published on a channel from now on, over a connection of its own.

        Raises:
            StoreUnavailable: it was refused, or broke off.
        """
        ...

    async def parts(self) -> Sequence[Servers]:
        """The servers that hold all keys between them, each for itself.

        Raises:
            StoreUnavailable: nobody says which those are.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


def as_resp2(command: Command, reply: Reply) -> Reply:
    """A reply in the shape that RESP2 gives, whichever protocol it came by.

    RESP3 has maps where RESP2 has flat lists of keys and values, numbers where it has text, and pairs where it has
    members and scores in turn.
    """
    plain = _plain(reply)
    if isinstance(plain, list) and any(word in ("WITHSCORES", b"WITHSCORES") for word in command):
        return [word for item in plain for word in (item if isinstance(item, list) else [item])]
    return plain


def _plain(reply: Reply) -> Reply:
    match reply:
        case dict():
            return [_plain(word) for pair in reply.items() for word in pair]
        case list() | set() | frozenset() | tuple():
            return [_plain(item) for item in reply]
        case bool():
            return int(reply)
        case float():
            return b"%.17g" % reply
        case str():
            return reply.encode()
        case _:
            return reply
