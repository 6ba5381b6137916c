"""How a Redis is reached and who we are there. Each field's docstring is its reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Secret
from autoscaler.link.address import Address, parse_address, parse_hosts


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """TLS beyond what `rediss://` alone does, which is to trust whom the system trusts."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    ca: str | None = None
    """File (PEM) of the authorities to trust, and no others; those of the system when absent."""
    cert: str | None = None
    """File (PEM) of our own certificate, for a Redis that asks clients for one."""
    key: str | None = None
    """File (PEM) of its key."""
    key_password: Secret | None = None
    """What the key is encrypted with."""
    server_name: str | None = None
    """The name that the server's certificate must carry; the host when absent."""
    insecure_skip_verify: bool = False
    """Trust any certificate: whoever sits in between reads and writes all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SentinelSettings:
    """The Sentinels that know which server is the primary, and who we are to them."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    master: str
    """The name under which the Sentinels watch it."""
    addresses: tuple[str, ...]
    """`HOST:PORT` of each Sentinel; the port is 26379 when absent. One that answers will do."""
    username: str | None = None
    """Who we are to the Sentinels; nobody when absent."""
    password: Secret | None = None
    """The password for the Sentinels."""
    password_file: str | None = None
    """File that holds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisSettings:
    """One Redis. A URL alone will do where nothing else needs to be said."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    url: str | None = None
    """Where it is: a redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL; `embedded` or
    `embedded:PORT` for one inside the daemon, which needs no installation and forgets everything when the daemon
    ends."""
    username: str | None = None
    """Who we are: a user of Redis' ACL."""
    password: Secret | None = None
    """The password."""
    password_file: str | None = None
    """File that holds the password. It is read at each connect, so that the password may change."""
    tls: Tls | None = None
    """With a rediss:// URL or `sentinel`: whom to trust, and our own certificate. The Sentinels and all nodes of a
    Cluster are spoken to in the same way."""
    sentinel: SentinelSettings | None = None
    """In place of `url`: the Sentinels that know where it is."""
    db: int | None = None
    """The number of its database, in place of the one in the URL."""
    cluster: bool = False
    """It is a Redis Cluster: `url` is any of its nodes."""
    timeout: Seconds = 2.0
    """How long to wait for an answer, connecting included."""

    def address(self) -> Address:
        """Where it is.

        Raises:
            ValueError: it says neither `url` nor `sentinel`, or something that has no sense.
        """
        if self.sentinel is not None:
            options = {} if self.db is None else {"db": self.db}
            hosts = parse_hosts(self.sentinel.addresses, sentinels=True)
            return Address(hosts=hosts, master=self.sentinel.master, tls=self.tls is not None, options=options)
        if self.url is None:
            raise ValueError("expected `url`, or `sentinel`")
        address = parse_address(self.url)
        return address.with_options({} if self.db is None else {"db": self.db}, cluster=self.cluster)

    def __str__(self) -> str:
        """Where it is, for people; without secrets."""
        return self.address().shown()
