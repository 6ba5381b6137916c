"""The OpenAPI document, made from the table of routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from autoscaler.web.forms import ProblemForm, ProblemsForm
from autoscaler.web.routes import Answer, Route

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_ABOUT = (
    "Reads are open to whoever reaches the API. What changes something takes the token of `http.token`. "
    "Times are epoch seconds, durations seconds, money USD."
)
_EVERYWHERE = {421: Answer(text="The Host header is not a name of this daemon.", form=ProblemForm)}
_WITH_INPUT = {400: Answer(text="What was sent has no sense: every problem at once.", form=ProblemsForm)}
_WITH_BODY = {
    408: Answer(text="The body came too slowly.", form=ProblemForm),
    413: Answer(text="The body is too long.", form=ProblemForm),
    415: Answer(text="The body is not JSON.", form=ProblemForm),
}
_GUARDED = {
    401: Answer(
        text="The token is missing or wrong.", form=ProblemForm, headers={"WWW-Authenticate": "The scheme: Bearer."}
    ),
    403: Answer(text="This daemon has no token, so nothing can be changed.", form=ProblemForm),
}

Key = tuple[int, Literal["query", "body", "answer"], int]
"""A type of the table: its route's number, what it is for, and a status."""


def document(routes: Sequence[Route]) -> Json:
    """The document of these routes."""
    asked = [(key, mode, TypeAdapter(form)) for key, mode, form in _forms(routes)]
    schemas, shared = TypeAdapter.json_schemas(asked, ref_template=_REF)
    by_key: dict[Key, Json] = {key: schema for (key, _), schema in schemas.items()}
    definitions = shared.get("$defs", {})
    paths: dict[str, Json] = {}
    for number, route in enumerate(routes):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(number, route, by_key, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gpu-autoscaler", "version": version("gpu-autoscaler"), "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _forms(routes: Sequence[Route]) -> Iterator[tuple[Key, JsonSchemaMode, Any]]:
    for number, route in enumerate(routes):
        if route.query is not None:
            yield (number, "query", 0), "validation", route.query
        if route.body is not None:
            yield (number, "body", 0), "validation", route.body
        for status, answer in _answers(route).items():
            if answer.form is not None:
                yield (number, "answer", status), "serialization", answer.form


def _answers(route: Route) -> Mapping[int, Answer]:
    """All answers of a route: its own, and those that the server gives for it."""
    found = dict(_EVERYWHERE)
    if route.query is not None or route.body is not None:
        found |= _WITH_INPUT
    if route.body is not None:
        found |= _WITH_BODY
    if route.guarded:
        found |= _GUARDED
    return dict(sorted((found | dict(route.answers)).items()))


def _operation(number: int, route: Route, schemas: Mapping[Key, Json], definitions: Mapping[str, Json]) -> Json:
    operation: Json = {
        "summary": route.summary,
        "responses": {
            str(status): _response(answer, schemas.get((number, "answer", status)))
            for status, answer in _answers(route).items()
        },
    }
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": text,
            "schema": {"type": "string", "minLength": 1},
        }
        for name, text in route.names.items()
    ]
    if route.query is not None:
        parameters += _parameters(_resolved(schemas[number, "query", 0], definitions))
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": schemas[number, "body", 0]}}
        operation["requestBody"] = {"required": True, "content": content}
    if route.guarded:
        operation["security"] = [{"token": []}]
    return operation


def _response(answer: Answer, schema: Json | None) -> Json:
    response: Json = {"description": answer.text}
    if answer.headers:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    if schema is not None:
        response["content"] = {"application/json": {"schema": schema}}
    elif answer.media:
        response["content"] = {media: {"schema": {"type": "string"}} for media in answer.media}
    return response


def _resolved(schema: Json, definitions: Mapping[str, Json]) -> Json:
    reference = schema.get("$ref")
    return definitions[reference.rpartition("/")[2]] if reference else schema


def _parameters(form: Json) -> Iterable[Json]:
    """The fields of a query, each as a parameter."""
    for name, schema in form["properties"].items():
        text = schema.get("description", "")
        required = name in form.get("required", ())
        yield {"name": name, "in": "query", "required": required, "description": text, "schema": schema}
