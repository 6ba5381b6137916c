"""The daemon as a process: how soon it is ready, and how much it holds when there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from tests.benchmarks.figures import Figure
from tests.support import real_time
from tests.support.daemon_process import DaemonProcess, a_config
from tests.support.redis_server import RedisServer

_STARTS = 3
_READY_S = 1.5
_LEADS_S = 5.0
_SPEED = 60
_IDLE_S = 5.0
_RESIDENT_MB = 100.0


def start() -> Iterator[Figure]:
    """From the command line to the first good tick."""
    times_s = []
    for _ in range(_STARTS):
        with _daemon() as daemon:
            started = perf_counter()
            daemon.start()
            daemon.wait_ready()
            times_s.append(perf_counter() - started)
    yield Figure(what=f"start to first tick, slowest of {_STARTS}", value=max(times_s), unit="s", target=_READY_S)


def restart() -> Iterator[Figure]:
    """From `kill -9` over a new start to the first tick that leads, though the dead one's lease runs on."""
    times_s = []
    for _ in range(_STARTS):
        with _daemon() as daemon:
            daemon.start()
            daemon.wait_ready()
            killed = perf_counter()
            daemon.kill()
            daemon.start()
            real_time.until(lambda: daemon.ask("/readyz")[1].get("leads"), "it led again")
            times_s.append(perf_counter() - killed)
    yield Figure(
        what=f"kill -9 to first tick that leads, slowest of {_STARTS}", value=max(times_s), unit="s", target=_LEADS_S
    )


def memory() -> Iterator[Figure]:
    """With one machine HOT and an empty queue."""
    with _daemon("--speed", str(_SPEED)) as daemon:
        daemon.start()
        daemon.wait_ready()
        real_time.sleep(_IDLE_S)
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        ticks = _IDLE_S * _SPEED / 10.0
    [resident_kb] = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    yield Figure(
        what=f"resident memory, idle, after {ticks:g} ticks",
        value=resident_kb / 1024.0,
        unit="MB",
        target=_RESIDENT_MB,
    )


@contextmanager
def _daemon(*arguments: str) -> Iterator[DaemonProcess]:
    """A daemon on an empty real Redis, not started yet."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        server = RedisServer(directory)
        server.start()
        daemon = DaemonProcess(directory, a_config(directory, server.url, mock={"setup": "1m"}), *arguments)
        try:
            yield daemon
            daemon.terminate()
        finally:
            daemon.kill()
            server.stop()
