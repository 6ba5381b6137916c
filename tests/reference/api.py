"""The page of the HTTP API, out of its OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.reference.daemon import told
from tests.reference.markdown import code, table

_HEAD = """\
# HTTP API

Every route of the daemon's API, out of the document that it serves itself at `/api/v1/openapi.json` (OpenAPI 3.1).
[The page on the API](../api.md) says how it is used.

"""
_ANY = frozenset({"400", "401", "403", "408", "413", "415", "421"})
"""Answers that mean the same everywhere; the page on the API tells of them."""

Json = Mapping[str, Any]


def page() -> str:
    """The whole page."""
    document = told().openapi
    routes = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    rows = [
        (code(f"{method} {path}"), operation["summary"], "yes" if "security" in operation else "")
        for method, path, operation in routes
    ]
    text = f"{_HEAD}{document['info']['description']}\n\n" + table(("route", "what it does", "token"), rows)
    text += "".join(_route(method, path, operation) for method, path, operation in routes)
    return text + "".join(_form(name, form) for name, form in sorted(document["components"]["schemas"].items()))


def _form(name: str, schema: Json) -> str:
    text = f"\n## {name}\n\n" + (f"{schema['description']}\n\n" if "description" in schema else "")
    if "properties" not in schema:
        return f"{text}{_type(schema)}\n"
    return text + table(("field", "type", "what it is"), _fields(schema))


def _route(method: str, path: str, operation: Json) -> str:
    """What a route takes and answers beyond what all do."""
    text = f"\n## {method} {path}\n\n{operation['summary']}\n\n"
    if parameters := operation.get("parameters"):
        given = [(code(each["name"]), each["in"], _type(each["schema"]), each["description"]) for each in parameters]
        text += table(("parameter", "in", "type", "what it is"), given) + "\n"
    if body := operation.get("requestBody"):
        text += f"Body: {_content(body)}\n\n"
    rows = [
        (status, answer["description"], _content(answer))
        for status, answer in operation["responses"].items()
        if status not in _ANY
    ]
    return text + table(("status", "when", "form"), rows)


def _content(answer: Json) -> str:
    forms = [(kind, each.get("schema", {})) for kind, each in answer.get("content", {}).items()]
    return ", ".join(_type(schema) if kind == "application/json" else code(kind) for kind, schema in forms)


def _fields(schema: Json) -> Iterator[tuple[str, str, str]]:
    for name, described in schema["properties"].items():
        yield code(name), _type(described), described.get("description", "")


def _type(schema: Json) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        return f"[{(name := schema['$ref'].rpartition('/')[2])}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return " or ".join(code(str(each)) for each in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return _either(schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"mapping to {_type(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))


def _either(schemas: Iterable[Json]) -> str:
    return " or ".join(dict.fromkeys(map(_type, schemas)))
