"""The page of the configuration: a table for each type of settings, out of the JSON Schema that editors get."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from autoscaler.config import json_schema
from tests.reference.markdown import code, table

_HEAD = """\
# Configuration

Every key of a configuration file with what it takes, its default, and what it does. A key without a default must be
given. [deploy/config.example.yaml](../../deploy/config.example.yaml) shows all of them in one file; `autoscaler check
--full FILE` prints yours with all defaults, `autoscaler schema` the JSON Schema for an editor.

Durations are written `30s`, `2m`, `1h30m`, `24h`; money is USD. Any value may hold `${NAME}` or `${NAME:-default}` from
the environment, or `${file:/run/secrets/NAME}`, a file's text.
"""

_KINDS = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}


def page() -> str:
    """The whole page."""
    schema = json_schema()
    text = _HEAD + _section("the file", schema, schema)
    for name, paths in _places(schema).items():
        text += _section(" · ".join(code(path) for path in paths), schema["$defs"][name], schema)
    return text


def _places(schema: Mapping[str, Any]) -> dict[str, list[str]]:
    """Where each type of settings stands, in the order in which a reader meets them."""
    found: dict[str, list[str]] = {}
    waiting = [("", schema)]
    while waiting:
        path, settings = waiting.pop(0)
        for key, described in settings.get("properties", {}).items():
            for name, below in _types(described, f"{path}.{key}".lstrip(".")):
                if "properties" not in schema["$defs"][name]:
                    continue  # a word of a list
                if name not in found:
                    waiting.append((below, schema["$defs"][name]))
                found.setdefault(name, []).append(below)
    return found


def _types(described: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """The types of settings that a key may hold, each with the path to it."""
    if "$ref" in described:
        yield described["$ref"].rpartition("/")[2], path
    for each in described.get("anyOf", ()):
        yield from _types(each, path)
    kinds = {ref: kind for kind, ref in described.get("discriminator", {}).get("mapping", {}).items()}
    for each in described.get("oneOf", ()):
        yield each["$ref"].rpartition("/")[2], f"{path} (kind: {kinds[each['$ref']]})"
    if isinstance(described.get("items"), Mapping):
        yield from _types(described["items"], f"{path}[]")
    if isinstance(described.get("additionalProperties"), Mapping):
        yield from _types(described["additionalProperties"], f"{path}.NAME")
    for name, each in described.get("properties", {}).items():
        yield from _types(each, f"{path}.{name}")


def _section(title: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    required = set(settings.get("required", ()))
    rows = [
        (
            code(key),
            _takes(described, schema),
            "" if key in required else _default(described),
            described.get("description", ""),
        )
        for key, described in settings["properties"].items()
    ]
    about = "" if title == "the file" else f"{settings['description']}\n\n"
    return f"\n## {title}\n\n{about}" + table(("key", "takes", "default", "what it does"), rows)


def _default(described: Mapping[str, Any]) -> str:
    """A default, unless it is that of settings with a table of their own."""
    return "" if "$ref" in described else code(json.dumps(described.get("default"), ensure_ascii=False))


def _takes(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a key takes, in a few words."""
    if "$ref" in described:
        target = schema["$defs"][described["$ref"].rpartition("/")[2]]
        return "settings" if "properties" in target else _takes(target, schema)
    for union in ("anyOf", "oneOf"):
        if union in described:
            return " or ".join(dict.fromkeys(_takes(each, schema) for each in described[union]))
    if "const" in described:
        return code(str(described["const"]))
    if "enum" in described:
        return ", ".join(code(str(each)) for each in described["enum"])
    kinds = described.get("type", "anything")
    kind = kinds[0] if isinstance(kinds, list) else kinds  # the others are for variables
    if isinstance(kinds, list) and described.get("examples") == ["30s"]:
        return "duration"
    if kind == "array":
        return f"list of {_takes(described.get('items', {}), schema)}"
    if kind == "object":
        return "mapping" if "additionalProperties" in described else "settings"
    return _KINDS.get(kind, str(kind))
