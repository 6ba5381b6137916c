"""The tutorial, typed line by line into one shell in an empty directory, as a reader would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_STEP = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PATIENCE_S = 150.0


def typed(redis_url: str) -> str:
    """All that the tutorial has its reader type, at the ports of this test."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    script = "set -eu\n" + "".join(_STEP.findall(text))
    ports = {"localhost:6379": redis_url.removeprefix("redis://"), "-p 6379": f"-p {redis_url.rpartition(':')[2]}"}
    for written, here in ports.items():
        assert written in script
        script = script.replace(written, here)
    return script


@pytest.mark.timeout(_PATIENCE_S + 10)
def test_each_line_of_the_tutorial_does_what_it_says(redis_url: str, tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    with subprocess.Popen(
        ["bash", "-c", typed(redis_url)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            told, _ = shell.communicate(timeout=_PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # a daemon left behind would answer the next test at its port

    assert shell.returncode == 0, told[-3000:]
    assert "Traceback" not in told
    for page in ("demo", "shadow", "vendor", "live"):
        assert "Traceback" not in (tmp_path / f"{page}.log").read_text()
