"""Words for messages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_PASSWORD = re.compile(r"(?<=://)([^\s:@/]*:)\S*(?=@)|(?<=[?&])((?:ssl_)?password=)[^\s&]*")
_LONGEST = 60


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean "wait_target"?`, or the list of all that is known."""
    options = list(known)
    if not options:
        return "nothing is expected here"
    close = get_close_matches(word, options, n=1)
    return f'did you mean "{close[0]}"?' if close else f"expected {either(options)}"


def either(options: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = options
    return f"{', '.join(others)} or {last}" if others else last


def one_line(text: str) -> str:
    """Text fit to be shown: on one line, not too long, nothing that a terminal would act upon."""
    shown = mask_password(text if text.isprintable() and text.strip() == text != "" else repr(text))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def mask_password(text: str) -> str:
    """A URL without its password."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text)
