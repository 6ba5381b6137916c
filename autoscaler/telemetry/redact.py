"""Mask what looks like a secret, wherever it stands in what is about to be written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_SECRET_NAME = re.compile(r"key|token|password|secret", re.IGNORECASE)
_USER_INFO = re.compile(r"://\S*@")
# A name and its value inside a text: `api_key=abc`, `"token": "abc"`. Prose is full of bare colons: they do not count.
_ASSIGNED = re.compile(
    r"""((?:key|token|password|secret)[\w-]*(?:\s*=\s*|["']\s*[:=]\s*))("[^"]*"?|'[^']*'?|[^\s&]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\bbearer\s+)\S{8,}", re.IGNORECASE)


def redact(value: Any) -> Any:
    """A value fit to be written: secrets masked, at any depth; an object of another type as its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {redact_text(str(k)): MASK if _SECRET_NAME.search(str(k)) else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return redact_text(repr(value))


def redact_text(text: str) -> str:
    """A text without the user info of URLs and without the values of names that sound secret.

    It rather masks too much: of `redis://:p@ss/w@host` all up to the last `@`.
    """
    text = _USER_INFO.sub(f"://{MASK}@", text)
    text = _ASSIGNED.sub(rf"\1{MASK}", text)
    return _BEARER.sub(rf"\1{MASK}", text)
