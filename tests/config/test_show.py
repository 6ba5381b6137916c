"""A configuration written out in full says everything, gives nothing away, and reads back as the same."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from autoscaler.config import full_yaml, load_config
from autoscaler.config.show import exact_duration, written
from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Secret, parse_duration

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"

ODD = """
fleet: f
redis: unix:///run/$$redis.sock
tick: 1.5s
pools:
  p:
    queue:
      kind: zset
      score: priority
      tiers:
        - {name: a, key: "null", scores: ..-0.125, wait_target: 1h30m, refuse_above: 90s}
        - {name: b, key: "null", scores: 0..1000000}
      timestamp: {key: "job:{id}", field: "${B}"}
    machine: {image: "$${NOT_A_VARIABLE}", gpus: ["4090", "1e3", "yes", "~", "", "ü\\n"]}
    placements: [{provider: m, max_usd_per_hour: 1e-3, name: x}]
    policies: [{thresholds: {idle_for: 1ms}}]
providers:
  m:
    kind: mock
    setup: 1.5s..2m
    faults: {outbid: 0.25}
    scenario: [{fault: answer_lost, call: rent, nth: 2, at: 10m}]
  runpod: {api_key: "***", terminate_after: 36h}
  vastai: {api_key: "***", min_rental: 5h30m}
"""


@pytest.mark.parametrize("text", [ODD, EXAMPLE.read_text(encoding="utf-8")])
def test_the_full_form_reads_back_as_the_same_configuration(text: str) -> None:
    masked = {"RUNPOD_API_KEY": "***", "VAST_API_KEY": "***"}  # as which keys are written
    config = load_config(text, {"B": "${C} costs $5: {}", **masked})

    assert load_config(full_yaml(config), {}) == config


def test_the_full_form_names_every_default() -> None:
    text = "{fleet: f, pools: {p: {queue: {kind: list, tiers: [{name: t, key: k}]}, machine: {image: i, gpus: [g]}, "
    text += "placements: [{provider: mock, max_usd_per_hour: 1}]}}, providers: {mock: {}}}"
    full = yaml.safe_load(full_yaml(load_config(text, {})))

    assert full["tick"] == "10s"
    limits = full["pools"]["p"]["limits"]
    assert (limits["hot"], limits["warm"]) == ("1..4", "0..2")
    assert limits["usd_per_day"] == {"warn": 20.0, "stop": 30.0}
    assert limits["usd_per_month"] is full["limits"]["usd_per_day"] is None
    assert full["pools"]["p"]["deadlines"]["booting"] == "75m"
    assert full["pools"]["p"]["policies"][0]["wait_target"]["hold_for"] == "2m"
    assert full["providers"]["mock"]["setup"] == "30m..1h"


def test_the_full_form_gives_no_password_and_no_environment_away() -> None:
    text = """
fleet: f
redis: redis://user:hunter2@queue:6379
store: rediss://:hunter2@state
pools:
  p:
    queue: {kind: list, tiers: [{name: t, key: k}]}
    machine: {image: i, gpus: [g], env: {HF_TOKEN: hunter2}}
    placements: [{provider: mock, max_usd_per_hour: 1}]
providers: {mock: {}}
"""
    full = full_yaml(load_config(text, {}))

    assert "hunter2" not in full
    assert "redis://user:***@queue:6379" in full
    assert "HF_TOKEN: '***'" in full


@given(st.floats(min_value=0, max_value=1e9))
def test_a_written_duration_reads_back_as_the_very_same_number(seconds: float) -> None:
    assert parse_duration(exact_duration(seconds)) == seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Settings that hold a key."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    api_key: Secret
    """The key."""


def failure_over(account: Account) -> Exception:
    """What is raised while a secret is at hand."""
    try:
        key = account.api_key
        raise ValueError(f"{key} of {account} is refused")
    except ValueError as error:
        return error


def test_a_secret_shows_itself_only_when_asked() -> None:
    account = TypeAdapter(Account).validate_python({"api_key": "hunter2"})
    shown = [
        repr(account),
        str(account),
        f"{account.api_key} {account.api_key!r} {account}",
        str(asdict(account)),
        json.dumps(asdict(account), default=str),
        TypeAdapter(Account).dump_json(account).decode(),
        str(TypeAdapter(Account).dump_python(account)),
        str(written(account)),
        f"{account.api_key!s:>12}",
        pickle.dumps(account).decode(errors="replace"),
        repr(copy.copy(account)),
        repr(copy.deepcopy(account)),
        "".join(traceback.TracebackException.from_exception(failure_over(account), capture_locals=True).format()),
    ]

    assert account.api_key.reveal() == copy.deepcopy(account).api_key.reveal() == "hunter2"
    assert not [text for text in shown if "hunter2" in text]
    assert account == Account(api_key=Secret("hunter2"))
    assert account != Account(api_key=Secret("hunter3"))


def test_json_without_a_word_on_secrets_fails_rather_than_tells() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret("hunter2"))


@pytest.mark.parametrize("value", ["", "  ", None, 3, ["hunter2"]])
def test_an_empty_secret_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="expected a secret that is not empty"):
        TypeAdapter(Account).validate_python({"api_key": value})
