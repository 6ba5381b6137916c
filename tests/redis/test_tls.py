"""TLS: an authority of one's own, our own certificate, and what is said where either is not right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.core.units import Secret
from autoscaler.link import RedisLink, RedisSettings, SentinelSettings, Tls
from tests.support.certificates import Authority, Certificate
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer, Sentinel, free_port


@dataclass
class Secured:
    """A Redis with a port for TLS that asks clients for a certificate."""

    server: RedisServer
    port: int
    arguments: tuple[str, ...]
    authority: Authority
    own: Certificate

    @property
    def tls(self) -> Tls:
        return Tls(ca=str(self.authority.cert), cert=str(self.own.cert), key=str(self.own.key))

    def settings(self, tls: Tls | None = None, host: str = "localhost") -> RedisSettings:
        return RedisSettings(url=f"rediss://{host}:{self.port}", tls=tls or self.tls, timeout=1.0)


def tls_arguments(authority: Authority, of: Certificate) -> tuple[str, ...]:
    files = ("--tls-cert-file", str(of.cert), "--tls-key-file", str(of.key), "--tls-ca-cert-file", str(authority.cert))
    return (*files, "--tls-replication", "yes")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    arguments = tls_arguments(authority, authority.issue("localhost"))
    port = free_port()
    with RedisServer(directory, "--tls-port", str(port), *arguments) as server:
        yield Secured(server, port, arguments, authority, authority.issue("client"))


async def ping(settings: RedisSettings | str) -> object:
    link = RedisLink(settings)
    try:
        [reply] = await link.execute([("PING",)])
    finally:
        await link.close()
    return reply


async def test_an_authority_and_a_certificate_of_our_own_open_the_door(secured: Secured) -> None:
    assert await ping(secured.settings()) == b"PONG"
    url = f"rediss://localhost:{secured.port}?ssl_ca_certs={secured.authority.cert}"
    files = f"&ssl_certfile={secured.own.cert}&ssl_keyfile={secured.own.key}"
    assert await ping(url + files) == b"PONG"
    assert await ping(url.replace("localhost", "127.0.0.1") + files + "&ssl_cert_reqs=none") == b"PONG"


async def test_the_key_may_be_encrypted(secured: Secured) -> None:
    own = secured.authority.issue("encrypted", password="opener")
    tls = replace(secured.tls, cert=str(own.cert), key=str(own.key), key_password=Secret("opener"))
    assert await ping(secured.settings(tls)) == b"PONG"
    for password in (Secret("wrong"), None):
        with pytest.raises(StoreRefused, match=r"encrypted.key cannot be used"):
            await ping(secured.settings(replace(tls, key_password=password)))


async def test_a_server_may_be_known_by_another_name_or_trusted_blindly(secured: Secured) -> None:
    with pytest.raises(StoreRefused, match=r"for another name .*127\.0\.0\.1.*; give `tls.server_name`"):
        await ping(secured.settings(host="127.0.0.1"))
    assert await ping(secured.settings(replace(secured.tls, server_name="localhost"), "127.0.0.1")) == b"PONG"
    blind = replace(secured.tls, ca=None, insecure_skip_verify=True)
    assert await ping(secured.settings(blind, "127.0.0.1")) == b"PONG"


async def test_what_is_not_right_about_certificates_is_said(secured: Secured, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    for ca in (None, str(stranger.cert)):
        with pytest.raises(StoreRefused, match=r"is not trusted .*; give its authority in `tls.ca`"):
            await ping(secured.settings(replace(secured.tls, ca=ca)))
    with pytest.raises(StoreUnavailable, match=r"asks? for our certificate.*`tls.cert` and `tls.key`"):
        await ping(secured.settings(Tls(ca=str(secured.authority.cert))))
    with pytest.raises(StoreRefused, match=r"the CA file .*absent cannot be used"):
        await ping(secured.settings(replace(secured.tls, ca=str(tmp_path / "absent"))))


async def test_tls_to_a_port_without_it_and_the_other_way_round_are_told(secured: Secured) -> None:
    plain = RedisSettings(url=f"rediss://localhost:{secured.server.port}", tls=secured.tls, timeout=0.2)
    with pytest.raises(StoreUnavailable, match=r"does its port speak TLS\? If not, write redis://"):
        await ping(plain)
    with pytest.raises(StoreUnavailable, match=r"it may speak TLS alone \(write rediss://\)"):
        await ping(f"redis://localhost:{secured.port}")


async def test_a_certificate_that_was_renewed_serves_at_the_next_connect(secured: Secured, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    stranger = Authority(tmp_path, "stranger").issue("client")
    cert.write_bytes(stranger.cert.read_bytes())
    key.write_bytes(stranger.key.read_bytes())
    link = RedisLink(secured.settings(replace(secured.tls, cert=str(cert), key=str(key))))
    with pytest.raises(StoreUnavailable):
        await link.execute([("PING",)])
    cert.write_bytes(secured.own.cert.read_bytes())
    key.write_bytes(secured.own.key.read_bytes())
    assert await link.execute([("PING",)]) == [b"PONG"]
    await link.close()


async def test_sentinels_are_spoken_to_over_tls_too(secured: Secured, tmp_path: Path) -> None:
    port = free_port()
    pairs = zip(secured.arguments[::2], secured.arguments[1::2], strict=True)
    lines = (f"tls-port {port}", *(f"{name.removeprefix('--')} {value}" for name, value in pairs))
    sentinel = Sentinel(tmp_path, secured.server, 1, *lines, watched_port=secured.port)
    sentinel.start()
    try:
        watchers = SentinelSettings(master="mymaster", addresses=(f"localhost:{port}",))
        tls = replace(secured.tls, server_name="localhost")
        assert await ping(RedisSettings(sentinel=watchers, tls=tls)) == b"PONG"
    finally:
        sentinel.stop()


async def test_the_nodes_of_a_cluster_are_spoken_to_over_tls(secured: Secured, tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path, *secured.arguments, tls=True)
    try:
        cluster.start()
        hosts = ",".join(f"localhost:{port}" for port in cluster.tls_ports)
        tls = replace(secured.tls, server_name="localhost")
        link = RedisLink(RedisSettings(url=f"rediss+cluster://{hosts}", tls=tls))
        assert await link.execute([("SET", f"k{n}", n) for n in range(20)]) == [b"OK"] * 20
        await link.close()
    finally:
        cluster.stop()
