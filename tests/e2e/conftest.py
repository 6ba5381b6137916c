"""Real daemons on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon_process import DaemonProcess, StartDaemon, connect


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[StartDaemon]:
    daemons: list[DaemonProcess] = []

    def start(config: Mapping[str, Any], *arguments: str) -> DaemonProcess:
        directory = tmp_path / f"daemon-{len(daemons) + 1}"
        directory.mkdir()
        daemon = DaemonProcess(directory, config, *arguments)
        daemons.append(daemon)
        daemon.start()
        return daemon

    yield start
    for daemon in daemons:
        daemon.kill()


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A client of the empty real Redis."""
    with connect(redis_url) as connected:
        yield connected
