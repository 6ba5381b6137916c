"""The containers on rented machines, as processes: the agent and a real worker under it, as docs/workers.md says.

A machine that its vendor lists as running gets them, told who they are by what it was ordered with. The moment it runs
no more they are killed, and all that they started: a job that was on it is cut off, as at a real vendor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from autoscaler.core.instance import parse_label
from tests.support import real_time
from tests.support.cloud_processes import Machine, Vendor
from tests.support.daemon_process import AUTOSCALER, FLEET
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import EXAMPLES, SCRIPTS

_WAKE_EVERY_S = 0.2

T = TypeVar("T")


class Crew:
    """The workers on all machines of ours at one vendor."""

    def __init__(self, vendor: Vendor, directory: Path, images: Mapping[str, str], env: Mapping[str, str]) -> None:
        """`images` has, by pool, the shell's words after `autoscaler agent`, in which DIRECTORY is the machine's own.

        Each process has `env` in its environment, REDIS_URL among it.
        """
        self._vendor = vendor
        self._directory = directory
        self._images = images
        path = f"{PYTHON_QUEUES.home / 'bin'}{os.pathsep}{Path(AUTOSCALER).parent}{os.pathsep}{os.defpath}"
        modules = f"{SCRIPTS}{os.pathsep}{EXAMPLES}"
        self._env = {**env, "AUTOSCALER_FLEET": FLEET, "PATH": path, "PYTHONPATH": modules}
        self._agents: dict[str, subprocess.Popen[bytes]] = {}
        self._woken_at = 0.0

    def follow(self) -> None:
        """Bring the processes in line with the machines, and let each agent look at its mark."""
        running = {machine.token: machine for machine in self._vendor.machines() if machine.running and machine.token}
        for gone in self._agents.keys() - running.keys():
            self.end(gone)
        for name in running.keys() - self._agents.keys():
            assert running[name].identity == name, "the container is told another name than the label's"
            pool, _ = parse_label(running[name].label, FLEET) or ("", "")
            self.start(name, pool)
        if real_time.now() >= self._woken_at + _WAKE_EVERY_S:  # its own five seconds are minutes to a fast daemon
            self._woken_at = real_time.now()
            for agent in self._agents.values():
                agent.send_signal(signal.SIGCHLD)

    def until(self, condition: Callable[[], T], what: str, *, patience_s: float = 60.0) -> T:
        """Let the machines work until the condition holds, and give what it gave."""

        def look() -> T:
            self.follow()
            return condition()

        return real_time.until(look, what, patience_s=patience_s)

    def freeze(self, name: str) -> None:
        """Let a machine's agent hang: it beats no more."""
        self._agents[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._agents[name].send_signal(signal.SIGCONT)

    def said(self, name: str) -> str:
        """What a machine's agent and worker have written."""
        return self._log(name).read_text()

    def machine(self, name: str) -> Machine | None:
        """The machine of this name, as its vendor lists it."""
        return next((machine for machine in self._vendor.machines() if machine.token == name), None)

    def close(self) -> None:
        """End all."""
        for name in list(self._agents):
            self.end(name)

    def start(self, name: str, pool: str) -> None:
        """Start what a machine of a pool runs."""
        own = str(self._directory / f"{name}.at-work")
        command = "exec autoscaler agent " + self._images[pool].replace("DIRECTORY", own)
        with self._log(name).open("ab") as log:
            self._agents[name] = subprocess.Popen(
                ["sh", "-c", command],
                env={**self._env, "AUTOSCALER_INSTANCE": name},
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, name: str) -> None:
        """Kill whatever carries the machine's name, until nothing is left; its memory goes with it."""
        while left := _processes_of(name):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._agents[name].poll()
        self._agents.pop(name).wait()
        Path("/dev/shm", f"autoscaler-agent-{quote(name, safe='')}").unlink(missing_ok=True)

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"


def _processes_of(name: str) -> list[int]:
    """The living processes in whose environment a machine's name stands, which nobody else's carry."""
    mark = f"AUTOSCALER_INSTANCE={name}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            if mark in (process / "environ").read_bytes().split(b"\0"):  # empty of one that has ended
                found.append(int(process.name))
    return found
