"""The least that a Redis user needs to run the daemon, as lines of ``ACL SETUSER``.

Where the queue and the daemon's own keys are in one Redis, a user of version 7 or later has two sets of rights: his own
keys to write, and in a selector those of the queue, only to be read. Before 7 there are no selectors: a user's commands
hold for all of his keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from autoscaler.link import RedisSettings
from autoscaler.queues.base import literal
from autoscaler.queues.library import Rights
from autoscaler.store.keys import Keys

PASSWORD = "PASSWORD"  # noqa: S105 - it stands where the password goes
MACHINE = "machine"
"""The user whom rented machines are."""
_STORE = frozenset(
    {
        *("EVAL", "EVALSHA", "GET", "SET", "DEL", "INCR", "PEXPIRE", "PTTL", "TIME", "TYPE"),
        *("ZADD", "ZCARD", "ZRANGE", "ZRANGEBYSCORE", "ZREM", "ZREMRANGEBYSCORE"),
        *("HGET", "HGETALL", "HSET", "HDEL", "XADD", "XRANGE", "XREVRANGE"),
    }
)
"""What `autoscaler.store` sends, and what its scripts call."""
_UNWRITABLE = re.compile(rb"[^!#$&*+,./0-9:;<=>?@A-Z\[\\\]^_`a-z{|}~%-]")
"""Bytes that a pattern on a command line cannot hold as they are: spaces, quotes, parentheses, and beyond ASCII."""


def store_rights(fleet: str) -> Rights:
    """What the daemon's own keys need."""
    return Rights(keys=(f"{literal(Keys(fleet).prefix)}*",), commands=_STORE)


def line(redis: RedisSettings, fleet: str, queues: Iterable[Rights]) -> str:
    """A user who keeps the fleet's own keys and only reads the queues; from version 7 on."""
    own, read = store_rights(fleet), _union(queues)
    return _line(redis, *_rules("~", own, _connection(redis)), f"({' '.join(_rules('%R~', read))})")


def old_line(redis: RedisSettings, fleet: str, queues: Iterable[Rights]) -> str:
    """A user who does both, without a selector: what he may do to the fleet's keys he may do to the queues'."""
    return _plain_line(redis, _union([store_rights(fleet), *queues]))


def queue_line(redis: RedisSettings, queues: Iterable[Rights]) -> str:
    """A user who reads queues and writes nothing."""
    return _plain_line(redis, _union(queues))


def store_line(redis: RedisSettings, fleet: str) -> str:
    """A user who keeps a fleet's own keys."""
    return _plain_line(redis, store_rights(fleet))


def machine_line(redis: RedisSettings, fleet: str) -> str:
    """Who a rented machine is to the store, besides what its worker is to the queue; from version 7 on.

    It tells of itself, sees its drain mark and whether anybody leads, and touches nothing else of the fleet. Redis has
    no rights for a field of a hash: one machine can tell in another's name.
    """
    keys = Keys(fleet)
    tells = Rights(keys=(literal(keys.workers),), commands=frozenset({"HSET", "HGET"}))
    sees = Rights(keys=(literal(keys.drain("")) + "*", literal(keys.lease)), commands=frozenset({"EXISTS", "GET"}))
    return _user_line(MACHINE, *_rules("~", tells, _connection(redis)), f"({' '.join(_rules('%R~', sees))})")


def _plain_line(redis: RedisSettings, rights: Rights) -> str:
    return _line(redis, *_rules("~", rights, _connection(redis)))


def _connection(redis: RedisSettings) -> frozenset[str]:
    """What a connection sends of its own accord, besides what Redis refuses to nobody."""
    address = redis.address()
    sent = {
        "PING": True,
        "SELECT": bool(address.options.get("db")),
        "CLIENT|SETNAME": "client_name" in address.options,
        "CLUSTER|SLOTS": address.cluster,
        "ASKING": address.cluster,
    }
    return frozenset(name for name, needed in sent.items() if needed)


def _user(redis: RedisSettings) -> str:
    """The user that a configuration names; `autoscaler` where that is nobody, or the one that everybody is."""
    named = redis.username or redis.address().options.get("username")
    return str(named) if named and named != "default" else "autoscaler"


def _union(rights: Iterable[Rights]) -> Rights:
    every = list(rights)
    keys = dict.fromkeys(key for each in every for key in each.keys)
    return Rights(
        keys=tuple(keys),
        commands=frozenset[str]().union(*(each.commands for each in every)),
        channels=tuple(dict.fromkeys(channel for each in every for channel in each.channels)),
    )


def _line(redis: RedisSettings, *rules: str) -> str:
    return _user_line(_user(redis), *rules)


def _user_line(user: str, *rules: str) -> str:
    return " ".join(("ACL SETUSER", user, "reset", "on", f">{PASSWORD}", *rules))


def _rules(sign: str, rights: Rights, others: frozenset[str] = frozenset()) -> list[str]:
    """What grants these rights, keys after that sign, and some commands more."""
    commands = rights.commands | others | ({"SUBSCRIBE"} if rights.channels else set())
    return [
        *(sign + _writable(key) for key in rights.keys),
        *(f"&{_writable(channel)}" for channel in rights.channels),
        *(f"+{name.lower()}" for name in sorted(commands)),
    ]


def _writable(pattern: str) -> str:
    return _UNWRITABLE.sub(b"?", pattern.encode()).decode()
