"""`autoscaler queue` against a real Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from rich.console import Console

from autoscaler.acl import PASSWORD
from autoscaler.cli.queue import queue
from autoscaler.cli.queue_view import queue_view
from autoscaler.core.demand import AgeSource, Demand, InFlightKind, TierDemand, Unknown
from autoscaler.core.spec import Tier
from autoscaler.queues.caution import ADVICE, Caution
from tests.support.api import run_command
from tests.support.queues import NOW
from tests.support.redis_server import free_port

CONFIG = """\
fleet: llamasketch
redis: {redis}
{more}
tick: 100ms
pools:
  images:
    queue:
      kind: zset
      score: time
      tiers: [{{name: pro, key: jobs:pro, wait_target: 30s}}, {{name: free, key: jobs:free}}]
    machine: {{image: i, gpus: [RTX 4090]}}
    placements: [{{provider: mock, max_usd_per_hour: 0.9}}]
  speech:
    queue: {{kind: stream, group: workers, tiers: [{{name: all, key: speech}}]}}
    machine: {{image: i, gpus: [RTX 4090]}}
    placements: [{{provider: mock, max_usd_per_hour: 0.9}}]
providers: {{mock: {{}}}}
"""
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration for a Redis; gives its path."""

    def written(url: str, more: str = "") -> str:
        file = tmp_path / "fleet.yaml"
        file.write_text(CONFIG.format(redis=url, more=more))
        return str(file)

    return written


@pytest.fixture
def filled(redis_url: str) -> str:
    """A Redis with a late job and one that is due in the year 2100, and a stream with one entry."""
    with redis.Redis.from_url(redis_url) as client:
        client.zadd("jobs:pro", {"a": NOW - 86400.0 * 365, "b": 4_102_444_800.0})
        client.xadd("speech", {"job": "1"})
    return redis_url


def shown(demand: Demand | Unknown, *tiers: Tier, width: int = 80) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(queue_view(demand, tiers))
    return [line.rstrip() for line in capture.get().splitlines()]


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_tier_says_what_waits_what_is_due_and_whether_it_is_late() -> None:
    demand = Demand(
        taken_at=NOW,
        tiers=(
            TierDemand(
                tier="pro", waiting=3, delayed=2, next_due_at=NOW + 300, oldest_wait_s=45.0, age_source=AgeSource.EXACT
            ),
            TierDemand(tier="free", waiting=101, waiting_is_lower_bound=True, delayed=None),
            TierDemand(tier="idle", waiting=0),
        ),
        in_flight=4,
        in_flight_kind=InFlightKind.EXECUTING,
    )
    targets = (Tier(name="pro", wait_target=30.0), Tier(name="free"), Tier(name="idle"))
    assert shown(demand, *targets) == [
        "  tier  waiting  delayed        oldest               target",
        "  pro         3  2, next in 5m  45s, by the library  30s  late",
        "  free     ≥101  ?              not known            2m",
        "  idle        0  -              -                    2m",
        "  in flight: 4 being worked on",
    ]


def test_a_job_that_came_due_since_it_was_read_is_next_at_once() -> None:
    tier = TierDemand(tier="pro", waiting=0, delayed=1, next_due_at=NOW - 5)
    assert "1, next in 0s" in shown(Demand(taken_at=NOW, tiers=(tier,)))[1]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (AgeSource.EXACT, "7s, by the library"),
        (AgeSource.STREAM_ID, "7s, by the entry's id"),
        (AgeSource.CONFIGURED, "7s, by the job's own time"),
        (AgeSource.ESTIMATED, "7s, estimated"),
    ],
)
def test_an_age_says_where_it_comes_from(source: AgeSource, words: str) -> None:
    tier = TierDemand(tier="pro", waiting=1, oldest_wait_s=7.0, age_source=source)
    assert words in shown(Demand(taken_at=NOW, tiers=(tier,)))[1]


def test_an_estimate_from_below_is_shown_as_such() -> None:
    tier = TierDemand(tier="pro", waiting=1, oldest_wait_s=7.0, age_source=AgeSource.ESTIMATED)
    demand = Demand(taken_at=NOW, tiers=(tier,), advice={Caution.AGE_LOWER_BOUND: ""})
    assert "≥7s, estimated" in shown(demand)[1]


def test_what_is_out_of_the_ordinary_stands_below() -> None:
    demand = Demand(
        taken_at=NOW, tiers=(), paused=True, seen=False, advice={Caution.CLOCK_SKEW: ADVICE[Caution.CLOCK_SKEW]}
    )
    assert shown(demand, width=120)[1:] == [
        "  in flight: hidden: this queue does not show them, so only heartbeats tell whether a machine is busy",
        "  ! paused: workers take no jobs until it is resumed",
        "  ! never seen: is its name right? No key of this queue exists",
        "  ! clock_skew: let both machines keep their time by NTP",
    ]


def test_a_queue_that_cannot_be_read_says_why() -> None:
    assert shown(Unknown("queue key 'a' holds a string", NOW)) == ["  Unknown: queue key 'a' holds a string"]


# --- the command ------------------------------------------------------------------------------------------------------


def test_it_reads_the_queue_of_each_pool(filled: str, write: Write) -> None:
    result = run_command(queue, write(filled))
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0] == "images  sorted sets"
    assert lines[2].startswith("  pro         1  1, next in ")
    assert lines[2].endswith("30s  late")
    speech = lines[lines.index("speech  streams") + 2]
    assert (speech.split()[:3], "by the entry's id" in speech) == (["all", "1", "-"], True)


def test_json_has_the_form_that_status_has(filled: str, write: Write) -> None:
    document = json.loads(run_command(queue, write(filled), "--json").stdout)
    assert set(document) == {"fleet", "at", "pools"}
    assert [(pool["name"], pool["kind"]) for pool in document["pools"]] == [("images", "zset"), ("speech", "stream")]
    pro = document["pools"][0]["demand"]["tiers"][0]
    assert (pro["tier"], pro["waiting"], pro["delayed"], pro["next_due_at"]) == ("pro", 1, 1, 4_102_444_800.0)
    assert (pro["age_source"], pro["wait_target_s"]) == ("configured", 30.0)


def test_it_leaves_no_trace(filled: str, write: Write) -> None:
    with redis.Redis.from_url(filled) as client:
        before = sorted(client.keys())
        run_command(queue, write(filled))
        assert sorted(client.keys()) == before


def test_a_queue_that_is_unknown_makes_it_exit_with_1_and_spoils_no_other(filled: str, write: Write) -> None:
    with redis.Redis.from_url(filled) as client:
        client.delete("jobs:pro")
        client.set("jobs:pro", "x")
    result = run_command(queue, write(filled))
    assert result.exit_code == 1
    assert "  Unknown: queue key 'jobs:pro' holds a string; expected a zset" in result.stdout
    assert "by the entry's id" in result.stdout


def test_a_redis_that_is_away_is_unknown(write: Write) -> None:
    result = run_command(queue, write(f"redis://127.0.0.1:{free_port()}"), "--json")
    assert result.exit_code == 1
    demands = [pool["demand"] for pool in json.loads(result.stdout)["pools"]]
    assert all(demand["unknown"].startswith("Redis cannot be reached") for demand in demands)


def test_a_bad_configuration_and_a_redis_that_refuses_us_exit_with_2(redis_url: str, write: Write) -> None:
    assert run_command(queue, write("nonsense")).exit_code == 2
    refused = run_command(queue, write(redis_url.replace("redis://", "redis://nobody:wrong@")))
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: redis: ")


def test_watch_reads_on_each_tick_until_ctrl_c(filled: str, write: Write) -> None:
    code = "from autoscaler.cli.queue import queue; queue()"
    command = [sys.executable, "-c", code, write(filled), "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout
        first, second = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert first["at"] < second["at"]
    assert (process.returncode, errors) == (0, b"")


# --- rights -----------------------------------------------------------------------------------------------------------


def acl_lines(result: Any) -> Mapping[str, str]:
    """The lines by the comment above each."""
    lines = result.stdout.splitlines()[1:]
    return dict(zip(lines[::2], lines[1::2], strict=True))


def test_acl_prints_a_user_for_new_and_for_old_servers_without_the_password(write: Write) -> None:
    result = run_command(queue, write("redis://gpu:hunter2@queue"), "--acl")
    assert result.exit_code == 0
    assert "hunter2" not in result.stdout
    new, old, machine = acl_lines(result).values()
    assert new.startswith(f"ACL SETUSER gpu reset on >{PASSWORD} ~autoscaler:{{llamasketch}}:* ")
    assert new.partition("(")[2].startswith("%R~jobs:pro %R~jobs:free %R~speech +exists ")
    assert "~autoscaler:{llamasketch}:* ~jobs:pro ~jobs:free ~speech " in old
    assert "(" not in old
    assert machine.startswith(f"ACL SETUSER machine reset on >{PASSWORD} ~autoscaler:{{llamasketch}}:workers ")
    assert "jobs:" not in machine


def test_acl_prints_a_user_for_each_redis(write: Write) -> None:
    result = run_command(queue, write("redis://queue", "store: redis://:secret@state"), "--acl")
    lines = acl_lines(result)
    assert [comment.partition(",")[0] for comment in lines] == [
        "# redis://queue:6379",
        "# redis://state:6379",
        "# redis://state:6379",
    ]
    reader, keeper, _machine = lines.values()
    assert ("jobs:pro" in reader, "autoscaler:{" in reader) == (True, False)
    assert ("jobs:pro" in keeper, "autoscaler:{" in keeper) == (False, True)


def test_acl_prints_one_user_where_the_store_is_the_queues_redis(write: Write) -> None:
    result = run_command(queue, write("redis://queue", "store: redis://queue"), "--acl")
    assert [comment.partition(".")[0] for comment in acl_lines(result)] == [
        "# Redis 7 and later, Valkey 8 and later",
        "# Redis 6",
        "# redis://queue:6379, whom the machines are, Redis 7 and later",
    ]


def test_the_printed_user_lets_the_command_itself_read(filled: str, write: Write) -> None:
    line, *_ = acl_lines(run_command(queue, write(filled), "--acl")).values()
    with redis.Redis.from_url(filled) as client:
        client.execute_command(*line.replace(PASSWORD, "pw").split(" "))
    result = run_command(queue, write(filled.replace("redis://", "redis://autoscaler:pw@")))
    with redis.Redis.from_url(filled) as client:
        client.acl_deluser("autoscaler")
    assert result.exit_code == 0
