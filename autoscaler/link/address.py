"""Where a Redis is, as URLs say it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from redis.asyncio.connection import parse_url

EMBEDDED_PORT = 6390
"""Where `embedded` listens unless told otherwise, so that every command finds it."""
REDIS_PORT = 6379
SENTINEL_PORT = 26379

HostPort = tuple[str, int]

_EMBEDDED = re.compile(r"embedded(?::(?P<port>\d{1,5}))?", re.ASCII)
_ONE = re.compile(r"rediss?://[^/?#\s]+(?:/\d*)?(?:\?\S*)?|unix://[^?#\s]*/\S+", re.ASCII)
"""Stricter than redis-py, which takes `/name` for database 0."""
_SENTINELS = re.compile(
    r"(?P<scheme>rediss?)\+sentinel://(?P<user>\S*@)?(?P<hosts>[^/?#\s@]+)/(?P<master>[^/?#\s]+)(?P<rest>(?:/\d*)?(?:\?\S*)?)",
    re.ASCII,
)
_CLUSTER = re.compile(
    r"(?P<scheme>rediss?)\+cluster://(?P<user>\S*@)?(?P<hosts>[^/?#\s@]+)(?P<rest>/?(?:\?\S*)?)", re.ASCII
)
_HOST = re.compile(r"(?P<host>[^\s:/\[\]@,]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?", re.ASCII)

TLS_OPTIONS = {
    "ssl_ca_certs": "ca",
    "ssl_certfile": "cert",
    "ssl_keyfile": "key",
    "ssl_password": "key_password",
    "ssl_cert_reqs": "insecure_skip_verify",
}
"""Options of a rediss:// URL, as redis-py calls them, and what they are called under `tls`."""
_OPTIONS = frozenset(
    {
        *("db", "username", "password", "protocol", "client_name", *TLS_OPTIONS),
        *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "health_check_interval"),
    }
)
_EXPECTED = (
    "expected embedded, embedded:PORT, or a redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a Redis is, and what else its URL says."""

    hosts: tuple[HostPort, ...] = ()
    """The server, the Sentinels, or some nodes of the Cluster; none for a socket."""
    path: str | None = None
    """Of a unix socket."""
    tls: bool = False
    master: str | None = None
    """The name by which the Sentinels know it."""
    cluster: bool = False
    embedded: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """`db`, `username`, `password`, `protocol` and others, by redis-py's names."""

    def with_options(self, options: Mapping[str, Any], *, cluster: bool) -> Address:
        """The same place, with options that stand outside of the URL."""
        return replace(self, options={**self.options, **options}, cluster=self.cluster or cluster)

    def shown(self) -> str:
        """For people; without secrets."""
        scheme = "rediss" if self.tls else "redis"
        hosts = ",".join(host_port(*each) for each in self.hosts)
        db = f"/{self.options['db']}" if self.options.get("db") else ""
        if self.path is not None:
            return f"unix://{self.path}"
        if self.master is not None:
            return f"{scheme}+sentinel://{hosts}/{self.master}{db}"
        return f"{scheme}{'+cluster' if self.cluster else ''}://{hosts}{db}"


def parse_address(text: str) -> Address:
    """Where a URL points.

    Raises:
        ValueError: it is none of the forms we know, or has an option that we do not.
    """
    if (embedded := _EMBEDDED.fullmatch(text)) is not None:
        port = int(embedded["port"] or EMBEDDED_PORT)
        if not 1 <= port <= 65535:
            raise ValueError(_EXPECTED)
        return Address(hosts=(("127.0.0.1", port),), embedded=True)
    if (found := _SENTINELS.fullmatch(text)) is not None:
        hosts = parse_hosts(found["hosts"].split(","), sentinels=True)
        return replace(_parse_one(_with_one_host(found)), hosts=hosts, master=found["master"])
    if (found := _CLUSTER.fullmatch(text)) is not None:
        return replace(_parse_one(_with_one_host(found)), hosts=parse_hosts(found["hosts"].split(",")), cluster=True)
    return _parse_one(text)


def _with_one_host(found: re.Match[str]) -> str:
    return f"{found['scheme']}://{found['user'] or ''}host{found['rest']}"


def _parse_one(text: str) -> Address:
    try:
        options: dict[str, Any] = dict(parse_url(text))
    except ValueError:  # another scheme, a port that is no number, a broken IPv6 address, a bad option
        raise ValueError(_EXPECTED) from None
    port = options.pop("port", REDIS_PORT)
    if _ONE.fullmatch(text) is None or port == 0:
        raise ValueError(_EXPECTED)
    options.pop("connection_class", None)
    host, path = options.pop("host", "localhost"), options.pop("path", None)
    if unknown := sorted(options.keys() - _OPTIONS):
        raise ValueError(f"the URL has the option {unknown[0]}; expected {', '.join(sorted(_OPTIONS))}")
    tls = text.startswith("rediss:")
    if not tls and (needless := sorted(options.keys() & TLS_OPTIONS.keys())):
        raise ValueError(f"expected a rediss:// URL: without TLS there is no {needless[0]}")
    if "protocol" in options:
        if str(options["protocol"]) not in ("2", "3"):
            raise ValueError("expected protocol=2 or protocol=3")
        options["protocol"] = int(options["protocol"])  # older versions of redis-py leave it as text
    hosts = () if path is not None else ((host, port),)
    return Address(hosts=hosts, path=path, tls=tls, options=options)


def parse_hosts(texts: Iterable[str], *, sentinels: bool = False) -> tuple[HostPort, ...]:
    """Hosts and ports of ``HOST:PORT`` or ``HOST``.

    Raises:
        ValueError: one is of another form.
    """
    hosts = []
    for text in texts:
        match = _HOST.fullmatch(text)
        port = int(match["port"] or (SENTINEL_PORT if sentinels else REDIS_PORT)) if match else 0
        if match is None or not 1 <= port <= 65535:
            raise ValueError(f"expected HOST:PORT, found {text!r}" if "@" not in text else "expected HOST:PORT")
        hosts.append((match["host"].strip("[]"), port))
    return tuple(hosts)


def host_port(host: str, port: int) -> str:
    """``HOST:PORT``, with brackets where the host has colons itself."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
