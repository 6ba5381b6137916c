"""A systemd of a test: the first process of its own namespaces, on a copy of this machine's files to spoil."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.real_time import until

_ROOT = Path(__file__).parents[2]
_PROGRAM = "/lib/systemd/systemd"
_NAMESPACES = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
_NAMESPACES += ["--uts", "--ipc", "--cgroup", "--net"]
_BOOT = """
set -e
ip link set lo up
mount -t tmpfs tmpfs {work}; cd {work}; mkdir up own root
mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=own root; cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t tmpfs tmpfs run
mount --rbind /dev dev
mount -t sysfs sysfs sys -o ro
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p opt/python opt/site opt/src opt/autoscaler/bin oldroot
mount --bind {python} opt/python; mount --bind {site} opt/site; mount --bind {source} opt/src
cp -r {files}/. .
pivot_root . oldroot; cd /; umount -l oldroot
mount --make-rshared /
exec env -i PATH=/usr/bin:/bin container=test {program} --system --unit=nothing.target --show-status=no
"""
_NOTHING = "[Unit]\nDescription=Nothing but what is started by hand\n"
_AUTOSCALER = """#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/src:/opt/site PYTHONDONTWRITEBYTECODE=1
exec /opt/python/bin/python3 -c 'from autoscaler.cli import main; main()' "$@"
"""
"""Our program where it is installed on a server: this very source, by this Python, wherever that lies."""


class Systemd:
    """Started with files laid over this machine's; it has a loopback of its own, and no other network."""

    def __init__(self, directory: Path, files: Mapping[str, str]) -> None:
        ours = ("unshare", "nsenter", "pivot_root", "ip", "curl", "systemctl")
        if os.geteuid() != 0 or not all(map(shutil.which, ours)) or not Path(_PROGRAM).exists():
            pytest.skip("only root, and with systemd installed, can start another systemd")
        over, work = directory / "files", directory / "work"
        work.mkdir(parents=True)
        every = {"opt/autoscaler/bin/autoscaler": _AUTOSCALER, "etc/systemd/system/nothing.target": _NOTHING, **files}
        every["etc/systemd/system/network-online.target"] = _NOTHING
        for name, text in every.items():
            (over / name).parent.mkdir(parents=True, exist_ok=True)
            (over / name).write_text(text)
            (over / name).chmod(0o755 if "/bin/" in name else 0o600 if "/secrets/" in name else 0o644)
        paths = {"work": work, "files": over, "python": sys.base_prefix, "source": _ROOT, "program": _PROGRAM}
        paths["site"] = sysconfig.get_path("purelib")
        boot = _BOOT.format(**{name: shlex.quote(str(path)) for name, path in paths.items()})
        self._log = directory / "boot.log"
        with self._log.open("wb") as log:
            self._unshare = subprocess.Popen(["unshare", *_NAMESPACES, "sh", "-c", boot], stdout=log, stderr=log)
        try:
            until(self._is_up, "systemd was up", patience_s=30)
        except AssertionError:
            self.stop()
            pytest.skip(f"no systemd can be started in a namespace here: {self._log.read_text()}")

    def _is_up(self) -> bool:
        if self._unshare.poll() is not None:
            raise AssertionError("it has ended")
        return bool(self._child()) and self.ctl("is-active", "nothing.target").stdout.strip() == "active"

    def _child(self) -> str:
        pid = self._unshare.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()

    def run(self, *command: str, outside: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command as root beside it; `outside`: with this machine's network."""
        enter = ["nsenter", "--target", self._child(), "--mount", "--pid", "--uts", "--ipc"]
        enter += [] if outside else ["--net"]
        return subprocess.run([*enter, *command], check=False, capture_output=True, text=True, timeout=170)

    def get(self, url: str) -> str:
        """What is answered there; nothing while nothing is."""
        return self.run("curl", "--silent", "--fail", "--max-time", "5", url).stdout

    def ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`systemctl` with these words."""
        return self.run("systemctl", *words)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.ctl("show", "--property", name, "--value", unit).stdout.strip()

    def stop(self) -> None:
        """End it, with all that runs in it."""
        self._unshare.kill()
        self._unshare.wait()
