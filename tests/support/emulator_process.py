"""`autoscaler emulate` as a process on a free port."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from tests.support.daemon_process import AUTOSCALER


class EmulatorProcess:
    """A vendor on this machine, from entering to leaving the context."""

    def __init__(self, kind: str, directory: Path, **emulation: Any) -> None:
        file = directory / f"{kind}.yaml"
        file.write_text(yaml.safe_dump(emulation))
        self._command = [AUTOSCALER, "emulate", kind, "--port", "0", "--scenario", str(file)]
        self._log = directory / f"{kind}.log"

    def __enter__(self) -> str:
        """Its URL, once it answers there."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        found = re.search(r"http://[\d.:]+", first)
        assert found, f"{first}{self._log.read_text()}"
        return found[0]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.communicate(timeout=15)
