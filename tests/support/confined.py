"""A process as a container runs it: nobody's user, no capability to write, and nothing that can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

USER = "65532"
"""As in deploy/Dockerfile."""
_READ_ONLY = 'mount -o remount,bind,ro / && cd / && exec "$@"'
_AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--no-new-privs"]
_NO_CAPABILITY = ["--inh-caps=-all", "--bounding-set=-all"]
_READS_ALL = [f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
"""For a Python that lies in root's home, where nobody else can read it."""


def confined(command: Sequence[str]) -> list[str]:
    """A command line that confines another one, and becomes it; the test is skipped where that may not be done."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "mount"))):
        pytest.skip("only root can confine a process")
    said = ""
    for capabilities in (_NO_CAPABILITY, _READS_ALL):
        namespace = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _READ_ONLY, "sh"]
        prefix = [*namespace, *_AS_USER, *capabilities]
        look = [*prefix, sys.executable, "-c", "import sys; print(sys.base_prefix)"]
        tried = subprocess.run(look, capture_output=True, text=True, check=False)
        if tried.stdout.strip() == sys.base_prefix:
            return [*prefix, *command]
        said = tried.stderr.strip()
    pytest.skip(f"this machine lets nobody confine a process: {said}")
