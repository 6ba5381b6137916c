"""What the agent sees of its machine: its worker's processes, the jobs that are told, the GPU.

It stands alone with ``agent.py``: a Python of 3.8 or later on Linux is all it needs.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that older Pythons can run this
    from collections.abc import Callable, Sequence

    Source = Callable[[], "int | None"]

_PATIENCE_S = 3.0
_MOST_BYTES = 4 * 2**20  # a queue lists its prompts in full; what is longer is not idle
_GPU_EVERY_S, _GPU_HANGS_S = 10.0, 30.0
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


# --- the worker -------------------------------------------------------------------------------------------------------


class Worker:
    """The command that the agent runs, in a session of its own: all that it starts belongs to it, save daemons."""

    def __init__(self, command: Sequence[str], drain_signal: int) -> None:
        self._command = command
        self._drain_signal = drain_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: set[int] = set()

    @property
    def pid(self) -> int | None:
        """Of its process; None while it does not run, as far as `ended` has seen."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it.

        Raises:
            OSError: there is no such command, or it cannot be run.
        """
        self._process = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603 - the user's own
        self._sessions.add(self._process.pid)

    def drain(self) -> None:
        """Ask it to finish what it has, and end."""
        self.send(self._drain_signal)

    def send(self, number: int) -> None:
        """Pass a signal on to its process; it knows best which of its children it concerns."""
        if self._process is not None:
            self._process.send_signal(number)

    def ended(self) -> int | None:
        """Its exit code, as a shell gives it, once after it ended."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        self._process = None
        return code if code >= 0 else 128 - code

    def left(self) -> bool:
        """Whether any process of its sessions is there; those that have ended and were not collected are not."""
        there = {session for state, session in _processes() if state not in "ZX"}
        self._sessions &= there | ({self._process.pid} if self._process else set())
        return bool(self._sessions)


def _processes() -> list[tuple[str, int]]:
    """State and session of each process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = stat.read_bytes().rpartition(b")")[2].split()
            found.append((fields[0].decode(), int(fields[3])))
    return found


def collect_orphans(ours: set[int | None]) -> None:
    """Collect processes that have ended and are nobody else's, as the first process of a container must.

    `ours` are those that somebody waits for.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in ours:
            return
        os.waitpid(ended.si_pid, 0)


# --- what holds jobs --------------------------------------------------------------------------------------------------


def source(how: str) -> Source:
    """Where the number of jobs is told: ``dir PATH``, with a file for each job, or ``comfyui :PORT``.

    Raises:
        ValueError: neither.
    """
    kind, _, where = how.partition(" ")
    if kind == "dir" and where:
        return lambda: jobs_in(where)
    port = where[1:] if where.startswith(":") else ""
    if kind == "comfyui" and port.isdigit() and 0 < int(port) < 2**16:
        return lambda: prompts_at(int(port))
    raise ValueError("expected dir PATH, with a file in it for each job, or comfyui :PORT")


def jobs_in(directory: str) -> int | None:
    """How many files there are, hidden ones left out; None when that cannot be seen."""
    try:
        return sum(not entry.name.startswith(".") for entry in Path(directory).iterdir())
    except OSError:
        return None


def prompts_at(port: int) -> int | None:
    """Prompts that run or wait in the ComfyUI of this machine; None when it does not say."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/queue")
        answer = connection.getresponse()
        queue: Any = json.loads(answer.read(_MOST_BYTES)) if answer.status == 200 else None
        return len(queue["queue_running"]) + len(queue["queue_pending"])
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError, RecursionError):
        return None
    finally:
        connection.close()


# --- the GPU ----------------------------------------------------------------------------------------------------------


class Gpu:
    """Asks nvidia-smi, where there is one, and never waits for it: with a GPU that is lost it may hang for good."""

    def __init__(self) -> None:
        self.use: float | None = None
        """Share of its time, 0 to 1, that it works, the mean of several; None when that is not known."""
        self.trouble = ""
        self._there = shutil.which(_NVIDIA_SMI[0]) is not None
        self._asking: subprocess.Popen[str] | None = None
        self._asked_at = float("-inf")

    @property
    def pid(self) -> int | None:
        """Of the nvidia-smi at work."""
        return self._asking.pid if self._asking else None

    def look(self, now: float) -> None:
        """Take its answer, and ask again from time to time. `now` is monotonic."""
        if self._asking is not None and self._asking.poll() is not None:
            text, _ = self._asking.communicate()
            self.use, self.trouble = read_gpu(self._asking.returncode, text)
            self._asking = None
        if self._asking is not None:
            if now - self._asked_at >= _GPU_HANGS_S:
                self.use, self.trouble = None, f"nvidia-smi has not answered for {_GPU_HANGS_S:g}s"
        elif self._there and now - self._asked_at >= _GPU_EVERY_S:
            self._asked_at = now
            with contextlib.suppress(OSError):
                self._asking = subprocess.Popen(  # noqa: S603 - the words are constant
                    _NVIDIA_SMI,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    universal_newlines=True,
                    errors="replace",
                )


def read_gpu(code: int, text: str) -> tuple[float | None, str]:
    """How much the GPUs work, and what is wrong with one; a GPU that does not tell its use is not in trouble."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bad = [line for line in lines if "lost" in line.lower() or "err" in line.lower()]
    if code != 0 or bad:
        return None, f"nvidia-smi: {(bad or lines or [f'ended with {code}'])[0]}"
    shares = [int(line) for line in lines if line.isdigit()]
    return (sum(shares) / len(shares) / 100.0 if shares else None), ""
