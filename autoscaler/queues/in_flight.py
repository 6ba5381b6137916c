"""Jobs in flight that workers keep under keys of their own, such as the list that LMOVE moves them to."""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.core.demand import Unknown
from autoscaler.link import Command
from autoscaler.queues.base import Answers, Caution, InFlight, count, exists

_SIZE_OF = {b"list": "LLEN", b"set": "SCARD", b"zset": "ZCARD", b"hash": "HLEN"}


class InFlightKeys:
    """Counts the elements of lists, sets, sorted sets or hashes; which of them a key is, its TYPE tells.

    Without keys the number is None: hidden. A key that cannot be counted makes it None too, with a caution.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._sizes: dict[str, str] = {}
        """The command that counts each key, as its TYPE last asked for."""

    def first(self, _now: float) -> list[Command]:
        """TYPE of each key, and its size where the type is known from before."""
        types: list[Command] = [("TYPE", key) for key in self._keys]
        return [*types, *((size, key) for key, size in self._sizes.items())]

    def second(self, answers: Answers, _now: float) -> list[Command]:
        """The size of keys whose type is new."""
        sizes = [(size, key) for key in self._keys if (size := self._size_command(answers, key)) is not None]
        return [command for command in sizes if command not in answers]

    def parse(self, answers: Answers, _now: float) -> InFlight | Unknown:
        """The sum over all keys; a missing key holds nothing."""
        if not self._keys:
            return InFlight(count=None)
        sizes: list[int | None] = []
        for key in self._keys:
            size = self._size_command(answers, key)
            if size is not None:
                self._sizes[key] = size
                sizes.append(count(answers.get((size, key))))
            else:
                sizes.append(0 if answers.get(("TYPE", key)) == b"none" else None)
        known = [size for size in sizes if size is not None]
        seen = any(exists(answers, key) for key in self._keys)
        if len(known) < len(sizes):
            return InFlight(count=None, seen=seen, cautions=frozenset({Caution.IN_FLIGHT_UNREADABLE}))
        return InFlight(count=sum(known), seen=seen)

    def _size_command(self, answers: Answers, key: str) -> str | None:
        found = answers.get(("TYPE", key))
        return _SIZE_OF.get(found) if isinstance(found, bytes) else None
