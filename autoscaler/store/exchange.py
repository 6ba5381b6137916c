"""Ask the Redis of a fleet; what it refuses is told with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from redis.exceptions import NoPermissionError, NoScriptError, OutOfMemoryError, ReadOnlyError, RedisError

from autoscaler.core.errors import StoreUnavailable
from autoscaler.link import Command, RedisLink, Reply
from autoscaler.store.keys import Keys
from autoscaler.store.scripts import Script


class Exchange:
    """Commands and scripts for one fleet's Redis. Every method raises `StoreUnavailable` where one is refused."""

    def __init__(self, link: RedisLink, fleet: str) -> None:
        self._link = link
        self._prefix = Keys(fleet).prefix

    async def ask(self, *commands: Command) -> list[Reply]:
        """The replies, in order."""
        replies = await self._link.execute(commands)
        self._check(replies, map(_key, commands))
        return replies

    async def call(
        self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int | float], *others: Command
    ) -> list[Reply]:
        """The replies of a script and of what is asked along with it, which may be asked twice."""
        replies = await self._link.execute([script.by_digest(keys, arguments), *others])
        if isinstance(replies[0], NoScriptError):
            replies = await self._link.execute([script.in_full(keys, arguments), *others])
        self._check(replies, [f"one of {self._prefix}*", *map(_key, others)])
        return replies

    def _check(self, replies: Sequence[Reply], asked: Iterable[str]) -> None:
        for reply, key in zip(replies, asked, strict=True):
            if isinstance(reply, RedisError):
                raise StoreUnavailable(self._explained(reply, key)) from reply

    def _explained(self, refusal: RedisError, key: str) -> str:
        """A refusal in one line that says what to do."""
        said = str(refusal)
        if isinstance(refusal, NoPermissionError) or "NOPERM" in said:
            rights = f"~{self._prefix}* +@read +@write +@scripting +time +client|setname"
            return f"Redis denies its user the fleet's keys ({said}); allow it: ACL SETUSER … {rights}"
        if isinstance(refusal, ReadOnlyError) or "READONLY" in said:
            return "Redis is a read-only replica here; give the address of the primary"
        if isinstance(refusal, OutOfMemoryError) or "OOM" in said:
            return "Redis is out of memory and takes no writes; free some, or raise its maxmemory"
        if "MISCONF" in said:
            return "Redis cannot save to its disk and takes no writes; its log says why, as a rule the disk is full"
        if "WRONGTYPE" in said or "not an integer" in said:
            return another_wrote(key)
        return f"Redis refused: {said}"


def another_wrote(key: str) -> str:
    """What to do about a key of ours that holds something else."""
    return f"{key} holds what another program wrote there; look at it (TYPE), and delete it (DEL)"


def _key(command: Command) -> str:
    """The key that a command is about, if it is about one."""
    return str(command[1]) if len(command) > 1 else ""
