"""`autoscaler why` against a daemon's API on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autoscaler.cli.why import why
from tests.support.api import FakeDaemon, Json, a_pool, a_status, an_entry, run_command
from tests.support.redis_server import free_port


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon().serving() as daemon:
        yield daemon


def quiet_pool(*why_not: tuple[str, str], why: tuple[tuple[str, str], ...] = (), **changes: Any) -> Json:
    decision = {
        "hot": 2,
        "warm": 2,
        "why": [{"rule": rule, "text": text} for rule, text in why],
        "why_not": [{"rule": rule, "text": text} for rule, text in why_not],
    }
    return a_pool(**({"decision": decision, "commands": []} | changes))


def reasons_against(action: str, output: str) -> list[str]:
    """What `why` says of one action."""
    _, _, after = output.partition("Why nothing else is done:\n")
    return [line.split(maxsplit=1)[1] for line in after.splitlines() if line.split(maxsplit=1)[:1] == [action]]


def test_it_tells_the_last_decisions_with_their_reasons(daemon: FakeDaemon) -> None:
    result = run_command(why, "--url", daemon.url)
    assert result.exit_code == 0
    lines = [line.strip() for line in result.output.splitlines()]
    assert lines[:6] == [
        "Pool images",
        "What was decided, newest first:",
        "11-18 11:06:37  3 HOT, at most 2 WARM",
        "because 33 jobs wait, more than 30, and no standby is left: rent",
        "11-18 11:05:10  2 HOT, at most 2 WARM",
        "because nothing was to be changed",
    ]


def test_count_limits_the_decisions(daemon: FakeDaemon) -> None:
    assert "11:05:10" not in run_command(why, "--count", "1", "--url", daemon.url).output
    assert "What was decided" not in run_command(why, "--count", "0", "--url", daemon.url).output


def test_it_tells_what_is_wanted_and_done_now(daemon: FakeDaemon) -> None:
    output = run_command(why, "--url", daemon.url).output
    assert "Now 33 jobs wait; machines up or on their way: 2, WARM: 0." in output
    assert "wanted   3 HOT, at most 2 WARM" in output
    assert "done     rent a machine at mock-spot: 3 machines wanted, 2 up" in output


def test_every_action_has_a_reason_against_it_with_how_far_it_is(daemon: FakeDaemon) -> None:
    pool = quiet_pool(
        ("thresholds.rent", "12 jobs wait; it takes more than 30"),
        ("thresholds.stop", "quiet for 4m of 30m"),
        ("plan.rent", "mock-spot: no offer at or below 0.45 USD/h"),
    )
    daemon.status = a_status(pools=[pool])
    output = run_command(why, "--url", daemon.url).output
    assert reasons_against("rent", output) == [
        "12 jobs wait; it takes more than 30  [thresholds.rent]",
        "mock-spot: no offer at or below 0.45 USD/h  [plan.rent]",
        "2 up, 2 wanted, 1..4 allowed: none is missing  [plan]",
    ]
    assert reasons_against("resume", output) == ["no machine is WARM  [plan]"]
    assert reasons_against("stop", output) == [
        "quiet for 4m of 30m  [thresholds.stop]",
        "2 HOT, 2 wanted: none is too many  [plan]",
    ]
    assert reasons_against("release", output) == ["0 WARM, 2 kept at most: none is too many  [plan]"]


def test_the_numbers_tell_how_far_each_action_is(daemon: FakeDaemon) -> None:
    pool = quiet_pool(up=1)
    pool["phases"] |= {"hot": 3, "warm": 4}
    daemon.status = a_status(pools=[pool])
    output = run_command(why, "--url", daemon.url).output
    assert reasons_against("rent", output) == ["WARM machines are resumed first: 4  [plan]"]
    assert reasons_against("resume", output) == ["1 up, 2 wanted, 1..4 allowed: 1 missing  [plan]"]
    assert reasons_against("stop", output) == ["3 HOT, 2 wanted: 1 too many  [plan]"]
    assert reasons_against("release", output) == ["4 WARM, 2 kept at most: 2 too many  [plan]"]


ACTIONS = ("rent", "resume", "stop", "release")


def spoken_against(daemon: FakeDaemon, pool: Json) -> set[str]:
    """The actions against which a rule whose text is `held` stands."""
    daemon.status = a_status(pools=[pool])
    output = run_command(why, "--url", daemon.url).output
    return {action for action in ACTIONS if any("held" in reason for reason in reasons_against(action, output))}


@pytest.mark.parametrize(
    ("rule", "actions"),
    [
        ("paused", set(ACTIONS)),
        ("order.floor", {"stop"}),
        ("order.ceiling", {"rent", "resume"}),
        ("unknown", {"stop", "release"}),
        ("wait_target.unknown", {"stop", "release"}),
        ("budget.stop", {"rent", "resume"}),
        ("pace.up", {"rent", "resume"}),
        ("pace.down", {"stop"}),
        ("retention.keep", {"stop"}),
        ("forecast.hold", {"stop"}),
        ("schedule.open", {"stop"}),
        ("limits.warm", {"release"}),
        ("thresholds.rent", set()),
    ],
)
def test_what_led_to_the_decision_stands_against_what_it_holds_back(
    daemon: FakeDaemon, rule: str, actions: set[str]
) -> None:
    assert spoken_against(daemon, quiet_pool(why=((rule, "held"),))) == actions


@pytest.mark.parametrize(
    ("rule", "actions"),
    [
        ("fresh_start", {"stop", "release"}),
        ("plan.race", {"rent"}),
        ("health.replace", {"rent"}),
        ("budget.standby", {"rent"}),
        ("wait_target.fewer", {"stop"}),
        ("thresholds.release", {"release"}),
        ("forecast.skill", {"rent", "resume"}),
    ],
)
def test_what_was_not_done_stands_against_its_action(daemon: FakeDaemon, rule: str, actions: set[str]) -> None:
    assert spoken_against(daemon, quiet_pool((rule, "held"))) == actions


@pytest.mark.parametrize(("hot", "actions"), [(4, {"rent", "resume"}), (1, {"stop"})])
def test_the_limits_stand_against_more_machines_at_the_most_and_against_fewer_at_the_least(
    daemon: FakeDaemon, hot: int, actions: set[str]
) -> None:
    pool = quiet_pool(why=(("limits.hot", "held"),))
    pool["decision"]["hot"] = hot
    assert spoken_against(daemon, pool) == actions


def test_an_unknown_queue_is_said_to_be_unknown(daemon: FakeDaemon) -> None:
    pool = quiet_pool()
    pool["demand"] = {**pool["demand"], "unknown": "Redis cannot be reached", "waiting": None, "tiers": []}
    daemon.status = a_status(pools=[pool])
    assert "Now the queue cannot be read (Redis cannot be reached)" in run_command(why, "--url", daemon.url).output


def test_one_pool_can_be_asked_for(daemon: FakeDaemon) -> None:
    daemon.status = a_status(pools=[a_pool(), a_pool("chat")])
    daemon.journal = {"entries": [an_entry("decision", "", 5.0, hot=7, warm=1)]}
    output = run_command(why, "chat", "--url", daemon.url).output
    assert "Pool chat" in output
    assert "Pool images" not in output
    assert "7 HOT" not in output, "another pool's decision"


def test_a_pool_that_is_not_there_is_an_error_that_names_those_that_are(daemon: FakeDaemon) -> None:
    result = run_command(why, "imges", "--url", daemon.url)
    assert result.exit_code == 2
    assert result.stderr == "error: no pool 'imges'; the daemon's pools: images\n"


def test_a_pool_that_is_led_elsewhere_is_an_error_that_says_by_whom(daemon: FakeDaemon) -> None:
    daemon.status = a_status(leaders={"images": "day:1:x", "chat": "night:2:y"})
    result = run_command(why, "chat", "--url", daemon.url)
    assert result.exit_code == 2
    assert result.stderr == "error: chat is led by process 2 on night: ask there, with --url\n"


@pytest.mark.parametrize(
    ("at", "said"), [(None, "the first tick is still to come"), (1.0, "another daemon leads this fleet")]
)
def test_where_nothing_was_decided_it_says_why(daemon: FakeDaemon, at: float | None, said: str) -> None:
    daemon.status = a_status(at=at, pools=[])
    result = run_command(why, "images", "--url", daemon.url)
    assert result.exit_code == 0
    assert result.output == f"Nothing was decided here: {said}.\n"


def test_without_a_daemon_it_exits_with_2() -> None:
    result = run_command(why, "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 2
    assert "start one with: autoscaler run" in result.stderr
