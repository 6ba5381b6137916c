"""One table of routes: it drives the router, the index page, the guard and the OpenAPI document.

Whoever adds an endpoint writes a handler and a `Route` beside it; nothing else has to be told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.words import MOST_NAME, one_line

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FORM: dict[str, Any] = {"extra": "forbid", "allow_inf_nan": False, "use_attribute_docstrings": True}
"""The configuration of each type that is read from a request: what it does not know is refused."""

T = TypeVar("T")
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer that a route may give."""

    text: str
    """When it is given."""
    form: Any = None
    """The type whose JSON it is; None where it is none."""
    media: Sequence[str] = ()
    """What kinds of media it may be, where it is no JSON; none: it is empty, or whatever the text says."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What each header says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    handler: Handler
    summary: str
    """One line, in lower case."""
    answers: Mapping[int, Answer]
    """By status; those that the server itself gives to any request are not repeated here."""
    query: type[Any] | None = None
    """A dataclass with what may stand behind the question mark."""
    body: type[Any] | None = None
    """A dataclass with what the body holds, as JSON."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What each part of the path in braces is."""
    signed: bool = False
    """Whoever asks proves himself by a signature, in place of the token."""

    @property
    def guarded(self) -> bool:
        """It changes something, so it takes the token."""
        return self.method != "GET" and not self.signed


class BadRequest(Exception):
    """What was sent has no sense: every problem at once."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_query(request: web.Request, form: type[T]) -> T:
    """What stands behind the question mark.

    Raises:
        BadRequest: it is not of the form.
    """
    repeated = [name for name in request.query if len(request.query.getall(name)) > 1]
    if repeated:
        raise BadRequest(*(f"{_shown(name)}: given more than once" for name in dict.fromkeys(repeated)))
    try:
        return _adapter(form).validate_python(dict(request.query))
    except ValidationError as error:
        raise BadRequest(*_problems(error)) from error


async def read_body(request: web.Request, form: type[T]) -> T:
    """What the body holds.

    Raises:
        BadRequest: it is not of the form, or no JSON at all.
        HTTPUnsupportedMediaType: it does not claim to be JSON.
        HTTPRequestEntityTooLarge: it is too long.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="expected Content-Type: application/json")
    try:
        return _adapter(form).validate_json(await request.read(), strict=True)
    except (ConnectionError, web.RequestPayloadError) as error:
        raise BadRequest("the body: it ended too early, or is packed in a way that cannot be read") from error
    except ValidationError as error:
        raise BadRequest(*_problems(error)) from error


def _adapter(form: type[T]) -> TypeAdapter[T]:
    """What reads a form; it takes milliseconds to make."""
    if form not in _ADAPTERS:
        _ADAPTERS[form] = TypeAdapter(form)
    return _ADAPTERS[form]


def _problems(error: ValidationError) -> list[str]:
    """A line for each thing that is wrong: which field, what was given, what was expected."""
    lines = []
    for details in error.errors(include_url=False, include_context=False):
        where, given = _shown(".".join(map(str, details["loc"]))), details["input"]
        message = details["msg"].removeprefix("Value error, ")
        if details["type"] == "unexpected_keyword_argument":
            lines.append(f"{where}: there is no such field")
        elif where and isinstance(given, str | int | float):
            lines.append(f"{where}: {_shown(repr(given))} given; {message[:1].lower()}{message[1:]}")
        else:
            lines.append(f"{where or 'the body'}: {message[:1].lower()}{message[1:]}")
    return lines


def _shown(text: str) -> str:
    """A stranger's words, short enough for an answer."""
    return one_line(text, MOST_NAME)
