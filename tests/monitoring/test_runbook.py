"""Alerts, the daemon's own list of what needs a person, and the runbook have the same names for the same things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autoscaler.runtime.concerns import Name
from tests.support.prometheus import alerts

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.DOTALL | re.MULTILINE))
QUESTIONS = ("What it means", "What it costs", "Look at", "Do", "When it is nothing")
WITHOUT_CONCERN = {
    "AutoscalerQueueDeep": "the daemon acts on the depth itself; a person must know of the wait that comes of it",
    "AutoscalerAdmissionClosed": "to refuse is meant to be so; only for how long it lasts is worth a word",
    "AutoscalerMachinesLost": "one machine that is lost is ordinary; only how many in an hour tell",
    "AutoscalerBootsFailing": "one boot that fails is ordinary; only how many in an hour tell",
    "AutoscalerDaemonAbsent": "a daemon that is absent says nothing",
    "AutoscalerTwoLeaders": "each of the two takes itself for the only one",
    "AutoscalerNotificationsFailing": "what cannot be sent cannot be told that way either",
}
"""Alerts of which the daemon's own list has nothing, and why."""


def alert_of(name: Name) -> str:
    return "Autoscaler" + "".join(word.capitalize() for word in name.split("_"))


def test_each_concern_is_an_alert_of_the_same_name() -> None:
    assert {alert_of(name) for name in Name} - {rule.name for rule in alerts()} == set()


def test_each_alert_is_a_concern_or_says_why_not() -> None:
    assert {rule.name for rule in alerts()} - {alert_of(name) for name in Name} == set(WITHOUT_CONCERN)


def test_each_alert_has_a_section_and_each_section_an_alert() -> None:
    assert set(SECTIONS) == {rule.name for rule in alerts()}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_answers_what_one_asks_at_night(name: str) -> None:
    text = SECTIONS[name]
    asked = re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)
    assert tuple(asked) == QUESTIONS
    assert re.search(r"^```sh\n\S", text, re.MULTILINE), "it has a command to type"
    waits = {rule.wait for rule in alerts() if rule.name == name}
    assert all(re.search(rf"\b{wait}\b", text) for wait in waits), f"it says why it waits for {waits}"
