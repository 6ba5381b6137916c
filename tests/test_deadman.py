"""The dead-man switch: when it fires, when it never does, what it hears, and what it says."""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from autoscaler import deadman
from autoscaler.cli import main
from autoscaler.config import load_config
from autoscaler.core.errors import SettingsError
from autoscaler.deadman import Ear, Plea, Switch, Word, end, pleas, watch
from autoscaler.store.keys import Keys
from tests.support.build import pool
from tests.support.config import GOOD
from tests.support.imports import imported_by
from tests.support.market import CALM
from tests.support.redis_server import RedisServer, free_port
from tests.support.rehearsal import Rehearsal

S = 600.0
LED, LEADERLESS = Word(leads=True), Word(leads=False)
AWAY = "Redis at queue:6379 does not answer: timed out"


class Ended(Exception):
    """The machine is no more."""


class Machine:
    """A machine on a clock of its own, and what is heard on it."""

    def __init__(self, heard: Callable[[float], Word | str], *, lives: int = 1, pause_s: float | None = None) -> None:
        self.now = 5_000.0
        self.log: list[str] = []
        self.asked: list[float] = []
        self._heard = heard
        self._lives = lives
        self._pause_s = pause_s

    def run(self, until: float) -> list[float]:
        """Let the switch watch; gives when it asked for the machine's end, in seconds since it began."""
        began = self.now

        def sleep(seconds: float) -> None:
            self.now += self._pause_s or seconds
            if self.now - began > until:
                raise Ended

        def ending() -> None:
            self.asked.append(self.now - began)
            if len(self.asked) == self._lives:
                raise Ended

        with pytest.raises(Ended):
            watch(Switch(S, self.log.append), lambda: self._heard(self.now - began), ending, lambda: self.now, sleep)
        return self.asked


def busy(count: int, beat: float = 0.0) -> Word:
    """No daemon, and a worker that says how many slots work; `beat` is what changes."""
    return Word(leads=False, beat=json.dumps({"busy": count, "beat": beat}).encode())


# --- when it fires ----------------------------------------------------------------------------------------------------


def test_it_fires_when_no_daemon_led_for_the_whole_time() -> None:
    assert Machine(lambda at: LED if at < 1000 else LEADERLESS).run(9e9) == [pytest.approx(1000 + S, abs=60)]


def test_a_machine_whose_daemon_died_before_it_was_up_ends_itself_too() -> None:
    assert Machine(lambda _: LEADERLESS).run(9e9) == [S]


def test_it_fires_when_redis_was_away_for_the_whole_time() -> None:
    assert Machine(lambda _: AWAY).run(9e9) == [S]


@pytest.mark.parametrize("silence_s", [30.0, 300.0, S - 30])
def test_a_daemon_that_restarts_costs_no_machine(silence_s: float) -> None:
    machine = Machine(lambda at: LEADERLESS if at % 1200 < silence_s else LED)

    assert machine.run(until=20_000) == []


def test_silences_do_not_add_up() -> None:
    assert Machine(lambda at: LED if at % 500 < 31 else AWAY).run(until=20_000) == []


# --- work -------------------------------------------------------------------------------------------------------------


def test_a_worker_that_says_it_is_busy_keeps_the_machine_however_long() -> None:
    assert Machine(lambda at: busy(1, at)).run(until=100_000) == []


def test_it_fires_once_the_last_job_is_done() -> None:
    assert Machine(lambda at: busy(int(at < 3000), at)).run(9e9) == [3000.0]


def test_while_redis_is_away_the_last_word_of_a_busy_worker_holds_for_twice_the_time() -> None:
    machine = Machine(lambda at: Word(leads=True, beat=b'{"busy": 1}') if at < 1 else AWAY)

    assert machine.run(9e9) == [2 * S]


def test_a_busy_word_that_never_changes_is_a_dead_workers_after_twice_the_time() -> None:
    assert Machine(lambda _: busy(1)).run(9e9) == [2 * S]


@pytest.mark.parametrize(
    "beat", [b"", b"?", b"[]", b'{"slots": 1}', b'{"busy": null}', b'{"busy": Infinity}', b"[" * 100_000, b"\xff"]
)
def test_a_word_that_cannot_be_read_counts_as_busy(beat: bytes) -> None:
    assert Machine(lambda _: Word(leads=False, beat=beat)).run(9e9) == [2 * S]


@pytest.mark.parametrize(("beat", "at"), [(b"0", S), (b"2", 2 * S), (b'{"busy": 0}', S), (b'{"busy": 3}', 2 * S)])
def test_both_forms_of_a_heartbeat_are_understood(beat: bytes, at: float) -> None:
    assert Machine(lambda _: Word(leads=False, beat=beat)).run(9e9) == [at]


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_machine_that_was_frozen_for_a_day_gives_its_daemon_the_whole_time_again() -> None:
    """Time in which nothing was listened to is no silence: two pauses of it count at most."""
    machine = Machine(lambda _: LEADERLESS, pause_s=86_400.0)

    [asked] = machine.run(9e9)

    assert asked >= S / 60.0 * 86_400.0


@given(st.lists(st.tuples(st.floats(0.1, 10_000.0), st.sampled_from([LED, LEADERLESS, AWAY, busy(1, 1), busy(1, 2)]))))
def test_it_never_fires_within_the_time_after_a_daemon_was_heard(looks: list[tuple[float, Word | str]]) -> None:
    switch = Switch(S, lambda _: None)
    now, heard_at = 0.0, 0.0
    for passed, word in looks:
        now += passed
        due = switch.hear(now, word)
        if word is LED:
            heard_at = now
        assert not due or now - heard_at >= S


# --- what it says and does ------------------------------------------------------------------------------------------


def test_one_line_when_silence_begins_and_one_when_it_ends() -> None:
    machine = Machine(lambda at: AWAY if 100 < at < 400 else LED)
    machine.run(until=5_000)

    assert machine.log == [
        f"silence begins: {AWAY}; after 600s of it this machine ends itself",
        "the daemon is heard again, after 270s",
    ]


def test_it_asks_again_with_growing_pauses_until_the_machine_is_dead() -> None:
    asked = Machine(lambda _: LEADERLESS, lives=6).run(9e9)

    pauses = [b - a for a, b in itertools.pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]


def test_a_daemon_that_comes_back_stops_the_asking() -> None:
    machine = Machine(lambda at: LEADERLESS if at < 2000 else LED, lives=1000)

    assert 1 < len(machine.run(until=50_000)) < 20
    assert max(machine.asked) < 2000


RUNPOD = {"RUNPOD_POD_ID": "k3x9", "RUNPOD_API_KEY": "s3cret"}
VAST = {"CONTAINER_ID": "123", "CONTAINER_API_KEY": "s3cret"}


def test_the_vendors_are_asked_where_their_own_clients_would() -> None:
    assert pleas(VAST) == [Plea("DELETE", "https://console.vast.ai/api/v0/instances/123/", "s3cret", b"{}")]
    rest, graphql = pleas(RUNPOD)
    assert rest == Plea("DELETE", "https://api.runpod.io/v2/pods/k3x9", "s3cret")
    assert (graphql.method, graphql.url) == ("POST", "https://api.runpod.io/graphql")
    assert json.loads(graphql.body) == {"query": 'mutation { podTerminate(input: { podId: "k3x9" }) }'}
    assert pleas({}) == pleas({"CONTAINER_ID": "1"}) == pleas({"RUNPOD_POD_ID": "k"}) == []


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ((204, b""), 1),
        ((200, b'{"success": true}'), 1),
        ((200, b'{"success": false, "msg": "no"}'), 2),
        ((200, b'{"errors": [{"message": "no"}]}'), 2),
        ((401, b""), 2),
        ((404, b""), 2),
        ((503, b"<html>"), 2),
        (ConnectionResetError(), 2),
        (http.client.BadStatusLine("?"), 2),
    ],
)
def test_the_second_way_is_gone_when_the_first_is_refused(answer: tuple[int, bytes] | Exception, asked: int) -> None:
    log: list[str] = []
    sent: list[Plea] = []

    def send(plea: Plea) -> tuple[int, bytes]:
        sent.append(plea)
        if isinstance(answer, Exception):
            raise answer
        return answer

    end(pleas(RUNPOD), log.append, send)

    assert len(sent) == asked
    assert log[0] == "ending this machine: DELETE https://api.runpod.io/v2/pods/k3x9"
    assert "s3cret" not in "".join(log)


# --- Redis ------------------------------------------------------------------------------------------------------------

KEYS = Keys("attic")


def test_it_hears_the_lease_and_its_own_workers_beat(redis_url: str) -> None:
    ear = Ear(redis_url, "attic", "i1")
    with redis.Redis.from_url(redis_url) as client:
        assert ear() == Word(leads=False, beat=None)
        client.set(KEYS.lease, "daemon:1", px=30_000)
        client.hset(KEYS.workers, mapping={"i1": '{"busy": 1}', "i2": "0"})
        assert ear() == Word(leads=True, beat=b'{"busy": 1}')
        client.delete(KEYS.lease)
        assert ear() == Word(leads=False, beat=b'{"busy": 1}')


def test_it_hears_in_the_database_of_the_url(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, db=3) as client:
        client.set(KEYS.lease, "daemon:1")

    assert Ear(f"{redis_url}/3", "attic", "i1")() == Ear(f"{redis_url}?db=3", "attic", "i1")() == Word(leads=True)
    assert Ear(redis_url, "attic", "i1")() == Word(leads=False)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis with a password, and a user who may do no more than the switch needs."""
    rights = ["resetkeys", f"~{KEYS.prefix}*", "+get", "+hget"]
    with RedisServer(
        tmp_path, "--user", "switch", "on", ">p@ss/word", *rights, "--user", "poor", "on", ">p", "+get"
    ) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set(KEYS.lease, "daemon:1")
            client.config_set("requirepass", "p@ss")
        yield server


@pytest.mark.parametrize("who", ["switch:p%40ss%2Fword", ":p%40ss"])
def test_it_needs_a_password_or_a_user_with_two_rights(guarded: RedisServer, who: str) -> None:
    assert Ear(guarded.url.replace("//", f"//{who}@"), "attic", "i1")() == Word(leads=True)


@pytest.mark.parametrize(
    ("who", "refusal"),
    [("", "NOAUTH"), (":wrong@", "WRONGPASS"), ("switch:wrong@", "WRONGPASS"), ("poor:p@", "NOPERM")],
)
def test_a_refusal_is_silence_with_its_reason_and_without_the_password(
    guarded: RedisServer, who: str, refusal: str
) -> None:
    heard = Ear(guarded.url.replace("//", f"//{who}"), "attic", "i1")()

    assert isinstance(heard, str)
    assert heard.startswith(f"Redis at 127.0.0.1:{guarded.port} refuses: {refusal}")
    assert "wrong" not in heard


def test_a_heartbeat_that_may_not_be_read_counts_as_busy_and_the_daemon_is_heard_all_the_same(
    guarded: RedisServer,
) -> None:
    url = guarded.url.replace("//", "//halfway:p@")
    with redis.Redis.from_url(guarded.url.replace("//", "//:p%40ss@")) as client:
        client.acl_setuser("halfway", enabled=True, passwords=["+p"], keys=["*"], commands=["+get"])
    heard = Ear(url, "attic", "i1")()
    assert isinstance(heard, Word)
    assert heard.leads
    assert Machine(lambda _: heard._replace(leads=False)).run(9e9) == [2 * S]


def test_a_redis_that_is_away_is_silence_with_its_reason() -> None:
    port = free_port()

    heard = Ear(f"redis://:hunter2@127.0.0.1:{port}", "attic", "i1")()

    assert isinstance(heard, str)
    assert heard.startswith(f"Redis at 127.0.0.1:{port} does not answer: ")
    assert "hunter2" not in heard


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis that speaks TLS, with the certificate in `cert.pem`."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=x -addext"
    subprocess.run([*make.split(), "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, check=True, capture_output=True)
    files = ["--tls-cert-file", tmp_path / "cert.pem", "--tls-key-file", tmp_path / "key.pem"]
    port = free_port()
    with RedisServer(tmp_path, "--tls-port", str(port), *map(str, files), "--tls-auth-clients", "no"):
        yield port


def test_it_hears_over_tls_from_whom_it_can_trust(tls_port: int, tmp_path: Path) -> None:
    url = f"rediss://127.0.0.1:{tls_port}"

    assert Ear(f"{url}?ssl_ca_certs={tmp_path}/cert.pem", "attic", "i1")() == Word(leads=False)
    assert Ear(f"{url}?ssl_cert_reqs=none", "attic", "i1")() == Word(leads=False)
    assert "certificate verify failed" in str(Ear(url, "attic", "i1")())


# --- the process ------------------------------------------------------------------------------------------------------

ARMED = {"AUTOSCALER_DEAD_MAN_S": "600", "AUTOSCALER_FLEET": "attic", "AUTOSCALER_INSTANCE": "i1"}


def test_it_is_off_unless_it_is_told_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert deadman.main(VAST | {"REDIS_URL": "redis://queue"}) == 0
    assert capsys.readouterr().err.startswith("deadman: off: AUTOSCALER_DEAD_MAN_S is not set")


def test_the_command_is_the_same_switch() -> None:
    result = CliRunner().invoke(main, ["deadman"], env={"AUTOSCALER_DEAD_MAN_S": "600", "REDIS_URL": None})

    assert result.exit_code == 2
    assert "deadman: error: AUTOSCALER_FLEET: not set" in result.stderr


def test_everything_that_is_missing_is_told_at_once_and_no_value_is_repeated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert deadman.main({"AUTOSCALER_DEAD_MAN_S": "-5", "REDIS_URL": "http://:hunter2@queue"}) == 2

    said = capsys.readouterr().err
    assert [line.split(":")[2].strip().partition(" (")[0] for line in said.splitlines()] == [
        "AUTOSCALER_DEAD_MAN_S",
        "AUTOSCALER_FLEET",
        "AUTOSCALER_INSTANCE",
        "AUTOSCALER_REDIS_URL or REDIS_URL",
        "not on Vast.ai",
    ]
    assert "hunter2" not in said


def test_it_is_one_file_that_an_old_python_can_run_alone() -> None:
    assert imported_by(deadman) <= sys.stdlib_module_names


def test_its_copy_runs_without_this_package(tmp_path: Path) -> None:
    copy = tmp_path / "deadman.py"
    copy.write_text(Path(deadman.__file__).read_text(encoding="utf-8"))

    run = subprocess.run([sys.executable, "-I", "-S", copy], env={}, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stderr.partition(":")[0]) == (0, "deadman")


# --- the setting ------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize(("dead_man", "told"), [(None, None), (1800.0, "1800")])
async def test_a_machine_is_told_how_long_only_where_that_is_set(dead_man: float | None, told: str | None) -> None:
    machine = replace(pool().machine, dead_man=dead_man)
    world = Rehearsal(CALM, pools=(pool(machine=machine),))
    await world.daemon().live(60)

    [rented] = [each for each in world.market.machines.values() if each.label]
    assert rented.env.get("AUTOSCALER_DEAD_MAN_S") == told


def test_a_time_that_a_restart_could_take_is_refused() -> None:
    with pytest.raises(SettingsError) as refusal:
        load_config(GOOD.replace("gpus: [g]", "gpus: [g], dead_man: 9m"), {})

    assert refusal.value.problems == (
        (
            "pools.images.machine.dead_man: 9m - expected at least 10m, so that a daemon that restarts costs "
            "no machine; leave it out for none (line 6)"
        ),
    )
