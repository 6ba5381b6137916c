"""`autoscaler init` against a real Redis; its questions on a real terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import redis

from autoscaler.cli.check import check
from autoscaler.cli.init import _unseen, init
from autoscaler.config import load_config
from autoscaler.discover import Looked
from autoscaler.queues.library import Keyspace
from autoscaler.runtime.clock import SystemClock
from tests.support.api import run_command
from tests.support.redis_server import free_port
from tests.support.terminal import on_terminal

_JOB = json.dumps({"created_at": SystemClock().now() - 40.25 * 86400.0})
"""Of an age in days and hours, whatever the time of day."""


@pytest.fixture
def filled(redis_url: str) -> str:
    """A Redis with a queue of two tiers, a stream, and other things."""
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("jobs:pro", _JOB)
        client.rpush("jobs:free", _JOB, _JOB)
        client.xadd("speech", {"job": "1"})
        client.xgroup_create("speech", "workers", "0")
        client.set("cache:page", "x")
        client.hset("user:1", "name", "x")
    return redis_url


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "fleet.yaml"


def test_with_yes_it_takes_all_that_it_finds_and_check_accepts_it(filled: str, output: Path) -> None:
    result = run_command(init, "--redis", filled, "--yes", "--output", str(output))
    assert (result.exit_code, result.stderr) == (0, "")
    config = load_config(output, {})
    assert {name: pool.queue.kind for name, pool in config.pools.items()} == {"jobs": "list", "speech": "stream"}
    assert [tier.name for tier in config.pools["jobs"].queue.tiers] == ["pro", "free"]
    assert list(config.providers) == ["mock"]
    checked = run_command(check, str(output))
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert result.stdout.endswith(f"Wrote {output}.\n\nNext: autoscaler check {output}\n")


def test_it_shows_what_it_found_and_what_it_left_out(filled: str, output: Path) -> None:
    result = run_command(init, "--redis", filled, "--yes", "--output", str(output))
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0] == f"2 queues among 5 keys of {filled}:"
    assert "1  jobs  plain lists" in lines
    assert any(re.fullmatch(r"  free        2  -        \d+d \d+h, by the job's own time", line) for line in lines)
    assert "  ? the order of the tiers, most urgent first, is guessed from their names" in lines
    assert lines[lines.index("left out, hash: user:1") + 1] == "left out, string: cache:page"


def test_of_many_keys_that_are_left_out_a_few_are_named(filled: str, output: Path) -> None:
    with redis.Redis.from_url(filled) as client:
        client.mset({f"cache:{number}": "x" for number in range(5)})
    result = run_command(init, "--redis", filled, "--yes", "--output", str(output))
    assert "left out, string: cache:0, cache:1, cache:2, cache:3 and 2 more\n" in result.stdout


def test_a_password_is_neither_written_nor_shown(filled: str, output: Path) -> None:
    with redis.Redis.from_url(filled) as client:
        client.execute_command("ACL", "SETUSER", "looker", "reset", "on", ">hunter2", "~*", "+@all")
    url = filled.replace("redis://", "redis://looker:hunter2@")
    result = run_command(init, "--redis", url, "--yes", "--output", str(output))
    assert result.exit_code == 0
    assert "hunter2" not in result.output + output.read_text()
    assert "set this first: REDIS_URL" in result.stdout
    assert load_config(output, {"REDIS_URL": url}).redis.url == url


def test_the_variable_that_the_file_refers_to_may_say_where_to_look(
    filled: str, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", filled)
    result = run_command(init, "--yes", "--output", str(output))
    assert (result.exit_code, result.stderr) == (0, "")
    assert load_config(output, {}).redis.url == filled


def test_an_existing_file_is_kept_unless_it_is_told_otherwise(filled: str, output: Path) -> None:
    output.write_text("mine")
    result = run_command(init, "--redis", filled, "--yes", "--output", str(output))
    assert result.exit_code == 2
    assert result.stderr == f"error: --output: {output} exists; name another file, or overwrite it with --force\n"
    assert output.read_text() == "mine"
    assert run_command(init, "--redis", filled, "--yes", "--force", "--output", str(output)).exit_code == 0
    assert "jobs:pro" in output.read_text()


def test_without_a_terminal_it_does_not_ask(filled: str, output: Path) -> None:
    result = run_command(init, "--redis", filled, "--output", str(output))
    assert result.exit_code == 2
    assert result.stderr == "error: there is no terminal to ask on; expected --yes, which asks nothing\n"
    assert not output.exists()


def test_a_redis_in_which_nothing_is_recognised_is_bad_input(redis_url: str, output: Path) -> None:
    result = run_command(init, "--redis", redis_url, "--yes", "--output", str(output))
    assert result.exit_code == 2
    assert "no queue was recognised among 0 keys; is this the right Redis" in result.stderr
    assert not output.exists()


def test_a_redis_that_is_away_or_no_address_is_named(output: Path) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    away = run_command(init, "--redis", url, "--yes", "--output", str(output))
    assert (away.exit_code, away.stderr.startswith(f"error: --redis {url}: Redis cannot be reached")) == (2, True)
    wrong = run_command(init, "--redis", "http://x", "--yes", "--output", str(output))
    assert (wrong.exit_code, wrong.stderr.startswith("error: --redis: expected ")) == (2, True)


def test_a_file_that_cannot_be_written_is_named_before_anything_is_looked_at_or_asked(tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "fleet.yaml"
    away = f"redis://127.0.0.1:{free_port()}"
    result = run_command(init, "--redis", away, "--yes", "--output", str(output))
    expected = "expected a directory that you may write"
    assert (result.exit_code, result.stderr) == (2, f"error: --output: {output} cannot be written; {expected}\n")


def test_keys_that_were_not_looked_at_are_told_also_where_no_queue_was_recognised(filled: str, output: Path) -> None:
    with redis.Redis.from_url(filled) as client:
        client.execute_command("ACL", "SETUSER", "guest", "reset", "on", ">pw", "~jobs:*", "~cache:*", "+@all")
    url = filled.replace("redis://", "redis://guest:pw@")
    found = run_command(init, "--redis", url, "--yes", "--output", str(output))
    assert (found.exit_code, found.stderr) == (0, "")
    assert "This user may not read 2 keys, so queues may be missing here.\n" in found.stdout
    with redis.Redis.from_url(filled) as client:
        client.delete("jobs:pro", "jobs:free")
    nothing = run_command(init, "--redis", url, "--yes", "--force", "--output", str(output))
    assert nothing.exit_code == 2
    assert "among 3 keys. This user may not read 2 keys, so queues may be missing here; is this" in nothing.stderr
    partly = Looked(keyspace=Keyspace({}), seen=7, complete=False)
    assert list(_unseen(partly)) == [
        "There are more keys: only 7 were looked at, so queues may be missing here",
    ]


def test_its_answers_are_what_is_written(filled: str, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(output.parent)
    with on_terminal("init", "--redis", filled) as terminal:
        terminal.answer("Which queues? [1, 2]: ", "7")
        terminal.answer("Error: 7 is none of 1, 2\nWhich queues? [1, 2]: ", "2,1, 2")
        terminal.answer("Name of the fleet, which every machine rented will carry [gpus]: ", "llama")
        terminal.answer("Name of the pool [speech]: ")
        terminal.answer("  speech: name of the tier [speech]: ", "all")
        terminal.answer("  all: longest wait before a job starts [2m]: ", "90")
        terminal.answer("  all: longest wait before a job starts [2m]: ", "0s")
        terminal.answer("expected more than 0s\n  all: longest wait before a job starts [2m]: ", "90s")
        terminal.answer("Container image with the worker [ghcr.io/acme/worker:latest]: ", "acme/w:1")
        terminal.answer("GPU types that will do, best first [RTX 4090, RTX 3090]: ", "A100")
        terminal.answer("Provider: mock, runpod, vastai [mock]: ", " vastai ")
        amount = "Most to pay for one machine, USD an hour [0.9]: "
        for wrong in ("1,5", "0", "nan"):
            terminal.answer(amount, wrong)
            terminal.until("Error: expected an amount of USD, at least a cent, such as 0.9\n")
        terminal.answer(amount, "1.5")
        terminal.answer("Most to spend, USD a day [20]: ", "12")
        terminal.answer("Name of the pool [jobs]: ", "speech")
        terminal.answer("speech is taken; each needs a name of its own\nName of the pool [jobs]: ", "pictures")
        terminal.answer("Tiers to serve, most urgent first [pro, free]: ", "free, pro")
        terminal.answer("  free: name of the tier [free]: ")
        terminal.answer("  free: longest wait before a job starts [2m]: ", "5m")
        terminal.answer("  pro: name of the tier [pro]: ")
        terminal.answer("  pro: longest wait before a job starts [30s]: ")
        for question, answer in (("image", ""), ("GPU", ""), ("Provider", "mock"), ("machine", ""), ("a day", "")):
            terminal.answer(question, answer)
        assert terminal.ended() == 0
        assert "set this first: VAST_API_KEY" in terminal.text
        assert terminal.widest <= 80
    config = load_config(output, {"VAST_API_KEY": "x"})
    assert "the order of the tiers" not in output.read_text()
    assert config.fleet == "llama"
    speech, pictures = config.pools["speech"], config.pools["pictures"]
    assert [(tier.name, tier.wait_target) for tier in speech.queue.tiers] == [("all", 90.0)]
    assert [(tier.name, tier.wait_target) for tier in pictures.queue.tiers] == [("free", 300.0), ("pro", 30.0)]
    assert (speech.machine.image, speech.machine.gpus) == ("acme/w:1", ("A100",))
    assert (pictures.machine.image, pictures.placements[0].max_usd_per_hour) == ("acme/w:1", 1.5)
    assert [pool.placements[0].provider for pool in (speech, pictures)] == ["vastai", "mock"]
    assert speech.limits.usd_per_day.stop == 12.0


def test_ctrl_c_leaves_nothing_behind(filled: str, output: Path) -> None:
    with on_terminal("init", "--redis", filled, "--output", str(output)) as terminal:
        terminal.answer("Which queues?", "1")
        terminal.until("Name of the fleet")
        assert terminal.interrupted() == 130
        assert terminal.text.endswith("Nothing was written.\n")
    assert list(output.parent.iterdir()) == []
