"""Several daemons of one fleet as processes, each on a network of its own to Redis and to one emulated vendor."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autoscaler.store.keys import Keys
from tests.support import real_time
from tests.support.cloud_processes import ROOT, VastAi
from tests.support.daemon_process import FLEET, DaemonProcess, Json, connect
from tests.support.emulator_process import EmulatorProcess
from tests.support.redis_server import free_port
from tests.support.tcp_proxy import TcpProxy

TICK_S = 0.5
LEASE_S = 2.0
_CHANGES = re.compile(rb"(?:PUT|DELETE) /")


class Peer(DaemonProcess):
    """One of the daemons, its networks, and what it did over them."""

    def __init__(self, directory: Path, config: Mapping[str, Any], vendor: TcpProxy, redis: TcpProxy | None) -> None:
        super().__init__(directory, config)
        self.vendor = vendor
        self.redis = redis
        self.ahead_s = 0.0
        """How much its clock is ahead of the others'."""

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.daemon_ahead", str(self.ahead_s), str(self.file)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    @property
    def calls(self) -> int:
        """Calls that it has sent and that change something at the vendor's."""
        return len(_CHANGES.findall(self.vendor.asked))

    def pause(self) -> None:
        """Stop it where it stands."""
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def wait_ticks(self, count: int = 2) -> None:
        """Wait until it has made some more good ticks."""
        for _ in range(count):
            self._wait_tick()

    def _wait_tick(self) -> None:
        before = self.ask("/api/v1/status")[1].get("at")
        real_time.until(lambda: self.ask("/api/v1/status")[1].get("at") not in (None, before), "it ticked")


class Several:
    """The daemons of one fleet at one vendor, whose machines come up within a second."""

    def __init__(self, directory: Path, redis_url: str, pools: Sequence[str] = ("images",), **settings: Any) -> None:
        self.redis_url = redis_url
        self.peers: list[Peer] = []
        self._directory = directory
        self._pools = pools
        self.settings = settings
        """Of the daemons started from now on."""
        self._emulator = EmulatorProcess("vastai", directory, market={"setup": "200ms..400ms"})

    def __enter__(self) -> Several:
        url = self._emulator.__enter__()
        self._port = int(url.rpartition(":")[2])
        self.vendor = VastAi(url)
        return self

    def __exit__(self, *_: Any) -> None:
        for peer in self.peers:
            peer.kill()
            for proxy in (peer.vendor, peer.redis):
                if proxy is not None:
                    proxy.stop()
        self._emulator.__exit__(None, None, None)

    def start(self, *, ahead_s: float = 0.0) -> Peer:
        """One daemon more."""
        directory = self._directory / f"peer-{len(self.peers) + 1}"
        directory.mkdir()
        vendor = TcpProxy(self._port)
        vendor.start()
        redis, url = None, self.redis_url
        if found := re.fullmatch(r"redis://127\.0\.0\.1:(\d+)", url):
            redis = TcpProxy(int(found[1]))
            redis.start()
            url = f"redis://127.0.0.1:{redis.port}"
        peer = Peer(directory, self._config(vendor, url), vendor, redis)
        peer.ahead_s = ahead_s
        self.peers.append(peer)
        peer.start()
        peer.wait_ready()
        return peer

    def _config(self, vendor: TcpProxy, redis_url: str) -> Json:
        pool = {
            "machine": {"image": "ghcr.io/acme/comfy:1.4", "gpus": ["RTX 4090", "RTX 3090"], "ready": "running"},
            "placements": [{"provider": "vastai", "max_usd_per_hour": 2.0}],
            "limits": {"hot": "1..3", "warm": "0..0"},
            "policies": [{"thresholds": {}}],
        }
        queues = {name: {"kind": "list", "tiers": [{"name": "pro", "key": f"jobs:{name}"}]} for name in self._pools}
        return {
            "fleet": FLEET,
            "redis": redis_url,
            "tick": f"{TICK_S}s",
            "lease": f"{LEASE_S}s",
            "http": {"listen": f"127.0.0.1:{free_port()}"},
            "log": {"format": "json"},
            "pools": {name: {"queue": queues[name], **pool} for name in self._pools},
            "providers": {"vastai": {"api_key": "whoever-pays", "url": f"http://127.0.0.1:{vendor.port}"}},
            **self.settings,
        }

    # --- what is true from outside ------------------------------------------------------------------------------------

    def leader(self, client: Any, pool: str = "") -> Peer | None:
        """Who holds the lease; None while nobody does."""
        held = client.get(Keys(FLEET, pool).lease)
        pid = int(held.split(b":")[1]) if held else None
        return next((peer for peer in self.peers if peer.process.pid == pid), None)

    def until_led(self, client: Any, by: Peer, *, pool: str = "") -> int:
        """Wait until a daemon leads; gives in how many ticks it left the lease alone although it was free."""
        return self.vacant(client, [by], [pool], lambda: self.leader(client, pool) is by)

    def vacant(self, client: Any, takers: Sequence[Peer], pools: Sequence[str], condition: Callable[[], bool]) -> int:
        """Wait for a condition; gives in how many ticks of each taker a lease was left alone although it was free.

        Ticks are counted by what they leave in Redis, which tells how soon a lease is taken on a slow machine, too: it
        ends by Redis' own clock.
        """
        most = 0
        heard: dict[str, list[set[float | None]]] = {}

        def look() -> bool:
            nonlocal most
            for pool in pools:
                lease, *ticks = self._lease_and_ticks(client, pool, takers)
                if lease is not None:
                    heard.pop(pool, None)
                    continue
                seen = heard.setdefault(pool, [set() for _ in takers])
                for each, tick in zip(seen, ticks, strict=True):
                    each.add(tick)
                most = max(most, min(map(len, seen)) - 1)
            return condition()

        real_time.until(look, "the leases are taken")
        return most

    def _lease_and_ticks(self, client: Any, pool: str, peers: Sequence[Peer]) -> list[Any]:
        """Who leads, and when each of the daemons last asked for it, as of one moment."""
        keys = Keys(FLEET, pool)
        with client.pipeline() as pipe:
            lease, living = pipe.get(keys.lease).zrange(keys.daemons, 0, -1, withscores=True).execute()
        asked_at = {int(owner.split(b":")[1]): at for owner, at in living}
        return [lease, *(asked_at.get(peer.process.pid) for peer in peers)]

    def until_served(self, client: Any, count: int, *, patience_s: float = 60.0) -> None:
        """Wait until so many machines are ours and each is in the records, one to one."""

        def is_right() -> bool:
            keys = [Keys(FLEET), *(Keys(FLEET, pool) for pool in self._pools)]
            records = {name.decode() for each in keys for name in client.hkeys(each.instances)}
            tokens = self.tokens()
            return len(tokens) == count and set(tokens) <= records

        real_time.until(is_right, f"{count} machines are there and known", patience_s=patience_s)

    def tokens(self) -> list[str]:
        """The tokens of our machines; no token may have two machines."""
        tokens = [str(machine.token) for machine in self.vendor.machines() if machine.token]
        assert len(set(tokens)) == len(tokens), f"two machines for one token: {tokens}"
        return tokens


__all__ = ["LEASE_S", "TICK_S", "Peer", "Several", "connect"]
