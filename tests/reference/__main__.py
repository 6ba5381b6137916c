"""Write the reference anew: `python -m tests.reference`."""

from __future__ import annotations

from autoscaler.telemetry.logging import configure_logging
from tests.reference.pages import FOLDER, pages

if __name__ == "__main__":
    configure_logging("console", "error")
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(FOLDER / name)  # noqa: T201 - it is a command
