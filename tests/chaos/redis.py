"""A Redis on virtual time: the commands that the store uses, its scripts in a real Lua, and what it holds in the open.

fakeredis, which knows all commands, reads the wall clock and takes a day of the suite five times as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from lupa.lua51 import LuaRuntime, lua_type  # type: ignore[import-untyped]
from redis.exceptions import NoScriptError

from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.orders import Order
from autoscaler.link import Command, Reply
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.codec import decode_entry, decode_instance, decode_order
from autoscaler.store.keys import Keys
from autoscaler.store.rules import JOURNAL_LENGTH
from autoscaler.store.scripts import Script
from tests.support.build import FLEET

_LUA = LuaRuntime(encoding=None, unpack_returned_tuples=False)
_ROOT = Keys(FLEET)
_SPREAD = b"spread"


class Redis:
    """One Redis and all that it holds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._values: dict[bytes, Any] = {}
        self._ends: dict[bytes, float] = {}
        self._lines = 0
        """Ever written to the journal."""
        self._journal: deque[bytes] = deque(maxlen=JOURNAL_LENGTH)
        self._scripts: dict[bytes, Any] = {}
        """Those that it was sent in full, by their SHA1 digest."""
        self._known: dict[bytes, tuple[bytes, Instance]] = {}
        """Records that were decoded, by name."""

    def copy(self) -> Redis:
        """Another one that holds the same."""
        other = Redis(self._now)
        other._values = {k: v.copy() if hasattr(v, "copy") else v for k, v in self._values.items()}
        other._ends = dict(self._ends)
        other._lines, other._journal = self._lines, self._journal.copy()
        return other

    def become(self, other: Redis) -> None:
        """Hold what another one holds."""
        self._values, self._ends, self._scripts = other._values, other._ends, other._scripts
        self._lines, self._journal = other._lines, other._journal

    def answer(self, command: Command) -> Reply:
        """Run one command."""
        name, *rest = map(_bytes, command)
        reply: Reply = getattr(self, f"_{name.decode().lower()}")(*rest)
        return reply

    # --- what it holds ------------------------------------------------------------------------------------------------

    @property
    def records(self) -> dict[str, Instance]:
        """By id, under whichever keys they lie."""
        found = {}
        for name, stored in self._all_records():
            known = self._known.get(name)
            if known is None or known[0] is not stored:
                known = self._known[name] = stored, decode_instance(name.decode(), stored)
            found[name.decode()] = known[1]
        return found

    def keys_of(self, record: str) -> int:
        """Under how many keys a record lies."""
        return sum(name == record.encode() for name, _ in self._all_records())

    def _all_records(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._values.items():
            if key.endswith(b":instances"):
                yield from value.items()

    @property
    def orders(self) -> dict[str, Order]:
        """By name."""
        stored = self._values.get(_ROOT.orders.encode(), {})
        return {name.decode(): decode_order(name.decode(), value) for name, value in stored.items()}

    def leaders(self) -> Mapping[str, str]:
        """Who leads, by pool, where pools are led one by one; under the empty name who leads all of them."""
        found = {}
        for key in [key for key in self._values if key.endswith(b"lease")]:
            owner, _, _ = (self._get(key) or b"").rpartition(b":")
            if owner and not (key == _ROOT.lease.encode() and owner == _SPREAD):
                found[_pool_of(key)] = owner.decode()
        return found

    def ledgers(self) -> Iterator[bytes]:
        """The books of each day, under whichever keys they lie."""
        for key, value in self._values.items():
            if key.endswith(b":ledger"):
                yield from value.values()

    def words_of_operators(self, since: int) -> tuple[int, list[Entry]]:
        """How many lines were ever written to the journal, and those about orders after so many of them."""
        new = islice(reversed(self._journal), max(0, self._lines - since))
        return self._lines, [decode_entry("", line) for line in new if b'"kind":"operator"' in line][::-1]

    def is_marked(self, instance: str) -> bool:
        """Whether a machine's workers must pull no more jobs."""
        return _ROOT.drain(instance).encode() in self._values

    def beat(self, instance: str, beat: Heartbeat) -> None:
        """Report as a worker."""
        text = '{"busy":%d,"drained":%s,"slots":%d,"stamp":"%s"}'
        drained = "true" if beat.drained else "false"
        stored = text % (beat.busy, drained, beat.slots or 1, beat.stamp)
        self._dict(_ROOT.workers.encode())[instance.encode()] = stored.encode()

    # --- commands -----------------------------------------------------------------------------------------------------

    def _there(self, key: bytes) -> Any:
        if self._ends.get(key, float("inf")) <= self._now():
            del self._ends[key], self._values[key]
        return self._values.get(key)

    def _dict(self, key: bytes) -> dict[bytes, Any]:
        if self._there(key) is None:
            self._values[key] = {}
        value: dict[bytes, Any] = self._values[key]
        return value

    def _exists(self, key: bytes) -> int:
        return int(self._there(key) is not None)

    def _type(self, _key: bytes) -> Reply:
        return {b"ok": b"none"}  # nobody else writes here

    def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._there(key)
        return value

    def _set(self, key: bytes, value: bytes, *px: bytes) -> bytes:
        self._values[key] = value
        self._ends.pop(key, None)
        if px:
            self._ends[key] = self._now() + int(px[1]) / 1000
        return b"OK"

    def _del(self, *keys: bytes) -> int:
        for key in keys:
            self._ends.pop(key, None)
        return sum(self._values.pop(key, None) is not None for key in keys)

    def _incr(self, key: bytes) -> int:
        self._values[key] = b"%d" % (int(self._there(key) or 0) + 1)
        return int(self._values[key])

    def _pttl(self, key: bytes) -> int:
        if self._there(key) is None:
            return -2
        return int((self._ends[key] - self._now()) * 1000) if key in self._ends else -1

    def _pexpire(self, key: bytes, milliseconds: bytes) -> int:
        if self._there(key) is not None:
            self._ends[key] = self._now() + int(milliseconds) / 1000
        return int(key in self._ends)

    def _time(self) -> list[bytes]:
        seconds, rest = divmod(self._now(), 1)
        return [b"%d" % seconds, b"%d" % (rest * 1e6)]

    def _hget(self, key: bytes, field: bytes) -> bytes | None:
        return (self._there(key) or {}).get(field)

    def _hgetall(self, key: bytes) -> list[bytes]:
        return [part for field in (self._there(key) or {}).items() for part in field]

    def _hset(self, key: bytes, *fields: bytes) -> int:
        self._dict(key).update(zip(fields[::2], fields[1::2], strict=True))
        return len(fields) // 2

    def _hsetnx(self, key: bytes, field: bytes, value: bytes) -> int:
        self._dict(key).setdefault(field, value)
        return 1

    def _hdel(self, key: bytes, *fields: bytes) -> int:
        return sum((self._there(key) or {}).pop(field, None) is not None for field in fields)

    def _zadd(self, key: bytes, score: bytes, member: bytes) -> int:
        self._dict(key)[member] = float(score)
        return 1

    _zrem = _hdel

    def _zcard(self, key: bytes) -> int:
        return len(self._there(key) or ())

    def _zrange(self, key: bytes, _first: bytes, _last: bytes) -> list[bytes]:
        ranked: dict[bytes, float] = self._there(key) or {}
        return sorted(ranked, key=lambda member: (ranked[member], member))

    def _zrangebyscore(self, key: bytes, low: bytes, high: bytes) -> list[bytes]:
        ranked: dict[bytes, float] = self._there(key) or {}
        beyond = high.startswith(b"(")
        least, most = float(low), float(high.lstrip(b"("))
        found = self._zrange(key, b"", b"")
        return [each for each in found if least <= ranked[each] <= most and not (beyond and ranked[each] == most)]

    def _zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> int:
        return self._hdel(key, *self._zrangebyscore(key, low, high))

    def _xadd(self, key: bytes, *rest: bytes) -> bytes:
        if key == _ROOT.journal.encode():
            self._journal.append(rest[-1])
            self._lines += 1
        return b"0-0"

    def _xrevrange(self, _key: bytes, *_rest: bytes) -> list[Reply]:
        return []  # the history is not kept

    def _evalsha(self, digest: bytes, count: bytes, *rest: bytes) -> Reply:
        if digest not in self._scripts:
            return NoScriptError("NOSCRIPT No matching script.")
        return self._run(self._scripts[digest], rest[: int(count)], rest[int(count) :])

    def _eval(self, source: bytes, count: bytes, *rest: bytes) -> Reply:
        digest = str(Script(source.decode()).by_digest((), ())[1]).encode()
        self._scripts[digest] = _compiled(source)
        return self._evalsha(digest, count, *rest)

    def _run(self, script: Any, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Reply:
        redis = _LUA.table_from({b"call": self._called})
        return _from_lua(script(_LUA.table_from(keys), _LUA.table_from(arguments), redis))

    def _called(self, *command: Any) -> Any:
        return _to_lua(self.answer(command))


@cache
def _compiled(source: bytes) -> Any:
    return _LUA.execute(b"return function(KEYS, ARGV, redis) " + source + b" end")


def _pool_of(lease: bytes) -> str:
    inside = lease.decode().removeprefix(_ROOT.prefix).removesuffix("lease")
    return inside.removeprefix("pool:").removesuffix(":")


def _bytes(word: Any) -> bytes:
    if isinstance(word, bytes):
        return word
    return (f"{word:.17g}" if isinstance(word, float) else str(word)).encode()


def _to_lua(reply: Reply) -> Any:
    if reply is None:
        return False
    return _LUA.table_from(reply) if isinstance(reply, (list, dict)) else reply


def _from_lua(value: Any) -> Reply:
    if lua_type(value) == "table":
        return [_from_lua(each) for each in value.values()]
    return int(value) if isinstance(value, float) else value
