"""The words of strangers - a vendor, a host, a worker - made harmless at the door.

A terminal obeys control characters, a line break forges a line of a log, a mark that turns the direction of writing
makes people read what is not there, half a surrogate pair cannot be stored, and a megabyte would be kept with every
record. What is left is one short line of characters that are printed. It is still text: a page escapes it.
"""

from __future__ import annotations

MOST_NAME = 120
"""Characters of a name: a GPU, a region, a label, an id. The longest that vendors use have half of it."""
MOST_SAID = 300
"""Characters of a sentence: what a machine is doing, why a request was refused."""

_LOOKED_AT = 8
"""Times the most: what lies beyond is cut off unseen, for looking at each character of a megabyte takes a while."""


def one_line(text: str, most: int) -> str:
    """A text on one line, of that many characters at most, each of which is printed.

    Where anything has to be changed, white space and what is not printed (`str.isprintable`) becomes single spaces.
    """
    if len(text) <= most and text.isprintable():
        return text
    printed = "".join(each if each.isprintable() else " " for each in text[: most * _LOOKED_AT])
    shown = " ".join(printed.split())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
