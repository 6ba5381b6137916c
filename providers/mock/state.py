"""The file that a market is kept in, so that it outlives the process."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoscaler.core.errors import SettingsError


class StateFile:
    """One JSON file, replaced as a whole: a reader sees the old one or the new one, whenever the writer is killed."""

    def __init__(self, path: Path) -> None:
        """Take a path.

        Raises:
            SettingsError: its directory does not exist.
        """
        if not path.parent.is_dir():
            raise SettingsError(f"{path.parent} is no directory; expected a file in an existing one")
        self._path = path
        self._lock = threading.Lock()
        self._written = 0

    def read(self) -> Mapping[str, Any] | None:
        """What was written last, or None where nothing was.

        Raises:
            SettingsError: the file cannot be read or is no state file.
        """
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self._path} cannot be read: {error}; remove it to start anew") from error
        if not isinstance(state, dict) or "version" not in state:
            raise SettingsError(f"{self._path} is not a state file of the mock market")
        return state

    def write(self, order: int, text: str) -> None:
        """Replace the file, unless a later state is written already; safe to call from several threads.

        Raises:
            OSError: it could not be written; the old file stays.
        """
        with self._lock:
            if order <= self._written:
                return
            fresh = self._path.with_name(self._path.name + ".new")
            # Readable by its owner alone: a machine's environment may hold secrets.
            fresh.touch(mode=0o600)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._path)
            self._written = order
