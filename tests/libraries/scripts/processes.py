"""Worker processes that a script starts; those that are left when it ends are killed. Standard library only."""

import atexit
import os
import signal
import subprocess
import sys
from pathlib import Path

_started = {}


def start(program, *arguments, **env):
    """Run a program of this environment, or ``python``, beside the scripts; gives its pid."""
    process = subprocess.Popen(
        [Path(sys.executable).parent / program, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), **env},
        start_new_session=True,
    )
    _started[process.pid] = process
    return process.pid


def tell(pid, how):
    """Send a signal, such as SIGTERM; SIGKILL goes to the children, too."""
    number = getattr(signal, how)
    (os.killpg if number == signal.SIGKILL else os.kill)(pid, number)


def ended(pid):
    """The exit code, as text; None while it runs."""
    code = _started[pid].poll()
    return None if code is None else str(code)


@atexit.register
def _kill_all():
    for process in _started.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
