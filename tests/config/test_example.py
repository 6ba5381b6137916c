"""The example documents every setting and is what happens without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from autoscaler.config import Config, PolicyChoice, json_schema, load_config, warnings

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"

MEANT_TO_DIFFER = {
    "pools.images.queue.in_flight_keys",
    "pools.batch.queue.in_flight_keys",
    "pools.batch.queue.tiers.scores",
    "pools.images.policies.schedule.windows.floor",
}
"""Their lines begin with `(default …)`."""


def differing(value: Any, path: str) -> Iterator[str]:
    """Every optional setting whose value is not its default."""
    if isinstance(value, PolicyChoice):
        yield from differing(value.settings, f"{path}.{value.name}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from differing(item, f"{path}.{name}".lstrip("."))
    elif isinstance(value, tuple):
        for item in value:
            yield from differing(item, path)
    elif is_dataclass(value) and hasattr(value, "__pydantic_config__"):
        for each in fields(value):
            here, found = f"{path}.{each.name}".lstrip("."), getattr(value, each.name)
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if default is MISSING or each.name == "policies":  # which of them is no default: it shows them all
                yield from differing(found, here)
            elif found != default:
                yield here


def example() -> Config:
    return load_config(EXAMPLE, {})


def test_what_could_be_left_out_of_the_example_is_the_default() -> None:
    assert set(differing(example(), "")) == MEANT_TO_DIFFER


def test_every_setting_is_in_the_example() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    schema = json_schema()
    names = {name for found in (schema, *schema["$defs"].values()) for name in found.get("properties", {})}

    assert {name for name in names if not re.search(rf"(?<![\w-]){name}:", text)} == set()


def test_the_example_gives_no_warning() -> None:
    assert warnings(example()) == ()


def test_the_example_tells_editors_where_the_schema_is() -> None:
    assert "\n# yaml-language-server: $schema=" in EXAMPLE.read_text(encoding="utf-8")
