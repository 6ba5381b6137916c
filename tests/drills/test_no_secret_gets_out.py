"""No key, password or value of a container's environment appears in any output, whatever goes wrong.

The daemon and the commands run with a marked secret in every place that a configuration has for one. Vendors repeat the
Authorization header and the order that they refuse, refuse the key, or are not there; Redis refuses the password, or
is not there. Then everything that was written is searched: logs, what commands print, the files they write, all answers
of the HTTP API, the metrics, and whatever lies in Redis under the fleet's name.
"""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from autoscaler.config import load_config
from autoscaler.config.schema import Config
from autoscaler.core.units import Secret
from providers.installed import OWN
from tests.support.certificates import Authority
from tests.support.daemon_process import AUTOSCALER, FLEET, DaemonProcess, Json, StartDaemon
from tests.support.emulator_process import EmulatorProcess
from tests.support.parrot import Refuses, parrot
from tests.support.real_time import until
from tests.support.redis_server import free_port

MARK = "canary"
NOWHERE = "http://127.0.0.1:1"
TOKEN = f"{MARK}-of-the-api-and-it-is-long-enough-for-anybody"
STREAM = "/api/v1/events"
"""It does not end, and tells what status and the journal do."""


def no_creates(method: str, path: str) -> int | None:
    """Let everything through but orders of machines."""
    ordered = (method, path.partition("?")[0])
    return 400 if ordered == ("POST", "/v2/pods") or ordered[1].startswith("/api/v0/asks/") else None


def no_key(_method: str, _path: str) -> int | None:
    """Refuse the key."""
    return 401


def a_config(directory: Path, redis_url: str, vast: str, runpod: str) -> Json:
    """A configuration with a secret wherever there is a place for one."""
    key = directory / "vast-key"
    key.write_text(f"{MARK}-of-vast\n")
    redis = redis_url.replace("redis://", f"redis://default:{MARK}-of-the-queue@")
    http = {"listen": f"127.0.0.1:{free_port()}", "token": TOKEN}
    env = {"HF_TOKEN": f"{MARK}-of-the-hub", "REDIS_URL": f"redis://worker:{MARK}-of-the-worker@queue:6379/0"}
    return {
        "fleet": FLEET,
        "redis": redis,
        "store": {"url": redis_url, "username": "default", "password": f"{MARK}-of-the-store"},
        "tick": "500ms",
        "log": {"format": "json", "level": "debug"},
        "http": http,
        "pools": {
            "images": {
                "queue": {"kind": "list", "tiers": [{"name": "pro", "key": "jobs:pro"}]},
                "machine": {
                    "image": "ghcr.io/acme/comfy:1.4",
                    "gpus": ["RTX 4090"],
                    "ready": "running",
                    "args": ["--quiet"],
                    "env": env,
                },
                "placements": [
                    {"provider": "vastai", "max_usd_per_hour": 2.0},
                    {"provider": "runpod", "max_usd_per_hour": 2.0},
                ],
                "limits": {"hot": "2..3", "warm": "0..1"},
            },
        },
        "providers": {
            "vastai": {
                "api_key": f"${{file:{key}}}",
                "url": vast,
                "image_login": f"-u {MARK} -p {MARK}-of-the-registry ghcr.io",
                "webhook_secret": f"{MARK}-of-vasts-webhook",
            },
            "runpod": {"api_key": f"{MARK}-of-runpod", "url": runpod},
        },
        "notify": {"after": "0s", "channels": channels()},
    }


def with_letters(config: Json, directory: Path) -> Json:
    """The same with a pool more, whose queue is behind Sentinels that are away, and asks for a certificate."""
    own = Authority(directory).issue("client", password=f"{MARK}-of-the-certificate")
    nowhere = NOWHERE.removeprefix("http://")
    redis = {
        "sentinel": {"master": "jobs", "addresses": [nowhere], "password": f"{MARK}-of-sentinel"},
        "password": f"{MARK}-of-the-letters",
        "tls": {"cert": str(own.cert), "key": str(own.key), "key_password": f"{MARK}-of-the-certificate"},
    }
    letters = config["pools"]["images"] | {"redis": redis, "limits": {"hot": "0..1"}}
    return config | {"pools": config["pools"] | {"letters": letters}}


def channels() -> Json:
    """Notifications by every way there is, to nobody."""
    nowhere, mail = NOWHERE.removeprefix("http://"), {"sender": "a@example.com", "to": ["b@example.com"]}
    return {
        "slack": {"url": f"{NOWHERE}/services/T0/B0/{MARK}-of-slack"},
        "discord": {"url": f"{NOWHERE}/api/webhooks/1/{MARK}-of-discord?wait={MARK}-of-discord-too"},
        "webhook": {"url": f"{NOWHERE}/{MARK}-of-the-hook", "secret": f"whsec_{MARK}+of+the+signature+0123456789ab"},
        "email": {"server": nowhere, "username": "u", "password": f"{MARK}-of-the-mail", **mail},
        "apprise": {"url": f"json://u:{MARK}-of-apprise@{nowhere}/{MARK}-of-apprise-too"},
    }


@pytest.fixture
def vendors(tmp_path: Path) -> Iterator[Any]:
    """Starts both vendors behind parrots; gives their URLs."""
    with ExitStack() as stack:

        def start(refuses: Refuses) -> tuple[str, str]:
            kinds = ("vastai", "runpod")
            emulators = [stack.enter_context(EmulatorProcess(kind, tmp_path)) for kind in kinds]
            vast, runpod = [stack.enter_context(parrot(emulator, refuses)) for emulator in emulators]
            return vast, runpod

        yield start


def assert_clean(texts: Mapping[str, str]) -> None:
    """No marked secret is in any of the texts; the mark alone may be, as the name of a registry's user."""
    for where, text in texts.items():
        assert f"{MARK}+of" not in text, f"{where}: the webhook's secret"
        assert f"{MARK}-of" not in text, f"{where}: …{text[max(0, text.index(f'{MARK}-of') - 200) :][:400]}…"


def answers(daemon: DaemonProcess) -> dict[str, str]:
    """What the daemon serves, errors included, and what it says of a file with other keys."""
    lines = [line.split() for line in asked(daemon, "/api/v1").splitlines()]
    paths = [line[1] for line in lines if line[0] == "GET" and "{" not in line[1] and line[1] != STREAM]
    found = {path: asked(daemon, path) for path in (*paths, "/sd/prometheus?port=9400", "/nothing")}
    written = daemon.file.read_text()
    daemon.file.write_text(re.sub(f"{MARK}-of-(?!the-)", f"{MARK}-of-another-", written))
    found["reload"] = asked(daemon, "/api/v1/reload", b'{"by": "ann"}')
    daemon.file.write_text(written)
    assert '"diff": ["' in found["reload"]
    return found


def asked(daemon: DaemonProcess, path: str, body: bytes | None = None) -> str:
    """What is answered."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(daemon.url + path, body, headers), timeout=5) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def stored(client: Any) -> dict[str, str]:
    """What lies in Redis under the fleet's name."""
    readers = {
        b"hash": client.hgetall,
        b"string": client.get,
        b"stream": client.xrange,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
    }
    keys = list(client.scan_iter(match="autoscaler*"))
    return {repr(key): repr(readers[client.type(key)](key)) for key in keys}


def places(settings: object) -> Iterator[tuple[str, str]]:
    """Each field in which a type of settings, or one within it, has room for a secret."""
    if isinstance(settings, type) and is_dataclass(settings):
        for name, kind in get_type_hints(settings).items():
            if Secret in (kind, *get_args(kind)):
                yield settings.__name__, name
            yield from places(kind)
    for part in get_args(settings):
        yield from places(part)


def marked(settings: object) -> Iterator[tuple[str, str]]:
    """Each such field that holds a marked secret."""
    if is_dataclass(settings):
        for field in fields(settings):
            value = getattr(settings, field.name)
            if isinstance(value, Secret) and MARK in value.reveal():
                yield type(settings).__name__, field.name
            yield from marked(value)
    elif isinstance(settings, Mapping):
        for value in settings.values():
            yield from marked(value)


def test_the_configuration_of_this_drill_has_a_mark_in_every_place_for_a_secret(tmp_path: Path) -> None:
    config = with_letters(a_config(tmp_path, "redis://localhost", NOWHERE, NOWHERE), tmp_path)
    room = {place for kind in (Config, *(each.settings for each in OWN)) for place in places(kind)}
    assert room == set(marked(load_config(yaml.safe_dump(config), {})))


def test_vendors_that_repeat_key_and_order_tell_nobody(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path, vendors: Any
) -> None:
    daemon = start_daemon(a_config(tmp_path, redis_url, *vendors(no_creates)))
    daemon.wait_ready()
    client.rpush("jobs:pro", *range(20))
    until(lambda: len([e for e in daemon.events("outcome") if "no, Bearer ***" in e["text"]]) >= 2, "both refused")

    texts = {"log": daemon.log.read_text(), **answers(daemon), **stored(client)}
    assert_clean(texts)
    assert "no, Bearer ***" in texts["/api/v1/journal"], "the vendor's words are there, without the key"
    assert daemon.terminate() == 0
    assert_clean({"log": daemon.log.read_text()})


def test_vendors_that_refuse_the_key_tell_nobody(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path, vendors: Any
) -> None:
    daemon = start_daemon(with_letters(a_config(tmp_path, redis_url, *vendors(no_key)), tmp_path))
    until(lambda: len(daemon.events("signal_lost")) >= 2, "both listings failed")

    texts = {"log": daemon.log.read_text(), **answers(daemon), **stored(client)}
    assert_clean(texts)
    assert "AuthFailed" in texts["/api/v1/status"]

    until(lambda: len({each["channel"] for each in daemon.events("notify_failed")}) == len(channels()), "all failed")
    assert_clean({"log": daemon.log.read_text(), **answers(daemon), **stored(client)})


def printed(*arguments: str | Path, cwd: Path) -> str:
    """What a command prints, and what it writes into its directory."""
    ended = subprocess.run(
        [AUTOSCALER, *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False, cwd=cwd
    )
    return ended.stdout + ended.stderr


def test_commands_that_succeed_tell_nobody(client: Any, redis_url: str, tmp_path: Path, vendors: Any) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("t_s,tier,service_s\n" + "".join(f"{number * 30},pro,20\n" for number in range(20)))
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, redis_url, *vendors(no_creates))))

    for line in (
        ("check", file),
        ("check", file, "--full"),
        ("reap", file, "--dry-run"),
        ("queue", file, "--json"),
        ("queue", file, "--acl"),
        ("pause", file),
        ("simulate", file, "--trace", trace, "--out", "out"),
    ):
        assert_clean({str(line): printed(*line, cwd=tmp_path)})

    written = {str(each): each.read_text() for each in (tmp_path / "out").iterdir()}
    assert "report.html" in str(written.keys())
    assert_clean(written | stored(client))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("vendors that are away", "cannot be reached"),
        ("a password that is wrong", "Redis refused the user name or password"),
        ("a Redis that is away", "127.0.0.1:1"),
        ("a secret in the wrong place", "expected a duration"),
    ],
)
def test_commands_that_fail_tell_nobody(fault: str, said: str, redis_url: str, tmp_path: Path) -> None:
    config = with_letters(a_config(tmp_path, redis_url, NOWHERE, NOWHERE), tmp_path)
    if fault == "a password that is wrong":
        config["redis"] = config["redis"].replace("default", "nobody")
    elif fault == "a Redis that is away":
        config |= {"redis": f"redis://default:{MARK}-of-the-queue@127.0.0.1:1", "store": None}
    elif fault == "a secret in the wrong place":
        config["tick"] = config["providers"]["vastai"]["api_key"]
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(config))

    lines = (("check", file, "--providers"), ("plan", file), ("run", file, "--once"), ("notify", "test", file))
    texts = {str(line): printed(*line, cwd=tmp_path) for line in lines}

    assert_clean(texts)
    assert said in "".join(texts.values())
