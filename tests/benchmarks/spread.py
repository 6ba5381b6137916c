"""A fleet of 10,000 machines, its pools spread over daemons: real processes, a real Redis, a mock market for each.

All of the machines run before the first daemon starts, and nothing is to be rented or stopped: what is measured is the
watch over them, and how pools change hands. A daemon's work is counted in seconds of the processor, for the daemons
share one computer here.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from autoscaler.core.instance import make_label
from autoscaler.core.market import Status
from autoscaler.runtime.clock import SystemClock
from autoscaler.store.keys import Keys
from providers.mock import Market, MockSettings
from providers.mock.machine import Machine
from tests.benchmarks.figures import Figure
from tests.support import real_time
from tests.support.daemon_process import FLEET, DaemonProcess, Json, connect
from tests.support.redis_server import RedisServer, free_port

_POOLS = [f"pool{number}" for number in range(100)]
_PER_POOL = 100
_DAEMONS = 4
_TICK_S = 10.0
_LEASE_S = 30.0
_STEADY_S = 6 * _TICK_S
_PATIENCE_S = 300.0


def large_fleet() -> Iterator[Figure]:
    """What a tick costs with one daemon, two and four; how soon shares are even, and all pools led again."""
    what = f"{len(_POOLS)} pools"
    with _Daemons() as daemons:
        for count in (1, 2, _DAEMONS):
            joined = real_time.now()
            while len(daemons.running) < count:
                daemons.start()
            daemons.watch_until(lambda: daemons.are_even)
            even_s = real_time.now() - joined
            yield Figure(what=f"{what}: shares of {count} even after", value=even_s, unit="s")
            yield from daemons.steady(f"{what}, {count} daemons" if count > 1 else f"{what}, one daemon")
        daemons.kill_one()
        again_s = daemons.watch_until(lambda: not daemons.unled)
        yield Figure(
            what=f"{what}: led again after kill -9 of one of four", value=again_s, unit="s", target=2 * _LEASE_S
        )
        daemons.start()
        daemons.watch_until(lambda: daemons.are_even)
        daemons.longest_gap_s = 0.0
        for _ in range(_DAEMONS):
            daemons.replace_one()
        what = f"{what}: rolling restart of four, longest without a leader"
        yield Figure(what=what, value=daemons.longest_gap_s, unit="s", target=2 * _TICK_S)


class _Daemons:
    """Some daemons of one fleet, and who leads which pool."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.running: list[DaemonProcess] = []
        self.longest_gap_s = 0.0
        self._started = 0
        self._leaders: list[bytes] = []
        self._unled_since: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._directory = Path(self._stack.enter_context(TemporaryDirectory()))
        self._server = RedisServer(self._directory)
        self._server.start()
        self._stack.callback(self._server.stop)
        self._client = self._stack.enter_context(connect(self._server.url))
        (self._directory / "market.json").write_text(json.dumps(_market().dump()))
        beats = {f"{pool}x{number}": b"1" for pool in _POOLS for number in range(_PER_POOL)}
        self._client.hset(Keys(FLEET).workers, mapping=beats)
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.running:
            daemon.kill()
        self._stack.close()

    def start(self) -> None:
        self._started += 1
        directory = self._directory / str(self._started)
        directory.mkdir()
        daemon = DaemonProcess(directory, _config(self._server.url, self._directory / "market.json"))
        daemon.start()
        self.running.append(daemon)

    def kill_one(self) -> None:
        self.running.pop(0).process.send_signal(signal.SIGKILL)

    def replace_one(self) -> None:
        """As a rolling update does: the new one is ready before the old one is told to stop."""
        old = self.running.pop(0)
        self.start()
        self.watch_until(lambda: self.running[-1].ask("/readyz")[0] == 200)
        old.process.send_signal(signal.SIGTERM)
        self.watch_until(lambda: old.process.poll() is not None)
        self.watch_until(lambda: self.are_even)

    # --- who leads ----------------------------------------------------------------------------------------------------

    def watch_until(self, condition: Callable[[], bool]) -> float:
        """Look at the leases until a condition holds; gives how long that took, in seconds."""
        began = real_time.now()
        real_time.until(lambda: self._look() and condition(), "it holds", patience_s=_PATIENCE_S)
        return real_time.now() - began

    def _look(self) -> bool:
        *leases, (seconds, microseconds) = self._ask(*(("GET", Keys(FLEET, pool).lease) for pool in _POOLS), ("TIME",))
        at = seconds + microseconds / 1e6
        led = {pool: lease for pool, lease in zip(_POOLS, leases, strict=True) if lease}
        for pool in _POOLS:
            since = self._unled_since.setdefault(pool, at)
            self.longest_gap_s = max(self.longest_gap_s, at - since)
            if pool in led:
                del self._unled_since[pool]
        self._leaders = [lease.rpartition(b":")[0] for lease in led.values()]
        return True

    def _ask(self, *commands: tuple[str, ...]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return list(pipe.execute())

    @property
    def unled(self) -> bool:
        """Whether any pool has no leader that lives: who was killed holds his leases until they run out."""
        pids = {str(daemon.process.pid).encode() for daemon in self.running}
        return len(self._leaders) < len(_POOLS) or any(each.split(b":")[1] not in pids for each in self._leaders)

    @property
    def are_even(self) -> bool:
        shares = Counter(self._leaders).values()
        return not self.unled and len(shares) == len(self.running) and max(shares) - min(shares) <= 1

    # --- what it costs ------------------------------------------------------------------------------------------------

    def steady(self, what: str) -> Iterator[Figure]:
        """The dearest daemon's work while nothing happens."""
        self.watch_until(lambda: all(daemon.ask("/readyz")[0] == 200 for daemon in self.running))
        real_time.sleep(2 * _TICK_S)
        before, commands = [_cpu_s(daemon) for daemon in self.running], self._commands()
        real_time.sleep(_STEADY_S)
        worked_s = max(_cpu_s(daemon) - began for daemon, began in zip(self.running, before, strict=True))
        asked = (self._commands() - commands) * _TICK_S / _STEADY_S
        yield Figure(what=f"{what}: a tick, processor", value=1000.0 * worked_s * _TICK_S / _STEADY_S, unit="ms")
        yield Figure(what=f"{what}: a tick, commands in Redis, of all", value=asked, unit="")
        yield Figure(what=f"{what}: resident, largest", value=max(map(_resident_mb, self.running)), unit="MB")

    def _commands(self) -> int:
        return int(self._client.info("stats")["total_commands_processed"])


def _cpu_s(daemon: DaemonProcess) -> float:
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(daemon: DaemonProcess) -> float:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    [resident_kb] = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return resident_kb / 1024.0


def _market() -> Market:
    """All machines, up and running."""
    market = Market("mock", MockSettings(), (), random.Random(1))
    now = SystemClock().now()
    market.settle(now)
    for number, (pool, index) in enumerate((pool, index) for pool in _POOLS for index in range(_PER_POOL)):
        machine = Machine(
            id=f"m{number}",
            number=number,
            label=make_label(FLEET, pool, f"{pool}x{index}"),
            gpu="RTX 4090",
            region="US",
            host=f"h{number}",
            buy="on_demand",
            usd_per_hour=0.5,
            disk_usd_per_hour=0.01,
            created_at=now,
            status=Status.RUNNING,
        )
        market.machines[machine.id] = machine
    return market


def _config(redis_url: str, market: Path) -> Json:
    pool = {
        "machine": {"image": "worker:1", "gpus": ["RTX 4090"], "ready": "running"},
        "placements": [{"provider": "mock", "max_usd_per_hour": 5}],
        "limits": {"hot": f"{_PER_POOL}..{_PER_POOL}", "warm": 0, "usd_per_day": {"warn": 10**6, "stop": 10**6}},
    }
    queues = {name: {"kind": "list", "tiers": [{"name": "pro", "key": f"jobs:{name}"}]} for name in _POOLS}
    return {
        "fleet": FLEET,
        "redis": redis_url,
        "spread": True,
        "tick": f"{_TICK_S:g}s",
        "lease": f"{_LEASE_S:g}s",
        "http": {"listen": f"127.0.0.1:{free_port()}"},
        "log": {"format": "json", "level": "error"},
        "pools": {name: {"queue": queue, **pool} for name, queue in queues.items()},
        "providers": {"mock": {"state_file": str(market), "faults": {"outbid": 0}}},
    }
