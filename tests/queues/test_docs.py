"""The pages on queues name every kind there is."""

from __future__ import annotations

import re
from pathlib import Path

from autoscaler.queues import LIBRARIES

PAGES = Path(__file__).parents[2] / "docs" / "queues"
ROWS = re.findall(r"^\| \[`(\w+)`\]\(([^)]+)\) \|", (PAGES / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_index_has_every_kind_once() -> None:
    assert sorted(kind for kind, _ in ROWS) == sorted(LIBRARIES)


def test_every_library_has_a_page() -> None:
    assert [page for _, page in ROWS if not page.startswith("#") and not (PAGES / page).exists()] == []
