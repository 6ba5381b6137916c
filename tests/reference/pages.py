"""All pages of the reference, by file name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.reference import api, commands, events, metrics, settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
_MADE = "<!-- Made by `python -m tests.reference` from the code: edit the docstrings, then run it. -->\n\n"


def pages() -> Mapping[str, str]:
    """What each file of docs/reference must hold."""
    made = {
        "configuration.md": settings.page(),
        "commands.md": commands.page(),
        "metrics.md": metrics.page(),
        "api.md": api.page(),
        "events.md": events.page(),
    }
    return {name: _MADE + text for name, text in made.items()}
