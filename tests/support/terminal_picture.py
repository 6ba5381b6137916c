"""The picture of docs/terminal.md and the README: a recorded look at the demo as the watch draws it.

python -m tests.support.terminal_picture
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from autoscaler.cli.watch.screen import draw
from autoscaler.cli.watch.state import Watch

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "demo.svg"
RECORDED = ROOT / "tests" / "cli" / "recorded_demo.json"
COLUMNS, LINES = 112, 30


def recorded() -> Watch:
    """A watch that has looked at the demo for half a minute."""
    told: dict[str, Any] = json.loads(RECORDED.read_text())
    watch = Watch()
    watch.looked(told["status"], told["journal"])
    watch.looks.clear()
    watch.looks.extend((depth, up) for depth, up in told["looks"])
    return watch


def picture() -> str:
    """The screen as SVG, which tells its letters and colours apart whatever the fonts of who looks at it."""
    console = Console(
        file=io.StringIO(), width=COLUMNS, height=LINES, force_terminal=True, record=True, color_system="standard"
    )
    console.print(draw(recorded(), COLUMNS, LINES), end="")
    svg = console.export_svg(title="autoscaler run --demo", theme=SVG_EXPORT_THEME, unique_id="terminal")
    own_fonts = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # none is fetched from elsewhere
    return own_fonts.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")


def lines() -> list[str]:
    """The same as plain text."""
    console = Console(file=io.StringIO(), width=COLUMNS, height=LINES, color_system=None)
    console.print(draw(recorded(), COLUMNS, LINES))
    return cast("io.StringIO", console.file).getvalue().splitlines()


if __name__ == "__main__":
    PICTURE.write_text(picture())
