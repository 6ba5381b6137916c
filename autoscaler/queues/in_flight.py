"""Jobs in flight that workers keep under keys of their own, such as the list that LMOVE moves them to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from autoscaler.core.demand import InFlightKind
from autoscaler.link import Command, Reply
from autoscaler.queues.base import InFlight, Steps, count
from autoscaler.queues.caution import Caution

_SIZE_OF = {b"list": "LLEN", b"set": "SCARD", b"zset": "ZCARD", b"hash": "HLEN"}

SIZES = frozenset({"TYPE", *_SIZE_OF.values()})
"""The commands that `InFlightKeys` asks."""

NOT_COUNTED = (
    "name in `in_flight_keys` lists, sets, sorted sets or hashes that the user may read: `--acl` has the rights"
)
"""What resolves that a key of `InFlightKeys` is not counted."""

UNREADABLE = InFlight(count=None, cautions=frozenset({Caution.IN_FLIGHT_UNREADABLE}))


class Hidden:
    """The jobs in flight of a library that keeps nothing of them in Redis."""

    def __init__(self, *cautions: Caution) -> None:
        self._reading = InFlight(count=None, kind=InFlightKind.HIDDEN, cautions=frozenset(cautions))

    def read(self, _now: float) -> Steps[InFlight]:
        """Nothing to ask."""
        yield from ()
        return self._reading


class Counted:
    """Jobs in flight that commands count: the sum of what each replies. None where one of them fails."""

    def __init__(self, kind: InFlightKind, commands: Callable[[float], Sequence[Command]]) -> None:
        self._kind = kind
        self._commands = commands

    def read(self, now: float) -> Steps[InFlight]:
        """Ask all of them; `commands` is given the time, for counts by score."""
        numbers = [count(reply) for reply in (yield self._commands(now))]
        known = [number for number in numbers if number is not None]
        if len(known) < len(numbers):
            return UNREADABLE
        return InFlight(count=sum(known), kind=self._kind)


class InFlightKeys:
    """Counts the elements of lists, sets, sorted sets or hashes; which of them a key is, its TYPE tells.

    Without keys the number is None: hidden. A key that cannot be counted makes it None too, with a caution.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._sizes: dict[str, str] = {}
        """The command that counts each key, as its TYPE last asked for."""

    def read(self, _now: float) -> Steps[InFlight]:
        """TYPE of each key, and its size; a missing key holds nothing."""
        if not self._keys:
            return InFlight(count=None, kind=InFlightKind.HIDDEN)
        expected = [self._sizes.get(key, "TYPE") for key in self._keys]
        replies = yield [("TYPE", key) for key in self._keys] + list(zip(expected, self._keys, strict=True))
        types, sizes = replies[: len(self._keys)], dict(zip(self._keys, replies[len(self._keys) :], strict=True))
        commands = {key: _size_command(found) for key, found in zip(self._keys, types, strict=True)}
        fresh = [(size, key) for key, size in commands.items() if size and size != self._sizes.get(key)]
        if fresh:
            sizes |= dict(zip((key for _, key in fresh), (yield fresh), strict=True))
        self._sizes = {key: size for key, size in commands.items() if size}
        gone = {key for key, found in zip(self._keys, types, strict=True) if found == b"none"}
        numbers = [0 if key in gone else count(sizes[key]) if commands[key] else None for key in self._keys]
        known = [number for number in numbers if number is not None]
        return InFlight(count=sum(known), kind=InFlightKind.EXECUTING) if len(known) == len(numbers) else UNREADABLE


def check_in_flight_keys(keys: Sequence[str], waiting_in: Collection[str]) -> None:
    """Refuse keys of which jobs would be counted twice.

    Raises:
        ValueError: a key stands twice, or is one that jobs wait in.
    """
    for index, key in enumerate(keys):
        if key in waiting_in or key in keys[:index]:
            other = "a tier's" if key in waiting_in else "there"
            raise ValueError(f"key {key!r} in in_flight_keys is {other} already, so that its jobs would count twice")


def _size_command(found: Reply) -> str | None:
    return _SIZE_OF.get(found) if isinstance(found, bytes) else None
