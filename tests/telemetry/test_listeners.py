"""Telling several listeners."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from autoscaler.core.decision import Outcome
from autoscaler.core.journal import Entry, Kind
from autoscaler.runtime.report import TickReport
from autoscaler.telemetry.listeners import Listeners
from tests.support.reports import NOW, outcome, report

ENTRY = Entry(at=NOW, kind=Kind.OPERATOR, text="paused by ann")


class Recorder:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def ticked(self, report: TickReport) -> None:
        self.told.append(report)

    def failed(self, reason: str, now: float) -> None:
        self.told.append((reason, now))

    def noted(self, entry: Entry) -> None:
        self.told.append(entry)

    def called(self, provider: str, outcome: Outcome) -> None:
        self.told.append((provider, outcome))

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        self.told.append((placement, seconds, resumed))


class Broken(Recorder):
    """Fails at every tick."""

    def ticked(self, report: TickReport) -> None:
        raise ZeroDivisionError(report.at)


@pytest.fixture
def events() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


def test_each_listener_is_told_everything() -> None:
    first, second = Recorder(), Recorder()
    listeners, tick, answer = Listeners([first, second]), report(), outcome()
    listeners.ticked(tick)
    listeners.failed("away", NOW)
    listeners.noted(ENTRY)
    listeners.called("mock", answer)
    listeners.came_up("mock-spot", 60.0, resumed=True)
    assert first.told == [tick, ("away", NOW), ENTRY, ("mock", answer), ("mock-spot", 60.0, True)]
    assert second.told == first.told


def test_a_listener_that_fails_keeps_nobody_else_from_hearing(events: LogCapture) -> None:
    broken, sound = Broken(), Recorder()
    listeners = Listeners([broken, sound])
    listeners.ticked(report())
    listeners.noted(ENTRY)
    assert len(sound.told) == 2
    assert broken.told == [ENTRY]


def test_a_listener_that_keeps_failing_is_logged_once(events: LogCapture) -> None:
    listeners = Listeners([Broken(), Recorder(), Broken()])
    for _ in range(3):
        listeners.ticked(report())
    assert [event["event"] for event in events.entries] == ["listener_failed"] * 2
    assert events.entries[0]["listener"] == "Broken"
