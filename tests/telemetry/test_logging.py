"""What the daemon writes to standard error."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import pytest
import structlog

from autoscaler.core.decision import Action, Command, Decision, Reason, Result
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import (
    Entry,
    Kind,
    alarm_entry,
    command_entry,
    decision_entry,
    outcome_entry,
    phase_entry,
)
from autoscaler.telemetry.logging import LogListener, configure_logging
from tests.support.reports import NOW, RENT, listing, machine, outcome, pool_report, report


class Output:
    """Standard error as a program reads it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def text(self) -> str:
        captured = self._capsys.readouterr()
        assert captured.out == ""
        return captured.err

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]

    def names(self) -> list[str]:
        return [event["event"] for event in self.events()]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield Output(capsys)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def start(style: Literal["json", "console"] = "json") -> LogListener:
    """Within a test only: the captured stream of its set-up is another one."""
    configure_logging(style, "info")
    return LogListener()


def test_where_there_is_no_terminal_each_line_is_json(output: Output) -> None:
    configure_logging("auto", "info")
    structlog.get_logger().info("started", pools=2)
    [event] = output.events()
    assert (event["event"], event["pools"], event["level"]) == ("started", 2, "info")
    assert datetime.fromisoformat(event["timestamp"]).tzinfo is not None


def test_events_below_the_level_are_not_written(output: Output) -> None:
    configure_logging("json", "warning")
    structlog.get_logger().info("started")
    logging.getLogger("aiohttp").info("noise")
    structlog.get_logger().warning("late")
    assert output.names() == ["late"]


def test_what_libraries_log_takes_the_same_form(output: Output) -> None:
    configure_logging("json", "info")
    logging.getLogger("aiohttp.server").error("cannot reach %s", "redis://:hunter2@host")
    [event] = output.events()
    assert event["event"] == "cannot reach redis://***@host"
    assert event["level"] == "error"


def test_a_traceback_shows_no_secret(output: Output) -> None:
    for style in ("json", "console"):
        configure_logging(style, "info")
        try:
            raise OSError("redis://:hunter2@host is away")
        except OSError:
            structlog.get_logger().exception("failed")
        text = output.text()
        assert "hunter2" not in text
        assert "redis://***@host is away" in text


def test_people_get_the_text_and_nothing_twice(output: Output) -> None:
    start("console").noted(command_entry(RENT, NOW))
    [line] = output.text().splitlines()
    assert "command" in line
    assert "rent a machine at mock-spot: 2 machines wanted, 1 up" in line
    assert "pool=" not in line


def test_a_strangers_text_cannot_act_on_a_terminal_or_forge_a_line(output: Output) -> None:
    hostile = "\x1b[2J\rgone\n2026-01-01 [info] all is well \x9b0m"
    for style in ("json", "console"):
        start(style).noted(Entry(at=NOW, kind=Kind.ALARM, text=hostile, pool=hostile))
        logging.getLogger("aiohttp").error(hostile)
        text = output.text()
        assert len(text.splitlines()) == 2
        assert text.replace("\n", "").isprintable()


def test_each_entry_is_an_event_of_its_kind_with_its_fields(output: Output) -> None:
    listener = start()
    record = machine()
    decision = Decision(hot=2, warm=1, why=(Reason("thresholds.rent", "35 jobs wait"),))
    listener.noted(decision_entry(pool_report(record).snapshot, decision, NOW))
    listener.noted(command_entry(RENT, NOW))
    listener.noted(outcome_entry(RENT, record, outcome()))
    listener.noted(phase_entry(None, record, NOW))
    listener.noted(alarm_entry(record, NOW))
    listener.noted(Entry(at=NOW, kind=Kind.OPERATOR, text="paused by ann"))
    events = output.events()
    assert [event["event"] for event in events] == ["decision", "command", "outcome", "phase", "alarm", "operator"]
    assert [event["level"] for event in events] == ["info", "info", "info", "info", "error", "info"]
    assert events[0]["text"] == "images: 2 HOT wanted, 1 up: 35 jobs wait"
    assert (events[0]["hot"], events[0]["warm"], events[0]["why"]) == (2, 1, ["thresholds.rent"])
    assert (events[1]["pool"], events[1]["action"]) == ("images", "rent")
    assert (events[2]["instance"], events[2]["result"]) == ("m1", "ok")
    assert "instance" not in events[1]


def test_an_event_bears_the_daemons_time_not_the_writers(output: Output) -> None:
    listener = start()
    listener.noted(command_entry(RENT, NOW))
    [event] = output.events()
    assert datetime.fromisoformat(event["timestamp"]).timestamp() == NOW


def test_a_refused_call_is_a_warning(output: Output) -> None:
    listener = start()
    command = Command(action=Action.RESUME, pool="images", instance="m1", reason="")
    listener.noted(outcome_entry(command, machine(), outcome(Action.RESUME, Result.NO_CAPACITY)))
    assert output.events()[0]["level"] == "warning"


def test_a_quiet_tick_writes_nothing(output: Output) -> None:
    listener = start()
    for _ in range(10):
        listener.ticked(report(machine()))
    assert output.text() == ""


def test_a_failure_is_told_when_it_begins_once_a_minute_and_when_it_is_over(output: Output) -> None:
    listener = start()
    for tick in range(13):
        listener.failed("Redis did not answer in time", NOW + 10 * tick)
    listener.ticked(report(at=NOW + 130))
    listener.ticked(report(at=NOW + 140))
    events = output.events()
    assert [event["event"] for event in events] == ["tick_failed"] * 3 + ["tick_recovered"]
    assert events[0]["text"] == "nothing was done: Redis did not answer in time"
    assert events[3]["text"] == "ticks again, after 2m 10s of failures"
    assert events[3]["failed_for_s"] == 130


def test_what_fails_all_night_is_told_ever_more_seldom(output: Output) -> None:
    listener = start()
    for tick in range(8 * 360):
        listener.failed("401: the key was refused", NOW + 10 * tick)
    first, *_, last = output.events()
    told = [(datetime.fromisoformat(event["timestamp"]).timestamp() - NOW) / 60 for event in (first, last)]
    assert told == [0, 424]


def test_failures_that_take_turns_are_each_told_once_a_minute(output: Output) -> None:
    listener = start()
    for tick in range(6):
        listener.failed(("Redis is away", "the tick did not end within 10s")[tick % 2], NOW + 10 * tick)
    assert output.names() == ["tick_failed"] * 2


def test_a_failure_that_comes_back_is_told_again(output: Output) -> None:
    listener = start()
    listener.failed("away", NOW)
    listener.ticked(report(at=NOW + 10))
    listener.failed("away", NOW + 20)
    assert output.names() == ["tick_failed", "tick_recovered", "tick_failed"]


def test_a_queue_or_listing_that_is_lost_is_told_once_and_when_it_is_back(output: Output) -> None:
    listener = start()
    blind = {"images": pool_report(demand=Unknown("NOPERM", NOW))}
    deaf = {"mock": Unknown("AuthFailed: the key was refused", NOW)}
    for tick in range(3):
        listener.ticked(report(at=NOW + 10 * tick, pools=blind, listings=deaf))
    listener.ticked(report(at=NOW + 30, listings={"mock": listing()}))
    events = output.events()
    assert [event["event"] for event in events] == ["signal_lost"] * 2 + ["signal_back"] * 2
    assert events[0]["text"] == "the queue of images is unknown: NOPERM"
    assert events[0]["pool"] == "images"
    assert events[1]["text"] == "the list of machines at mock is unknown: AuthFailed: the key was refused"
    assert events[1]["provider"] == "mock"
    assert events[2]["lost_for_s"] == 30


def test_a_follower_misses_no_signal(output: Output) -> None:
    listener = start()
    listener.ticked(report(pools={"images": pool_report(demand=Unknown("NOPERM", NOW))}))
    for tick in range(3):
        listener.ticked(report(at=NOW + 10 * tick, leads=False, pools={}, listings={}))
    assert output.names() == ["signal_lost"]


def test_on_a_terminal_lines_are_for_people() -> None:
    program = (
        "from autoscaler.telemetry.logging import *; configure_logging('auto', 'info'); LogListener().failed('away', 0)"
    )
    terminal, end = os.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=end, check=True)
    line = os.read(terminal, 4096).decode()
    os.close(terminal)
    os.close(end)
    assert "nothing was done: away" in line
    assert not line.startswith("{")
