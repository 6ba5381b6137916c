"""The name under which a daemon holds a lease, by which a later one on the same machine can tell that it is dead.

`HOST:PID:TOKEN:PLACE:STARTED`, where PLACE stands for one start of one kernel, the name of its host and the namespaces
in which a process is found by that number there, and STARTED is when the process began, in ticks of that kernel's
clock. Where the system does not tell these it is `HOST:PID:TOKEN`, of which nobody can tell anything: such a lease runs
out, as one does that is held elsewhere.

A number of a namespace is used again once all processes in it have ended. So one that reads like ours is ours, or that
of a container whose processes are all dead. The host's name is looked at because virtual machines that go on from one
image of a running one have its kernel's start in common.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

_PROC = Path("/proc")
_STARTED = 19
"""The place of the start time among what follows the command's name in `/proc/PID/stat`, proc(5)."""


def name_of_this_run(token: str) -> str:
    """The name of this process and no other; `token` tells it from those that had its number on machines like this."""
    name = f"{socket.gethostname()}:{os.getpid()}:{token}"
    place = _place()
    return name if place is None else f"{name}:{place}:{_started(os.getpid())}"


def is_dead(name: str) -> bool:
    """Whether the process of that name is known to have ended. A doubt is a no."""
    _, _, proof = name.partition(":")
    match proof.split(":"):
        case [pid, _, place, started] if pid.isdecimal() and place == _place():
            return _has_ended(int(pid), started)
        case _:
            return False


def _has_ended(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)  # `/proc` may hide the processes of other users
        return _started(pid) != started
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False


def _place() -> str | None:
    """Where a process is found by its number and start time; None where this cannot be told for sure."""
    try:
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return None  # this /proc shows the processes of another namespace
        boot = (_PROC / "sys/kernel/random/boot_id").read_text()
        spaces = [str((_PROC / f"self/ns/{kind}").readlink()) for kind in ("pid", "time")]
    except OSError:
        return None
    return hashlib.sha256(" ".join([socket.gethostname(), boot, *spaces]).encode()).hexdigest()[:16]


def _started(pid: int) -> str:
    """When a process began, as its kernel counts.

    Raises:
        OSError: it has ended, or may not be looked at.
    """
    stat = (_PROC / str(pid) / "stat").read_text()
    return stat.rpartition(")")[2].split()[_STARTED]
