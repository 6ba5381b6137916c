# ruff: noqa: E501 - a table is read line by line, a case each
"""How a configuration says where Redis is: every form, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.config import Config, full_yaml, load_config
from autoscaler.core.errors import SettingsError
from autoscaler.core.units import Secret
from autoscaler.link import RedisSettings, SentinelSettings, Tls
from tests.support.certificates import Authority

REST = """
fleet: f
pools:
  p:
    queue: {kind: list, tiers: [{name: t, key: k}]}
    machine: {image: i, gpus: [g]}
    placements: [{provider: mock, max_usd_per_hour: 1}]
providers: {mock: }
"""


def load(redis: str) -> Config:
    return load_config(f"redis: {redis}{REST}", {"SECRET": "hunter2"})


def problems(redis: str) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        load(redis)
    assert "hunter2" not in str(refusal.value)
    return [line.removesuffix(" (line 1)") for line in refusal.value.problems]


def test_all_there_is_to_say_can_be_said(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("me")
    config = load(
        "{url: 'rediss://h:6380/2?protocol=3', username: u, password: '${SECRET}', timeout: 500ms, "
        f"tls: {{ca: {authority.cert}, cert: {own.cert}, key: {own.key}, server_name: s}}}}"
    )
    tls = Tls(ca=str(authority.cert), cert=str(own.cert), key=str(own.key), server_name="s")
    assert config.redis == RedisSettings(
        url="rediss://h:6380/2?protocol=3", username="u", password=Secret("hunter2"), timeout=0.5, tls=tls
    )
    assert "hunter2" not in full_yaml(config)
    assert "hunter2" not in repr(config)
    assert load_config(full_yaml(config).replace("'***'", "hunter2"), {}).redis == config.redis


def test_sentinels_stand_in_place_of_a_url() -> None:
    config = load("{sentinel: {master: m, addresses: [a, 'b:7'], password: '${SECRET}'}, db: 3, tls: {}}")
    watchers = SentinelSettings(master="m", addresses=("a", "b:7"), password=Secret("hunter2"))
    assert config.redis == RedisSettings(sentinel=watchers, db=3, tls=Tls())
    address = config.redis.address()
    assert (address.hosts, address.master, address.tls) == ((("a", 26379), ("b", 7)), "m", True)
    assert "hunter2" not in full_yaml(config)


def test_a_pool_and_the_store_may_have_a_redis_of_their_own() -> None:
    text = REST.replace("    machine", "    redis: {url: 'redis://other', db: 4}\n    machine")
    config = load_config(f"redis: redis://one\nstore: {{url: redis://state, cluster: true}}{text}", {})
    assert config.pools["p"].redis == RedisSettings(url="redis://other", db=4)
    assert config.store == RedisSettings(url="redis://state", cluster=True)
    assert load_config(full_yaml(config), {}) == config


EXPECTED_URL = (
    "expected embedded, embedded:PORT, or a redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL"
)


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        ("{}", ["redis.url: nothing - expected `url`, or `sentinel`"]),
        ("[]", ["redis: [] - expected a mapping of keys and values"]),
        ("{url: localhost}", [f"redis.url: localhost - {EXPECTED_URL}"]),
        ("{url: 'redis://u:hunter2@h:x'}", [f"redis.url: redis://u:***@h:x - {EXPECTED_URL}"]),
        ("redis+sentinel://a:b:c/m", ["redis: redis+sentinel://a:b:c/m - expected HOST:PORT, found 'a:b:c'"]),
        ("redis+sentinel://a", [f"redis: redis+sentinel://a - {EXPECTED_URL}"]),
        ("redis://h?protocol=4", ["redis: redis://h?protocol=4 - expected protocol=2 or protocol=3"]),
        ("{url: redis://h, zzz: red}", ["redis.zzz: unknown key - expected url, username, password, password_file, tls, sentinel, db, cluster or timeout"]),
        ("{url: redis://h, timeout: 0s}", ["redis.timeout: 0s - expected more than 0s"]),
        ("{url: redis://h, tls: {}}", ["redis.tls: the URL is without TLS; write rediss://, or leave this out"]),
        ("{url: 'rediss://h?ssl_ca_certs=/x', tls: {}}", ["redis.tls: the URL has ssl_ca_certs, which is `tls.ca`; leave out either"]),
        ("redis://h?ssl_ca_certs=/x", ["redis: redis://h?ssl_ca_certs=/x - expected a rediss:// URL: without TLS there is no ssl_ca_certs"]),
        ("redis://h?colour=red", ["redis: redis://h?colour=red - the URL has the option colour; expected client_name, db, health_check_interval, password, protocol, socket_connect_timeout, socket_keepalive, socket_timeout, ssl_ca_certs, ssl_cert_reqs, ssl_certfile, ssl_keyfile, ssl_password, username"]),
        ("{url: 'rediss://h?ssl_cert_reqs=none', tls: {}}", ["redis.tls: the URL has ssl_cert_reqs, which is `tls.insecure_skip_verify`; leave out either"]),
        ("{url: rediss://h, tls: {ca: /absent}}", ["redis.tls.ca: /absent - the file cannot be read: No such file or directory"]),
        ("{url: rediss://h, tls: {cert: /dev/null}}", ["redis.tls.cert: /dev/null - expected `key` beside it: the file of this certificate's key"]),
        ("{url: rediss://h, tls: {key: /dev/null}}", ["redis.tls.key: /dev/null - expected `cert` beside it: the file of this key's certificate"]),
        ("{url: rediss://h, tls: {key_password: x}}", ["redis.tls.key_password: *** - expected `key` beside it: the file that it opens"]),
        ("{url: 'redis://u:hunter2@h', password: hunter2}", ["redis.password: *** - the URL has a password already; leave out either"]),
        ("redis://h?ssl_password=hunter2", ["redis: redis://h?ssl_password=*** - expected a rediss:// URL: without TLS there is no ssl_password"]),
        ("{sentinel: {master: m, addresses: ['u:hunter2@a:1']}}", ["redis.sentinel.addresses: expected HOST:PORT; who we are goes into `username` and `password`"]),
        ("{url: redis://h, password: hunter2, password_file: /dev/null}", ["redis.password_file: /dev/null - expected either `password` or `password_file`"]),
        ("{url: redis://h, password_file: /absent}", ["redis.password_file: /absent - the file cannot be read: No such file or directory"]),
        ("{url: 'redis://u:hunter2@h', password_file: /dev/null}", ["redis.password_file: /dev/null - the URL has a password already; leave out either"]),
        ("{url: 'redis://u:hunter2@h', username: v}", ["redis.username: v - the URL names a user already; leave out either"]),
        ("{url: redis://h/1, db: 2}", ["redis.db: 2 - the URL names a database already; leave out either"]),
        ("{url: redis://h, db: -1}", ["redis.db: -1 - expected 0 or more"]),
        ("{url: redis://h/1, cluster: true}", ["redis.url: redis://h/1 - a Redis Cluster has database 0 alone"]),
        ("{url: redis://h, db: 1, cluster: true}", ["redis.db: 1 - a Redis Cluster has database 0 alone"]),
        ("{url: unix:///x, cluster: true}", ["redis.cluster: true - expected a redis:// or rediss:// URL of any node of the Cluster"]),
        ("{url: embedded, cluster: true}", ["redis.cluster: true - expected a redis:// or rediss:// URL of any node of the Cluster"]),
        ("{url: redis+sentinel://a/m, cluster: true}", ["redis.cluster: true - what Sentinel watches is no Cluster; leave out either"]),
        ("{url: redis://h, sentinel: {master: m, addresses: [a]}}", ["redis.sentinel: expected either `url` or `sentinel`: the Sentinels know where it is"]),
        ("{sentinel: {addresses: [a]}}", ["redis.sentinel.master: missing - The name under which the Sentinels watch it"]),
        ("{sentinel: {master: m, addresses: []}}", ["redis.sentinel.addresses: expected at least one HOST:PORT"]),
        ("{sentinel: {master: m, addresses: ['a:0', 'a:1']}}", ["redis.sentinel.addresses[0]: a:0 - expected HOST:PORT, such as 10.0.0.5:26379"]),
        ("{sentinel: {master: ' ', addresses: [a], password: hunter2, password_file: /absent}}", [
            "redis.sentinel.master: ' ' - expected the name under which the Sentinels watch it, such as mymaster",
            "redis.sentinel.password_file: /absent - expected either `password` or `password_file`; the file cannot be read: No such file or directory",
        ]),
        ("{url: redis://h, timeout: 0s, db: -1, password_file: /absent}", [
            "redis.timeout: 0s - expected more than 0s",
            "redis.password_file: /absent - the file cannot be read: No such file or directory",
            "redis.db: -1 - expected 0 or more",
        ]),
    ],
)  # fmt: skip
def test_each_mistake_says_which_key_which_value_and_what_was_expected(redis: str, expected: list[str]) -> None:
    assert problems(redis) == expected


def test_a_key_that_does_not_belong_to_its_certificate_is_found_before_anything_starts(tmp_path: Path) -> None:
    one, other = Authority(tmp_path, "one"), Authority(tmp_path, "other")
    [line] = problems(f"{{url: rediss://h, tls: {{cert: {one.issue('a').cert}, key: {other.issue('b').key}}}}}")
    assert line.startswith("redis.tls.cert: ")
    assert "mismatch" in line
    [line] = problems(f"{{url: rediss://h, tls: {{ca: {one.issue('c').key}}}}}")
    assert line.startswith("redis.tls.ca: ")
