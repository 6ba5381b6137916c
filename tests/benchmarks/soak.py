"""One hour of a real daemon on a real Redis at 200 times the speed: eight days of a fleet that breathes.

Beside its ticks it is asked by its API as Prometheus, a supervisor and a page would, is told to read its file again,
and is given orders. What it holds after the first tenth is compared with what it holds at the end.
"""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from autoscaler.core.lifecycle import Phase
from autoscaler.store.keys import Keys
from tests.benchmarks.figures import Figure
from tests.support import real_time
from tests.support.daemon_process import AUTOSCALER, FLEET, DaemonProcess, Json, a_config, connect
from tests.support.redis_server import RedisServer

_SPEED = 200.0
_SECONDS = 3600.0
_STEP_S = 0.05
"""Between two acts of the workers: as often as the daemon ticks."""
_ASK_EVERY = 20
_ORDER_EVERY = 400
_WAVE_S = 4 * 3600.0 / _SPEED
"""From one rush to the next."""
_GROWTH_MB = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What a process holds."""

    resident_mb: float
    files: int
    threads: int
    tasks: int


def hour() -> Iterator[Figure]:
    """What the daemon holds early and late, and what it did."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        server = RedisServer(directory)
        server.start()
        daemon = _Daemon(directory, _config(directory, server.url), str(_SPEED))
        daemon.start()
        try:
            daemon.wait_ready()
            yield from _figures(daemon, connect(server.url))
            assert daemon.terminate() == 0, daemon.log.read_text()[-2000:]
        finally:
            daemon.kill()
            server.stop()


def _figures(daemon: _Daemon, client: Any) -> Iterator[Figure]:
    early = _live(daemon, client, _SECONDS * 0.1)
    late = _live(daemon, client, _SECONDS * 0.9)
    metrics = daemon.metrics()
    good, failed = (metrics.get(f'autoscaler_ticks_total{{outcome="{each}"}}', 0.0) for each in ("good", "failed"))
    yield Figure(what=f"resident memory early in {_SECONDS / 60:g} min", value=early.resident_mb, unit="MB")
    grown = late.resident_mb - early.resident_mb
    yield Figure(what="its growth up to the end", value=grown, unit="MB", target=_GROWTH_MB)
    yield Figure(what="open files at the end more than early", value=late.files - early.files, unit="", target=2)
    yield Figure(what="threads at the end more than early", value=late.threads - early.threads, unit="", target=0)
    yield Figure(what="tasks at the end more than early", value=late.tasks - early.tasks, unit="", target=5)
    yield Figure(what="good ticks", value=good, unit="")
    yield Figure(what="failed ticks", value=failed, unit="", target=good / 1000.0)
    yield Figure(what="journal entries kept", value=client.xlen(Keys(FLEET).journal), unit="", target=10_200)
    yield Figure(what="memory of Redis", value=client.info("memory")["used_memory"] / 1e6, unit="MB")


class _Daemon(DaemonProcess):
    """A daemon that tells how many tasks it holds."""

    def start(self) -> None:
        """Start it."""
        arguments = (*self._arguments, str(self.file), str(self._tasks))
        command = [sys.executable, "-m", "tests.support.soaked_daemon", *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def _tasks(self) -> Path:
        return self.log.with_name("tasks")

    def held(self) -> Held:
        """What it holds now."""
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        return Held(
            resident_mb=int(status["VmRSS"].split()[0]) / 1024.0,
            files=len(list((proc / "fd").iterdir())),
            threads=int(status["Threads"]),
            tasks=int(self._tasks.read_text() or 0),
        )


def _config(directory: Path, url: str) -> Json:
    config = a_config(directory, url, policy={"rent_depth": 3, "idle_for": "10m"})
    config["pools"]["images"]["limits"]["usd_per_day"] = {"warn": 400.0, "stop": 500.0}
    del config["providers"]["mock"]["state_file"]  # written at each change: the mock's own burden, not the daemon's
    return config | {"log": {"format": "json", "level": "error"}}


def _live(daemon: _Daemon, client: Any, seconds: float) -> Held:
    """Play the workers, the producers and all who ask, for so long; gives what the daemon holds then."""
    over_at = real_time.now() + seconds
    step = 0
    while (now := real_time.now()) < over_at:
        step += 1
        _work(client, round(20.0 * (1.0 + math.sin(2.0 * math.pi * now / _WAVE_S))), step)
        if step % _ASK_EVERY == 0:
            for path in ("/api/v1/status", "/api/v1/journal", "/readyz", "/api/v1/plan"):
                daemon.ask(path)
            daemon.metrics()
        if step % _ORDER_EVERY == 0:
            _order(daemon, step)
        real_time.sleep(_STEP_S)
    return daemon.held()


def _work(client: Any, depth: int, step: int) -> None:
    """Let the queue have this depth, and each machine's worker say how it is."""
    keys = Keys(FLEET)
    endpoints = {name: json.loads(value) for name, value in client.hgetall(keys.endpoints).items()}
    pipeline = client.pipeline(transaction=False)
    pipeline.delete("jobs:pro")
    if depth:
        pipeline.rpush("jobs:pro", *["{}"] * depth)
    for name, endpoint in endpoints.items():
        drains = endpoint["phase"] == Phase.DRAINING
        beat = {"busy": int(depth > 0 and not drains), "drained": drains, "beat": step}
        pipeline.hset(keys.workers, name, json.dumps(beat))
    pipeline.execute()


def _order(daemon: _Daemon, step: int) -> None:
    """Write the limits anew and have them read; pause and unpause."""
    config = yaml.safe_load(daemon.file.read_text())
    config["pools"]["images"]["limits"]["hot"] = f"1..{3 + step // _ORDER_EVERY % 3}"
    daemon.file.write_text(yaml.safe_dump(config))
    daemon.process.send_signal(signal.SIGHUP)
    for command in ("pause", "unpause"):
        subprocess.run([AUTOSCALER, command, daemon.file, "--by", "soak"], check=True, capture_output=True)
