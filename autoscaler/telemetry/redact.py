"""Mask what is known to be a secret, and what looks like one, wherever it stands in what is about to be written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

MASK = "***"
LEAST = 8
"""Characters of a secret that is looked for: what is shorter may be part of any word."""

_SECRET_NAME = re.compile(r"key|token|password|secret", re.IGNORECASE)
_USER_INFO = re.compile(r"://\S*@")
# A name and its value inside a text: `api_key=abc`, `"token": "abc"`. Prose is full of bare colons: they do not count.
_ASSIGNED = re.compile(
    r"""((?:key|token|password|secret)[\w-]*(?:\s*=\s*|["']\s*[:=]\s*))("[^"]*"?|'[^']*'?|[^\s&]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(\bbearer\s+)\S{8,}", re.IGNORECASE)

Quiet = Callable[[str], str]
"""Makes a text one without secrets."""


def quiet_about(secrets: Iterable[str]) -> Quiet:
    """Masks these secrets as well as what looks like one.

    A secret may come back as it was sent, as JSON or as a URL writes it, or cut off where the text was cut.
    """
    known = [secret for secret in secrets if len(secret) >= LEAST]
    written = {form for each in known for form in (each, json.dumps(each)[1:-1], quote(each, safe=""))}
    forms = sorted(written, key=len, reverse=True)

    def quiet(text: str) -> str:
        for form in forms:
            text = text.replace(form, MASK)
            begun = text.rfind(form[:LEAST])
            if begun >= 0 and form.startswith(text[begun:].rstrip("…")):
                text = text[:begun] + MASK
        return redact_text(text)

    return quiet


def redact(value: Any, quiet: Quiet | None = None) -> Any:
    """A value fit to be written: secrets masked, at any depth; an object of another type as its text."""
    quiet = quiet or redact_text
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return quiet(value)
    if isinstance(value, Mapping):
        return {quiet(str(k)): MASK if _SECRET_NAME.search(str(k)) else redact(v, quiet) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, quiet) for item in value]
    return quiet(repr(value))


def redact_text(text: str) -> str:
    """A text without the user info of URLs and without the values of names that sound secret.

    It rather masks too much: of `redis://:p@ss/w@host` all up to the last `@`.
    """
    text = _USER_INFO.sub(f"://{MASK}@", text)
    text = _ASSIGNED.sub(rf"\1{MASK}", text)
    return _BEARER.sub(rf"\1{MASK}", text)
