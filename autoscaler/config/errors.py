"""Validation errors in the words of whoever wrote the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from autoscaler.config import checks
from autoscaler.config.document import Document, Problem, Where
from autoscaler.config.hints import bare, field_docs, field_hints, is_tagged, kinds, members
from autoscaler.config.schema import PolicyChoice
from autoscaler.config.words import either, one_line, suggest
from autoscaler.core.units import Secret
from policies import POLICIES

_MAPPING = "expected a mapping of keys and values"
_LIST = "expected a list"
_NUMBER = "expected a number"
_WHOLE = "expected a whole number"
_WORDS: Mapping[str, str] = {
    "string_type": "expected text",
    "string_unicode": "expected text in UTF-8",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "too_short": "expected at least one entry",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "dataclass_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected {ge:g} or more",
    "less_than": "expected less than {lt:g}",
    "less_than_equal": "expected {le:g} or less",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a validation error lies."""

    path: Where = ()
    hint: Any = None
    """The type wanted there; None where it is not known."""
    owner: Any = None
    """The type that has the last part of the path as its field."""
    of_key: bool = False
    """The error is about the key, not about its value."""

    @property
    def fields(self) -> Mapping[str, str]:
        """The owner's fields and what they are, as far as both are known."""
        if not (isinstance(self.owner, type) and is_dataclass(self.owner)):
            return {}
        return {**dict.fromkeys(field_hints(self.owner), "it is required"), **field_docs(self.owner)}


def problems_of(error: ValidationError, document: Document, wanted: Any) -> Iterator[Problem]:
    """What a validation of the type `wanted` found, each place once."""
    by_path: dict[Where, Problem] = {}
    for details in error.errors(include_url=False):
        for problem in _translate(details, document, _Place(hint=wanted)):
            earlier = by_path.get(problem.path)
            if earlier is not None and problem.message not in earlier.message:
                problem = replace(earlier, message=f"{earlier.message}; {problem.message}")  # noqa: PLW2901
            by_path[problem.path] = problem
    yield from by_path.values()


def line_of(problem: Problem, document: Document) -> str:
    """A problem as one line: where, what was written there, what was expected, in which line."""
    where = _path_text(problem.path)
    shown = _written(problem.path, document) if problem.shown is None else problem.shown
    return f"{where}: {shown}{' - ' if shown else ''}{problem.message} (line {document.line(problem.path)})"


def _translate(details: ErrorDetails, document: Document, root: _Place, above: Where = ()) -> Iterator[Problem]:
    loc = (*above, *details["loc"])
    place = _locate(loc, root)
    path, context = place.path, details.get("ctx", {})
    match details["type"]:
        case checks.FINDINGS:
            for inner in context["errors"]:
                yield from _translate(inner, document, root, loc)
            for below, message in context[checks.FINDINGS]:
                found = (*path, *below)
                yield Problem(found, message, _to_show(found, _hint_below(place.hint, below), document))
        case "value_error" if not place.of_key:
            yield Problem(path, " ".join(str(context["error"]).split()), _to_show(path, place.hint, document))
        case "missing":
            yield _missing(place)
        case "too_short" if details["input"]:
            return  # there were entries; each has its own problem
        case "unexpected_keyword_argument" | "extra_forbidden":
            yield Problem(path, suggest(str(path[-1]), place.fields), "unknown key")
        case "union_tag_not_found":
            yield Problem((*path, "kind"), f"expected {either(kinds(place.hint))}", "missing")
        case "union_tag_invalid":
            yield Problem((*path, "kind"), suggest(str(context["tag"]), kinds(place.hint)))
        case kind:
            shown = one_line(str(path[-1])) if place.of_key else None
            yield Problem(path, _expectation(kind, details, place), shown)


def _missing(place: _Place) -> Problem:
    name = str(place.path[-1])
    options = [str(option) for option in get_args(bare(place.hint))] if name == "kind" else []
    wanted = f"expected {either(options)}" if options else place.fields.get(name, "it is required")
    return Problem(place.path, wanted.removesuffix("."), "missing")


def _expectation(kind: str, details: ErrorDetails, place: _Place) -> str:
    context = details.get("ctx", {})
    if kind == "value_error":
        return " ".join(str(context["error"]).split())
    if kind in {"literal_error", "enum"}:
        options = re.findall(r"'([^']*)'", context["expected"])
        written = str(place.path[-1] if place.of_key else details["input"])
        return suggest(written, options) if options else f"expected {context['expected']}"
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    return details["msg"][0].lower() + details["msg"][1:]


def _locate(loc: Where, root: _Place) -> _Place:
    """The place that a validator's location means: it also names the members of unions that were tried."""
    place = root
    for part in loc:
        if part == "[key]":
            place = replace(place, of_key=True)
        elif is_tagged(place.hint):
            place = replace(place, hint=kinds(place.hint)[str(part)])
        elif len(members(place.hint)) > 1:
            place = replace(place, hint=None)
        else:
            (owner,) = members(place.hint)
            place = _Place(path=(*place.path, part), hint=_child(owner, part), owner=owner)
    return place


def _hint_below(hint: Any, below: Where) -> Any:
    """The type wanted further down; None where it is not known."""
    for part in below:
        if is_tagged(hint) or len(members(hint)) > 1:
            return None
        hint = _child(members(hint)[0], part)
    return hint


def _child(hint: Any, part: str | int) -> Any:
    if hint is PolicyChoice:
        return POLICIES[str(part)].settings
    if isinstance(hint, type) and is_dataclass(hint):
        return field_hints(hint).get(str(part))
    arguments = get_args(hint)
    if get_origin(hint) is tuple:
        return arguments[0]
    return arguments[1] if len(arguments) == 2 else None


def _written(path: Where, document: Document) -> str:
    if path in document.texts:
        return one_line(document.texts[path])
    match document.at(path):
        case dict(found):
            return "a mapping" if found else "{}"
        case list(found):
            return "a list" if found else "[]"
        case _:
            return "nothing"


def _path_text(path: Where) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{one_line(repr(part))}]"
    return text or "the file"


def _to_show(path: Where, hint: Any, document: Document) -> str | None:
    """Show what was written, but nothing for what is too large to be shown, and no secret."""
    if isinstance(document.at(path), (dict, list)):
        return ""
    return "***" if document.texts.get(path) and Secret in members(hint) else None
