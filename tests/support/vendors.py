"""The vendors' own clients, each in a virtual environment of its own, for their versions conflict with each other's.

``python -m tests.support.vendors`` installs those that are missing; tests skip without them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".vendors"
SPECS = Path(os.environ.get("AUTOSCALER_SPECS") or Path(__file__).parents[2] / "../shared/specs")
"""The vendors' specifications and the recorded requests of their clients, as whoever runs the tests has them."""
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Vendor:
    """One version of a vendor's client."""

    requirement: str
    """As pip takes it; naming a release candidate's very version allows it."""

    @property
    def home(self) -> Path:
        """Its virtual environment; a new version has another one."""
        return CACHE / self.requirement.replace("==", "-")

    @property
    def installed(self) -> bool:
        """Whether it was installed to the end."""
        return (self.home / "installed").exists()

    def install(self) -> None:
        """Make the virtual environment, unless it is there."""
        if self.installed:
            return
        venv.create(self.home, clear=True, with_pip=True)
        pip = [str(self.home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, self.requirement], check=True)
        (self.home / "installed").touch()

    def require(self) -> None:
        """Skip the test that needs it, if it is not there."""
        if not self.installed:
            pytest.skip(f"{self.requirement} is not installed: run `python -m tests.support.vendors`")

    async def run(self, program: str, *arguments: str, env: Mapping[str, str]) -> Ran:
        """Run one of its programs, or `python`, to the end, with no other environment than this."""
        self.require()
        process = await asyncio.create_subprocess_exec(
            str(self.home / "bin" / program),
            *arguments,
            env={"PATH": os.defpath, **env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
        except TimeoutError:
            process.kill()
            raise
        return Ran(process.returncode or 0, out.decode(), err.decode())


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of running a program."""

    code: int
    out: str
    err: str


VASTAI = Vendor("vastai==1.9.1")
RUNPOD = Vendor("runpod==1.12.0")
RUNPOD_NEXT = Vendor("runpod==2.0.0rc2")


def require_specs(*below: str) -> Path:
    """A path among the specifications; the test skips where it is not there."""
    path = SPECS.joinpath(*below)
    if not path.exists():
        pytest.skip(f"{path} is not there: set AUTOSCALER_SPECS to the directory of the vendors' specifications")
    return path


if __name__ == "__main__":
    for vendor in (VASTAI, RUNPOD, RUNPOD_NEXT):
        sys.stderr.write(f"{vendor.requirement}: {vendor.home}\n")
        vendor.install()
