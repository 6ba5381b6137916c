"""Lines, bars and moments: what all parts of a fleet are drawn with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from autoscaler.core.words import one_line

Object = Mapping[str, Any]
"""What a daemon answers, or a part of it, as JSON has it."""

_MOST = 2000
"""Characters of any text of a daemon. The longest, a decision with all its reasons, have half of it."""
_LEVELS = "▁▂▃▄▅▆▇█"


def harmless(answer: Any) -> Any:
    """The same JSON without a character that a terminal would obey: labels and messages in it are strangers' words.

    `rich` reads no markup in them either, as they are only ever shown as `Text`.
    """
    if isinstance(answer, str):
        return one_line(answer, _MOST)
    if isinstance(answer, dict):
        return {harmless(name): harmless(value) for name, value in answer.items()}
    return [harmless(value) for value in answer] if isinstance(answer, list) else answer


def line(text: str = "", style: str = "") -> Text:
    """One line, cut off where the terminal ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def moment(epoch_s: float, *, day: bool = False) -> str:
    """A time of the day in UTC, with `day` that of the year."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%m-%d %H:%M:%S" if day else "%H:%M:%S")


def order_text(order: Object) -> str:
    """An order that stands, and until when."""
    until = "" if order["until"] is None else f"  until {moment(order['until'], day=True)} UTC"
    return f"{order['text']}{until}"


def bar(share: float, cells: int, style: str, mark: float | None = None) -> Text:
    """A bar that is full at a share of 1, with a mark at another share."""
    filled = round(cells * min(1.0, max(0.0, share)))
    text = Text.assemble(("█" * filled, style), ("░" * (cells - filled), "dim"))
    if mark is None or not 0.0 < mark < 1.0:
        return text
    at = min(cells - 1, round(cells * mark))
    return Text.assemble(text[:at], ("│", "bold"), text[at + 1 :])


def sparkline(values: Sequence[float | None], cells: int) -> str:
    """The newest values, the highest of them a full block; a gap where one is not known."""
    shown = values[-cells:] if cells > 0 else ()
    highest = max((value for value in shown if value is not None), default=0.0) or 1.0
    return "".join(" " if value is None else _LEVELS[round((len(_LEVELS) - 1) * value / highest)] for value in shown)


def entry_line(entry: Object) -> Text:
    """An entry of the journal."""
    text = line()
    text.append(f"{moment(entry['at'])}  ", "dim")
    return text.append(entry["text"], "bold red" if entry["kind"] == "alarm" else "")
