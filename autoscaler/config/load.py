"""Reading a settings file: every problem at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from autoscaler.config.checks import Context
from autoscaler.config.document import Document, Problem, Where, read_document
from autoscaler.config.errors import line_of, problems_of
from autoscaler.config.schema import Config
from autoscaler.core.errors import SettingsError
from providers.base import Capabilities
from providers.installed import provider_kinds

T = TypeVar("T")

_MOST_BYTES = 1_048_576
"""Far beyond any real file; ten times as many take half a minute to parse."""


def load_config(source: Path | str, env: Mapping[str, str]) -> Config:
    """The settings in a file, or in YAML text, with variables taken from `env`.

    Raises:
        SettingsError: the file cannot be read, or something in it is wrong: one line for each problem.
    """
    document = _document(source, env, "deploy/config.example.yaml")
    return _typed(Config, settings_adapter(), document, _context(document.data))


def load_settings(
    wanted: type[T],
    source: Path | str,
    env: Mapping[str, str],
    *,
    disagreements: Callable[[T], Iterable[Problem]],
    example: str,
) -> T:
    """Settings of any type, like `load_config`; `disagreements` says which of their values do not fit together.

    `example` is a file that shows what may be written.

    Raises:
        SettingsError: the file cannot be read, or something in it is wrong: one line for each problem. What does not
            fit together is told once each value is sound by itself.
    """
    document = _document(source, env, example)
    settings = _typed(wanted, TypeAdapter(wanted), document, Context())
    if found := tuple(disagreements(settings)):
        raise _settings_error(found, document)
    return settings


def _document(source: Path | str, env: Mapping[str, str], example: str) -> Document:
    return read_document(_read(source) if isinstance(source, Path) else source, env, example)


def _typed(wanted: type[T], adapter: TypeAdapter[T], document: Document, context: Context) -> T:
    try:
        settings = adapter.validate_python(document.data, context=context)
    except ValidationError as error:
        raise _settings_error(problems_of(error, document, wanted), document) from error
    infinite = tuple(_not_finite(settings, ()))
    if document.problems or infinite:
        raise _settings_error(infinite, document)
    return settings


def _settings_error(problems: Iterable[Problem], document: Document) -> SettingsError:
    """All problems in the order of the file; what follows from a problem of the document itself is left out."""
    known = {problem.path for problem in document.problems}
    every = [*document.problems, *(problem for problem in problems if problem.path not in known)]
    every.sort(key=lambda problem: document.line(problem.path))
    return SettingsError(*(line_of(problem, document) for problem in every))


@cache
def settings_adapter() -> TypeAdapter[Config]:
    """The reader of settings; it takes some milliseconds to build."""
    return TypeAdapter(Config)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise SettingsError(f"{path}: longer than {_MOST_BYTES} bytes; is it a settings file?")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}: not a text file in UTF-8 (line {line})") from error


def _context(data: object) -> Context:
    """The providers a file names, by what is written there, for they may be faulty."""
    providers = data.get("providers") if isinstance(data, dict) else None
    if not isinstance(providers, dict) or not providers:
        return Context()
    kinds = {
        name: settings.get("kind", name) if isinstance(settings, dict) else name for name, settings in providers.items()
    }
    known = provider_kinds()
    return Context(
        {n: known[k].capabilities if (k := str(kind)) in known else Capabilities() for n, kind in kinds.items()}
    )


def _not_finite(value: object, path: Where) -> Iterator[Problem]:
    """Numbers that YAML can write and nobody can pay or wait for."""
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, "expected a finite number")
    elif is_dataclass(value) and hasattr(value, "__pydantic_config__"):
        for each in fields(value):
            yield from _not_finite(getattr(value, each.name), (*path, each.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_finite(item, (*path, str(key)))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, (*path, index))
