"""What the agent sees of its machine: its worker's processes, the jobs that are told, the GPU.

It stands alone with ``agent.py``: a Python of 3.8 or later on Linux is all it needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:  # so that older Pythons can run this
    from collections.abc import Callable, Sequence

_PATIENCE_S = 3.0
_MOST_BYTES = 4 * 2**20  # a queue lists its prompts in full; what is longer is not idle
_GPU_EVERY_S, _GPU_HANGS_S = 10.0, 30.0
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


# --- the worker -------------------------------------------------------------------------------------------------------


class Memory:
    """What an agent leaves to the one after it, on the same machine, and only there: its worker.

    It lies in memory, so that it goes when the machine restarts, as all processes do. Only one agent holds it.
    """

    def __init__(self, instance: str, directory: str = "/dev/shm") -> None:  # noqa: S108 - an open file is locked
        """Take it, or be without, where there is no such directory.

        Raises:
            BlockingIOError: another agent of this machine holds it.
        """
        self._file = -1
        path = f"{directory}/autoscaler-agent-{quote(instance, safe='')}"
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass

    def recall(self) -> dict[str, Any]:
        """What was last kept; empty where nothing was."""
        text = os.pread(self._file, 65536, 0) if self._file >= 0 else b""
        try:
            return dict(json.loads(text.partition(b"\n")[0]))
        except (ValueError, TypeError):
            return {}

    def keep(self, **what: Any) -> None:
        """Keep this instead."""
        if self._file >= 0:
            os.pwrite(self._file, json.dumps(what).encode() + b"\n", 0)


class Worker:
    """The command that the agent runs, in a session of its own: all that it starts belongs to it, save daemons.

    One that an agent before this one left at work is this one's, too: it is neither started twice, nor taken for gone.
    """

    def __init__(self, command: Sequence[str], drain_signal: int, memory: Memory) -> None:
        self._command = command
        self._drain_signal = drain_signal
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        before = memory.recall()
        self.pid: int | None = before.get("pid")
        """Of its process; None while it does not run, as far as `ended` has seen."""
        self.asked: bool = before.get("asked", False)
        """It was asked to end: a second time means to many libraries to give up the job."""
        self._sessions = set(before.get("sessions", ()))

    def start(self) -> None:
        """Start it.

        Raises:
            OSError: there is no such command, or it cannot be run.
        """
        self.asked = False
        self._process = subprocess.Popen(self._command, start_new_session=True)  # noqa: S603 - the user's own
        self.pid = self._process.pid
        self._sessions.add(self.pid)
        self._keep()

    def drain(self) -> None:
        """Ask it to finish what it has, and end; once."""
        if self.pid is not None and not self.asked:
            self.asked = True
            self._keep()
            self.send(self._drain_signal)

    def send(self, number: int) -> None:
        """Pass a signal on to its process; it knows best which of its children it concerns."""
        if self.pid is not None and self._leads(self.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # of one that runs as somebody else
                os.kill(self.pid, number)

    def ended(self) -> int | None:
        """Its exit code, as a shell gives it, once after it ended; 0 of one that another agent started."""
        if self._process is not None:
            code = self._process.poll()
        else:
            code = 0 if self.pid is not None and not self._leads(self.pid) else None
        if code is None:
            return None
        self._process = self.pid = None
        self._keep()
        return code if code >= 0 else 128 - code

    def left(self) -> bool:
        """Whether any process of its sessions is there; those that have ended and were not collected are not."""
        self._sessions &= {*_sessions().values(), *([self.pid] if self.pid else [])}
        return bool(self._sessions)

    @staticmethod
    def _leads(pid: int) -> bool:
        """Whether this process is there, and the first of its session, as a worker's is."""
        return _sessions().get(pid) == pid

    def _keep(self) -> None:
        self._memory.keep(pid=self.pid, asked=self.asked, sessions=sorted(self._sessions))


def _sessions() -> dict[int, int]:
    """The session of each process by its id; those that have ended and were not collected are left out."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = stat.read_bytes().rpartition(b")")[2].split()
            if fields[0] not in (b"Z", b"X"):
                found[int(stat.parent.name)] = int(fields[3])
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


class Source(NamedTuple):
    """Where jobs are told."""

    tell: Callable[[], int | None]
    """How many there are; None when that is not known."""
    outlasts: bool
    """Whether they may be at work though no process of the worker is left."""


def source(how: str) -> Source:
    """Where the number of jobs is told: ``dir PATH``, with a file for each job, or ``comfyui :PORT``.

    Raises:
        ValueError: neither.
    """
    kind, _, where = how.partition(" ")
    if kind == "dir" and where:
        return Source(lambda: jobs_in(where), outlasts=False)
    port = where[1:] if where.startswith(":") else ""
    if kind == "comfyui" and port.isdigit() and 0 < int(port) < 2**16:
        return Source(lambda: prompts_at(int(port)), outlasts=True)
    raise ValueError("expected dir PATH, with a file in it for each job, or comfyui :PORT")


def jobs_in(directory: str) -> int | None:
    """How many files there are, hidden ones left out; None when that cannot be seen."""
    try:
        return sum(not entry.name.startswith(".") for entry in Path(directory).iterdir())
    except OSError:
        return None


def prompts_at(port: int) -> int | None:
    """Prompts that run or wait in the ComfyUI of this machine; None when it does not say."""
    until = time.monotonic() + _PATIENCE_S  # noqa: TID251 - it stands alone
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/queue")
        answer = connection.getresponse()
        body = b""
        while len(body) < _MOST_BYTES and (chunk := answer.read1(_MOST_BYTES - len(body))):
            body += chunk
            if time.monotonic() > until:  # noqa: TID251
                return None
        return prompts_in(body) if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def prompts_in(body: bytes) -> int | None:
    """How many prompts are in ComfyUI's answer to ``GET /queue``; None where it is something else."""
    try:
        queue: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    parts = [queue.get(name) for name in ("queue_running", "queue_pending")] if isinstance(queue, dict) else []
    lists = [part for part in parts if isinstance(part, list)]
    return sum(map(len, lists)) if len(lists) == 2 else None


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
