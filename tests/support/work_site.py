"""Everything that real work needs: an emulated cloud, a daemon whose clock is fast, real workers on rented machines."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from tests.support.cloud_processes import FastDaemon, VastAi
from tests.support.daemon_process import FLEET, Json, connect
from tests.support.emulator_process import EmulatorProcess
from tests.support.recorded_jobs import KINDS, Jobs
from tests.support.redis_server import free_port
from tests.support.rented_crew import Crew

SPEED = 20.0
"""How much faster than life the daemon's clock is."""
_MARKET = {"setup": "500ms..600ms", "resume": "300ms", "stop": "100ms", "faults": {"resume_refused": 0, "outbid": 0}}


def a_config(redis_url: str, vendor_url: str, pools: Mapping[str, Json]) -> Json:
    """Pools by the kinds of their queues; what is not said of one is as all drills have it."""
    usual = {
        "machine": {"image": "ghcr.io/acme/comfy:1.4", "gpus": ["RTX 4090"], "ready": "heartbeat"},
        "placements": [{"provider": "vastai", "max_usd_per_hour": 2.0}],
    }
    return {
        "fleet": FLEET,
        "redis": redis_url,
        "tick": "4s",
        "http": {"listen": f"127.0.0.1:{free_port()}"},
        "log": {"format": "json"},
        "pools": {name: {"queue": KINDS[name].queue, **usual, **pool} for name, pool in pools.items()},
        "providers": {"vastai": {"api_key": "k3y", "url": vendor_url}},
    }


class Site:
    """One fleet at work."""

    def __init__(self, daemon: FastDaemon, crew: Crew, jobs: Jobs, client: Any, vendor_url: str) -> None:
        self.daemon, self.crew, self.jobs, self.client = daemon, crew, jobs, client
        self._vendor_url = vendor_url

    def records(self, *phases: Phase) -> list[Instance]:
        """The records of machines in these phases, as Redis has them."""
        return [record for record in self.daemon.records(self.client) if record.phase in phases]

    def record(self, name: str) -> Instance | None:
        """The record of a machine."""
        return next((record for record in self.daemon.records(self.client) if record.id == name), None)

    def runs(self, name: str) -> bool:
        """Whether the vendor lists a machine as running."""
        machine = self.crew.machine(name)
        return machine is not None and machine.running

    def live(self, seconds: float) -> None:
        """Let so much of the daemon's time pass."""
        over_at = self._clock() + seconds
        self.crew.until(lambda: self._clock() > over_at, f"{seconds:g}s passed")

    def _clock(self) -> float:
        return float(self.daemon.ask("/api/v1/status")[1]["clock"])

    def journal(self, kind: str) -> list[Json]:
        """What was written down, newest first."""
        entries = self.daemon.ask("/api/v1/journal?count=1000")[1]["entries"]
        return [entry for entry in entries if entry["kind"] == kind]

    def metric(self, name: str) -> dict[str, float]:
        """What is counted under a name, by labels as they are written."""
        with urllib.request.urlopen(self.daemon.url + "/metrics", timeout=5) as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines()]
        return {labels.removeprefix(name): float(value) for labels, _, value in lines if labels.startswith(f"{name}{{")}

    def stop_at_vendor(self, name: str) -> None:
        """Stop a machine as its host does, unasked: its disk stays."""
        self._order(name, "PUT", {"state": "stopped"})

    def destroy_at_vendor(self, name: str) -> None:
        """Let a machine vanish, unasked."""
        self._order(name, "DELETE", {})

    def _order(self, name: str, method: str, body: Json) -> None:
        machine = self.crew.machine(name)
        assert machine is not None
        headers = {"Authorization": "Bearer another-hand", "Content-Type": "application/json"}
        url = f"{self._vendor_url}/api/v0/instances/{machine.id}/"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["success"]


@contextmanager
def a_site(
    directory: Path,
    redis_url: str,
    pools: Mapping[str, Json],
    *,
    market: Json | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """A fleet that works until the context is left; workers have `env` in their environment."""
    with ExitStack() as running:
        url = running.enter_context(EmulatorProcess("vastai", directory, market={**_MARKET, **(market or {})}))
        client = running.enter_context(connect(redis_url))
        daemon = FastDaemon(directory, a_config(redis_url, url, pools), SPEED)
        running.callback(daemon.kill)
        daemon.start()
        images = {name: KINDS[name].worker for name in pools}
        crew = Crew(VastAi(url), directory, images, {**(env or {}), "REDIS_URL": redis_url})
        running.callback(crew.close)
        yield Site(daemon, crew, Jobs(client, redis_url), client, url)
