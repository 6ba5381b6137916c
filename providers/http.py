"""Requests and answers as values, so that adapters, wrappers and emulators meet without a socket.

An adapter's client builds a :class:`Request` and reads an :class:`Answer`; what lies between is an :class:`Http`: a
real session (``providers.session``), around it one that keeps to the vendor's pace (``providers.pace``), or an emulator
in the same process (``autoscaler.emulate``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from autoscaler.core.units import Secret, Written

PATIENCE_S = 15.0
"""How long a request waits for its turn unless it says otherwise. The daemon gives a call 30 s or more: half of that is
left for the answer."""

_URL = re.compile(r"(?:https://[\w.-]+|http://(?:[\w-]+|127\.0\.0\.1|\[::1\]))(?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request to a vendor."""

    method: str
    path: str
    """As it goes over the line: percent-encoded, without the query."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Not encoded."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case. The key's header is added on the way."""
    body: bytes = b""
    """JSON, or nothing."""
    endpoint: str = ""
    """What the vendor counts this request as; see `Service.spacing_s`."""
    patience_s: float = PATIENCE_S
    """The longest it may wait for its turn; more for what is only asked in the background."""

    def json(self) -> Any:
        """The body as JSON holds it; None when there is none.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body as text, whatever it holds."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON holds it.

        Raises:
            ValueError: it is no JSON.
        """
        return json.loads(self.body)


def json_request(method: str, path: str, body: Any = None, *, endpoint: str = "", **query: str) -> Request:
    """A request whose body is JSON; without a body where that is None."""
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if content else {}
    return Request(method=method, path=path, query=query, headers=headers, body=content, endpoint=endpoint)


def json_answer(status: int, body: Any = None, **headers: str) -> Answer:
    """An answer whose body is JSON; without a body where that is None. Underscores in header names become dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is None:
        return Answer(status=status, headers=named)
    return Answer(status=status, headers={"content-type": "application/json", **named}, body=json.dumps(body).encode())


class Http(Protocol):
    """A way to one vendor's API, with the account's key."""

    async def send(self, request: Request) -> Answer:
        """The answer to a request, whatever its status. Nothing is retried.

        Raises:
            Transient: the request certainly did not reach the vendor.
            UnclearOutcome: no answer, or none that can be used: a time-out, a reset, a body that is too large.
            RateLimited: it was not sent, for the vendor would refuse it now.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A vendor's HTTP API as one account uses it."""

    url: str
    """Where requests' paths begin, without a slash at the end."""
    key: Secret
    """Goes into the Authorization header and nowhere else."""
    spacing_s: Mapping[str, float] = field(default_factory=dict)
    """The least time between two requests that the vendor asks for, by endpoint."""
    timeout_s: float = 30.0
    """The longest wait for an answer."""
    most_bytes: int = 8_000_000
    """The largest answer that is read."""


def api_url(vendors: str, emulators: str) -> Written:
    """How the address of a vendor's API is written in a file: with TLS, or nearby, for the account's key goes there."""

    def parse(value: object) -> str:
        if isinstance(value, str) and _URL.fullmatch(value.rstrip("/")):
            return value.rstrip("/")
        raise ValueError(
            f"expected {vendors}, or an emulator such as {emulators}; "
            "the key is never sent to another network without TLS"
        )

    return Written(parse, vendors)
