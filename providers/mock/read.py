"""Reading the market's files: every mistake at once, with its key, its value and what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.errors import SettingsError

T = TypeVar("T")


def read_yaml(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error


def validated(wanted: type[T], data: Any, path: Path, *, whole: str) -> T:
    """Settings of this type from what a file holds; `whole` is what the file is called in messages about all of it.

    Raises:
        SettingsError: every problem.
    """
    try:
        return TypeAdapter(wanted).validate_python(data)
    except ValidationError as error:
        raise SettingsError(*(_problem(wanted, path, details, whole) for details in error.errors())) from error


def _problem(wanted: Any, path: Path, details: Any, whole: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in details["loc"]).lstrip(".")
    expected = details["msg"].removeprefix("Value error, ")
    if details["type"] == "unexpected_keyword_argument":
        expected = "unknown key" + _did_you_mean(details["loc"][-1], _fields(wanted, details["loc"]))
    elif details["type"] == "enum":
        expected += _did_you_mean(details["input"], re.findall(r"'([^']*)'", details["ctx"]["expected"]))
    return f"{path}: {where or whole}: {details['input']!r}: {expected}"


def _fields(wanted: Any, loc: Iterable[str | int]) -> Iterable[str]:
    """The keys that are known where an unknown one was found."""
    *above, _ = loc
    for part in above:
        wanted = get_type_hints(wanted)[str(part)] if is_dataclass(wanted) else get_args(wanted)[0]
    return get_type_hints(wanted)


def _did_you_mean(word: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(word), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
