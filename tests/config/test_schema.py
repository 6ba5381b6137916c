"""The JSON Schema that editors use says the same as the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.config import json_schema

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"


def objects() -> dict[str, dict[str, Any]]:
    """Every settings type of the schema, by name."""
    schema = json_schema()
    return {name: found for name, found in {"Config": schema, **schema["$defs"]}.items() if "properties" in found}


def test_every_field_is_described() -> None:
    bare = [
        f"{name}.{field}"
        for name, found in objects().items()
        for field, described in found["properties"].items()
        if not described.get("description")
    ]

    assert bare == []


def test_fields_that_are_inherited_are_described_too() -> None:
    described = objects()["ListTier"]["properties"]["wait_target"]

    assert described["description"] == "The longest a job of this tier should wait before it starts."


def test_defaults_are_written_as_a_user_writes_them() -> None:
    found = objects()

    assert found["Config"]["properties"]["tick"]["default"] == "10s"
    assert found["Limits"]["properties"]["hot"]["default"] == "1..4"
    assert found["MockSettings"]["properties"]["setup"]["default"] == "30m..1h"
    assert found["PoolSettings"]["properties"]["policies"]["default"][0]["wait_target"]["hold_for"] == "2m"


def test_unknown_keys_are_errors_in_the_editor_too() -> None:
    assert [name for name, found in objects().items() if found.get("additionalProperties") is not False] == []


@pytest.mark.parametrize(
    ("changed", "valid"),
    [
        ({}, True),
        ({"tick": "${TICK}"}, True),
        ({"tick": 10.5}, False),
        ({"colour": "red"}, False),
        ({"pools": {}}, False),
        ({"fleet": ["f"]}, False),
    ],
)
def test_the_schema_accepts_the_example_and_refuses_what_the_program_refuses(
    changed: dict[str, Any], valid: bool
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | changed

    assert jsonschema.Draft202012Validator(json_schema()).is_valid(example) is valid


def test_a_number_may_come_from_a_variable() -> None:
    slots = objects()["MachineSpec"]["properties"]["slots"]

    assert slots["type"] == ["integer", "string"]
    assert slots["pattern"] == r"\$\{"
