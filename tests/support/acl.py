"""Redis users who have the rights that a library says it needs, and nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from autoscaler.link import Command, RedisLink
from autoscaler.queues.library import Rights
from tests.support.queues import as_admin

_NAME = "least"
_CONNECTION = frozenset({"PING", "SELECT"})
_ALWAYS = frozenset({"AUTH", "HELLO", "QUIT", "RESET"})
"""What Redis refuses to nobody."""
_UNIMPORTANT = "client|setinfo"
"""Clients tell their name and do not mind a refusal."""


class LeastUser:
    """A user of exactly these rights, and what Redis says of him."""

    def __init__(self, admin: RedisLink, rights: Rights, url: str) -> None:
        self._admin = admin
        self._rights = rights
        self.url = url
        """How he connects."""

    async def refused(self) -> list[tuple[str, str]]:
        """What he asked and was not given: why, and the command, key or channel."""
        log = await self._ask("ACL", "LOG")
        entries = [dict(zip(each[::2], each[1::2], strict=True)) for each in log]
        found = [(each[b"reason"].decode(), each[b"object"].decode()) for each in entries]
        return [(reason, what) for reason, what in found if what != _UNIMPORTANT]

    async def excess(self) -> set[tuple[str, str]]:
        """What he may do beyond his rights, as command and key: another command on his keys, or any on another key."""
        ours, foreign = [_example(pattern) for pattern in self._rights.keys], "somebody-else's"
        may = {
            (name, key)
            for command in await self._ask("COMMAND")
            for name, arity in _with_subcommands(command)
            for key in (*ours, foreign)
            if await self._may(name, arity, key)
        }
        granted = {(name, key) for name in self._rights.commands for key in ours}
        keyless = {(name, key) for name in _CONNECTION | _ALWAYS for key in (*ours, foreign)}
        return {(name.partition("|")[0], key) for name, key in may} - granted - keyless

    async def _may(self, name: str, arity: int, key: str) -> bool:
        words = name.split("|")
        reply = await self._ask("ACL", "DRYRUN", _NAME, *words, *[key] * max(0, abs(arity) - len(words)))
        return bool(reply == b"OK")

    async def _ask(self, *command: str) -> Any:
        [reply] = await self._admin.execute([command])
        return reply


@asynccontextmanager
async def least_user(url: str, rights: Rights) -> AsyncIterator[LeastUser]:
    """A user of exactly these rights in a Redis of version 7 or later, as long as the test needs him."""
    await as_admin(url, ("ACL", "SETUSER", _NAME, "reset", "on", ">pw", *rules(rights)), ("ACL", "LOG", "RESET"))
    admin = RedisLink(url)
    try:
        yield LeastUser(admin, rights, url.replace("redis://", f"redis://{_NAME}:pw@"))
    finally:
        await admin.close()
        await as_admin(url, ("ACL", "DELUSER", _NAME))


def rules(rights: Rights) -> Command:
    """The rights as ACL SETUSER takes them, with what a connection needs."""
    patterns = [*(f"%R~{key}" for key in rights.keys), *(f"&{channel}" for channel in rights.channels)]
    return (*patterns, "-@all", *(f"+{name.lower()}" for name in sorted(_commands(rights) | _CONNECTION)))


def _commands(rights: Rights) -> frozenset[str]:
    return rights.commands | ({"SUBSCRIBE"} if rights.channels else set())


def _example(pattern: str) -> str:
    """A key that a pattern matches."""
    return re.sub(r"\\(.)|[*?]", lambda found: found[1] or "x", pattern)


def _with_subcommands(command: list[Any]) -> list[tuple[str, int]]:
    """The name and arity of a command in the reply of COMMAND, or of each of its subcommands but HELP."""
    named = [(each[0].decode().upper(), each[1]) for each in command[9] or [command]]
    return [(name, arity) for name, arity in named if not name.endswith("|HELP")]
