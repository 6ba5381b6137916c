"""Fields of a request's body, of the type they must have; null is as if they were left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoscaler.emulate.vastai.errors import bad_request, refusal


def text(body: Mapping[str, Any], name: str, *, longest: int = 4096) -> str:
    """A text; empty where there is none.

    Raises:
        Refused: it is something else, or too long.
    """
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise bad_request(f"error 400/3475: Invalid args: '{name}' must be text of at most {longest} characters")
    return value


def texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of texts; empty where there is none.

    Raises:
        Refused: it is something else.
    """
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise bad_request(f"error 400/3480: Invalid args: '{name}' must be a list of texts")
    return tuple(value)


def ids(body: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """Numbers of offers or instances, at least one.

    Raises:
        Refused: it is something else.
    """
    value = body.get(name)
    if not isinstance(value, list) or not value or not all(type(each) is int for each in value):
        raise bad_request(f"Invalid args: '{name}' must be a list of numbers, not an empty one")
    return tuple(value)


def number(
    body: Mapping[str, Any], name: str, otherwise: float, *, least: float, most: float, error: str = "invalid_args"
) -> float:
    """A number; `otherwise` where there is none.

    Raises:
        Refused: it is something else, or out of bounds.
    """
    value = body.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise refusal(400, error, f"error 400/3470: '{name}' must be a number >= {least:g} and <= {most:g}")
    return float(value)
