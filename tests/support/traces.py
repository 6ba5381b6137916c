"""Where the real traces are, which are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TRACES = Path(os.environ.get("AUTOSCALER_TRACES") or Path(__file__).parents[2] / "../shared/traces")


def real_trace(name: str) -> Path:
    """A real trace; the test is skipped where it is not."""
    path = TRACES / name
    if not path.exists():
        pytest.skip(f"{path} is not there; AUTOSCALER_TRACES names the directory of traces")
    return path
