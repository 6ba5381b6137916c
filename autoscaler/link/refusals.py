"""What went wrong with a connection, in one line that names the fix and no secret."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Iterator

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own name
    MasterDownError,
    MovedError,
    NoPermissionError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's own name
    TryAgainError,
)

from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.link.commands import Reply

_SAID = (
    ("DB index is out of range", "Redis has no database of that number; change `db`, or the number in the URL"),
    ("SELECT is not allowed in cluster mode", "a Redis Cluster has database 0 alone; take the number out of the URL"),
    ("protected mode", "Redis is in protected mode and serves its own machine alone; give it a password and `bind`"),
)
"""Words of Redis that mean a mistake in the settings, and what to do about each."""

_HUNG_UP = {
    False: "; if it always hangs up, it may speak TLS alone (write rediss://) or be in protected mode",
    True: "; if it always hangs up, it may ask for our certificate (`tls.cert` and `tls.key`)",
}
"""What else may be wrong, without and with TLS."""

_CLASSES: dict[str, type[ResponseError]] = {
    "ASK": AskError,
    "CLUSTERDOWN": ClusterDownError,
    "MASTERDOWN": MasterDownError,
    "MOVED": MovedError,
    "TRYAGAIN": TryAgainError,
}


class Unusable(RedisError):
    """Something of ours, such as a file, is not fit to connect with."""


def unavailable(error: BaseException, *, tls: bool, answered: bool) -> StoreUnavailable:
    """A connection error, in words: with or without TLS, to a server that has answered us before or never yet."""
    said = str(error)
    for each in _causes(error):
        if isinstance(each, Unusable):
            return StoreRefused(str(each))
        if isinstance(each, ssl.SSLError):
            return StoreRefused(_about_tls(each))
    if isinstance(error, (AuthenticationError, AuthorizationError)) or "WRONGPASS" in said:
        return StoreRefused("Redis refused the user name or password; check `username` and `password`, or the URL")
    if isinstance(error, NoPermissionError):
        return StoreRefused(f"Redis denies its user what a connection needs ({said}); allow it +@connection")
    if isinstance(error, BusyLoadingError):
        return StoreUnavailable("Redis is still loading its data")
    if fix := next((fix for words, fix in _SAID if words in said), None):
        return StoreRefused(fix)
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        hint = "; does its port speak TLS? If not, write redis://" if tls and not answered else ""
        return StoreUnavailable(f"Redis did not answer in time{hint}")
    if isinstance(error, (ConnectionError, OSError)):
        hung_up = any(
            words in said for words in ("reset by peer", "closed by server", "Connection lost", "Broken pipe")
        )
        hint = _HUNG_UP[tls] if hung_up and not answered else ""
        return StoreUnavailable(f"Redis cannot be reached: {_shortly(said)}{hint}")
    return StoreUnavailable(f"Redis refused: {said}")


def classed(reply: Reply) -> Reply:
    """A refusal as its own class; versions of redis-py before 8 give those of a Cluster none."""
    if type(reply) is ResponseError:
        word, _, rest = str(reply).partition(" ")
        return _CLASSES[word](rest) if word in _CLASSES else reply
    return reply


def failure(reply: Reply) -> Exception | None:
    """A reply to one command that tells that Redis serves none like it now; None of any other, refusals too."""
    match reply:
        case MovedError():
            return StoreRefused("this Redis is a node of a Cluster; write `cluster: true`, or redis+cluster://")
        case ClusterDownError() | TryAgainError():
            return StoreUnavailable(f"the Redis Cluster cannot serve this key now: {reply}")
        case MasterDownError():
            return StoreUnavailable(f"this Redis is a replica that has lost its primary: {reply}")
        case ResponseError():
            return None
        case Exception():
            return reply
        case _:
            return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _shortly(said: str) -> str:
    """redis-py's `Error 111 connecting to h:6379. Connect call failed ('h', 6379).`, without its repetitions."""
    if found := re.fullmatch(r"Error (\d+) connecting to (\S+)\. .*", said):
        return f"{found[2]}: {os.strerror(int(found[1]))}"
    return said.removesuffix(".")


def _about_tls(error: ssl.SSLError) -> str:
    said = str(error)
    if not isinstance(error, ssl.SSLCertVerificationError):
        if "CERTIFICATE_REQUIRED" in said:
            return "Redis asks for our certificate; give `tls.cert` and `tls.key`"
        if "WRONG_VERSION_NUMBER" in said:
            return "Redis does not speak TLS on this port; write redis://, or give the port for TLS"
        return f"Redis and we do not agree on TLS ({said})"
    if "mismatch" in said:
        return f"the certificate of Redis is for another name ({error.verify_message}); give `tls.server_name`"
    return f"the certificate of Redis is not trusted ({error.verify_message}); give its authority in `tls.ca`"
