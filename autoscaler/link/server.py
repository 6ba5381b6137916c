"""One Redis server, or one Sentinel."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from autoscaler.core.units import Secret
from autoscaler.link.address import TLS_OPTIONS, Address, HostPort
from autoscaler.link.commands import Command, Reply, Servers, as_resp2
from autoscaler.link.refusals import Unusable, classed, unavailable
from autoscaler.link.settings import RedisSettings, Tls

_QUIET = 10.0
"""Of the time limit: a channel on which nothing is said for so long is asked whether it is still there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Who we are to a server."""

    username: str | None = None
    password: Secret | None = None
    password_file: str | None = None


class Server:
    """One server, spoken to in pipelines.

    A batch that broke off may have been done: it is never sent twice.
    """

    def __init__(self, connections: ConnectionPool, *, protocol: int, tls: bool, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._answered = False
        self._redis = Redis.from_pool(connections)
        self._redis.response_callbacks.clear()  # replies as they came: each reader parses its own
        self._protocol = protocol
        self._tls = tls

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """One round trip.

        Raises:
            StoreUnavailable: it did not answer, or refused the connection.
        """
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            # One limit for all: redis-py's own sets a timer for each reply, which takes as long as all the rest. What
            # is cut off while it waits for a reply closes its connection: no reply is left to be taken for another's.
            async with asyncio.timeout(self._timeout_s):
                replies: list[Reply] = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, ValueError) as error:  # ValueError: text that UTF-8 cannot write
            raise unavailable(error, tls=self._tls, answered=self._answered) from error
        self._answered = True
        replies = [classed(reply) for reply in replies]
        if self._protocol == 2:
            return replies
        return [as_resp2(command, reply) for command, reply in zip(commands, replies, strict=True)]

    async def listen(self, channel: str) -> AsyncIterator[bytes]:
        """What is published on a channel from now on, over a connection of its own.

        Raises:
            StoreUnavailable: it was refused, or broke off.
        """
        try:
            async with self._redis.pubsub() as subscription:
                async with asyncio.timeout(self._timeout_s):
                    await subscription.subscribe(channel)
                quiet = False
                while True:
                    message = await subscription.get_message(timeout=_QUIET * self._timeout_s)
                    if message is None and quiet:
                        raise TimeoutError
                    if quiet := message is None:
                        await subscription.ping()  # a server that vanished would be listened to for ever
                    elif message["type"] == "message":
                        yield message["data"]
        except (RedisError, OSError) as error:
            raise unavailable(error, tls=self._tls, answered=self._answered) from error

    async def parts(self) -> Sequence[Servers]:
        """Itself."""
        return [self]

    async def close(self) -> None:
        """Close its connections, without waiting for a server that has nothing to say to that."""
        with suppress(RedisError, OSError):
            await self._redis.aclose()


def connect(settings: RedisSettings, address: Address, host: HostPort | None = None) -> Server:
    """The server at an address, or another host that is reached in the same way; it is not connected to yet."""
    options = dict(address.options)
    username, password = options.pop("username", None), options.pop("password", None)
    account = Account(
        username=settings.username or username,
        password=settings.password or (None if password is None else Secret(password)),
        password_file=settings.password_file,
    )
    return _server(settings, address, host or next(iter(address.hosts), None), account, options)


def connect_sentinel(settings: RedisSettings, address: Address, host: HostPort) -> Server:
    """One of the Sentinels; it is not connected to yet."""
    own = settings.sentinel
    account = (
        Account()
        if own is None
        else Account(username=own.username, password=own.password, password_file=own.password_file)
    )
    options = {name: value for name, value in address.options.items() if name.startswith(("ssl_", "socket_"))}
    return _server(settings, address, host, account, options)


def _server(
    settings: RedisSettings, address: Address, host: HostPort | None, account: Account, options: dict[str, Any]
) -> Server:
    tls = _tls(settings, options) if address.tls else None
    timeout_s = options.pop("socket_timeout", settings.timeout)
    every = {
        "protocol": 2,
        "socket_timeout": None,
        "socket_connect_timeout": settings.timeout,
        "retry": Retry(NoBackoff(), 0),
        "credential_provider": _Credentials(account) if account != Account() else None,
        **options,
    }
    if host is None:
        pool = ConnectionPool(connection_class=UnixDomainSocketConnection, path=address.path, **every)
    elif tls is None:
        pool = ConnectionPool(host=host[0], port=host[1], **every)
    else:
        pool = ConnectionPool(connection_class=_TlsConnection, tls=tls, host=host[0], port=host[1], **every)
    return Server(pool, protocol=every["protocol"], tls=tls is not None, timeout_s=timeout_s)


def _tls(settings: RedisSettings, options: dict[str, Any]) -> Tls:
    """The settings of TLS, or what the options of a URL say; those are taken out."""
    said = {ours: options.pop(theirs, None) for theirs, ours in TLS_OPTIONS.items()}
    password, verify = said.pop("key_password"), said.pop("insecure_skip_verify")
    return settings.tls or Tls(
        key_password=None if password is None else Secret(password),
        insecure_skip_verify=str(verify).lower().removeprefix("cert_") == "none" if verify else False,
        **said,
    )


class _Credentials(CredentialProvider):
    """Who we are, looked up at each connect: a password in a file may have changed."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """The user's name, unless it is the default user's, and the password."""
        password = self._password()
        return (password,) if self._account.username is None else (self._account.username, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same; the file is small and local."""
        return self.get_credentials()

    def _password(self) -> str:
        if self._account.password_file is None:
            return "" if self._account.password is None else self._account.password.reveal()
        try:
            return Path(self._account.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"the password_file {self._account.password_file} cannot be read: {error}") from error


class _TlsConnection(Connection):
    """A connection over TLS; certificates are read at each connect, so that they may be renewed."""

    def __init__(self, *, tls: Tls, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = {**super()._connection_arguments(), "ssl": tls_context(self._tls)}
        return arguments | ({"server_hostname": self._tls.server_name} if self._tls.server_name else {})


def tls_context(tls: Tls) -> ssl.SSLContext:
    """How certificates are checked, and our own.

    Raises:
        Unusable: a file cannot be read, or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ValueError) as error:
        raise Unusable(f"the CA file {tls.ca} cannot be used: {error}") from error
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None:
        password = "" if tls.key_password is None else tls.key_password.reveal()  # without one OpenSSL would prompt
        try:
            context.load_cert_chain(tls.cert, tls.key, password=password)
        except (OSError, ValueError) as error:
            raise Unusable(f"the certificate {tls.cert} and its key {tls.key} cannot be used: {error}") from error
    return context
