"""The real command line as processes, and what a daemon leaves in Redis and in the mock market's state file."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import redis
import yaml

from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Remote
from autoscaler.store.codec import decode_instance
from autoscaler.store.keys import Keys
from providers.mock import Market, MockSettings
from tests.support import real_time
from tests.support.redis_server import free_port

FLEET = "attic"
AUTOSCALER = str(Path(sysconfig.get_path("scripts")) / "autoscaler")
Json = dict[str, Any]

_CONFIG: Json = {
    "fleet": FLEET,
    "tick": "10s",
    "log": {"format": "json"},
    "pools": {
        "images": {
            "queue": {
                "kind": "list",
                "tiers": [{"name": tier, "key": f"jobs:{tier}"} for tier in ("pro", "premium", "free")],
                "in_flight_keys": ["jobs:running"],
            },
            "machine": {"image": "ghcr.io/acme/comfy:1.4", "gpus": ["RTX 4090", "RTX 3090"], "ready": "running"},
            "placements": [{"provider": "mock", "max_usd_per_hour": 0.9}],
            "limits": {"hot": "1..4", "warm": "0..2"},
            "policies": [{"thresholds": {}}],
        }
    },
    "providers": {"mock": {"setup": "6m..12m", "resume": "1m..3m", "faults": {"resume_refused": 0}}},
}


def a_config(directory: Path, redis_url: str, *, mock: Json | None = None, policy: Json | None = None) -> Json:
    """A configuration of one pool, with an HTTP port of its own and a market that outlives the daemon."""
    config = deepcopy(_CONFIG) | {"redis": redis_url, "http": {"listen": f"127.0.0.1:{free_port()}"}}
    config["providers"]["mock"] |= {"state_file": str(directory / "market.json")} | (mock or {})
    config["pools"]["images"]["policies"] = [{"thresholds": policy or {}}]
    return config


def autoscaler(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [AUTOSCALER, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options
    )


class DaemonProcess:
    """`autoscaler run FILE`, and what can be asked of it from outside."""

    def __init__(self, directory: Path, config: Mapping[str, Any], *arguments: str) -> None:
        self.config = config
        self.url = f"http://{config['http']['listen']}"
        self.file = directory / "fleet.yaml"
        self.file.write_text(yaml.safe_dump(dict(config)))
        self.log = directory / "daemon.log"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, as a new process each time."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([AUTOSCALER, "run", self.file, *self._arguments], stdout=log, stderr=log)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None, "not started"
        return self._process

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self, patience_s: float = 60.0) -> int:
        """End it as SIGTERM does, and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s)

    def ask(self, path: str) -> tuple[int, Json]:
        """An answer of its HTTP API; (0, {}) while nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            assert self.process.poll() is None, f"the daemon has ended:\n{self.log.read_text()}"
            return 0, {}

    def metrics(self) -> dict[str, float]:
        """What it tells Prometheus: each value by its name with labels, as written there."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def wait_ready(self) -> None:
        """Wait for its first good tick."""
        real_time.until(lambda: self.ask("/readyz")[0] == 200, "the daemon was ready")

    def pool(self) -> Json:
        """Its one pool, as of its newest tick."""
        [pool] = self.ask("/api/v1/status")[1]["pools"]
        return dict(pool)

    def events(self, name: str) -> list[Json]:
        """What it has logged under one name."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    # --- what it leaves behind ----------------------------------------------------------------------------------------

    def records(self, client: Any, *, gone: bool = False) -> list[Instance]:
        """Its records in Redis, those of machines that are gone left out unless asked for."""
        stored = client.hgetall(Keys(FLEET).instances)
        records = [decode_instance(name.decode(), value) for name, value in stored.items()]
        return [record for record in records if gone or record.phase is not Phase.GONE]

    def phases(self, client: Any) -> list[Phase]:
        """The phases of its records."""
        return [record.phase for record in self.records(client)]

    def machines(self) -> list[Remote]:
        """The machines of our label that exist in the market, as its listing shows them once all orders took effect."""
        path = Path(self.config["providers"]["mock"]["state_file"])
        if not path.exists():
            return []
        state = json.loads(path.read_text())
        market = Market("mock", MockSettings(), (), random.Random(1))
        market.load(state)
        return [remote for remote in market.listing(state["clock"] + 86400.0) if parse_label(remote.label, FLEET)]


StartDaemon = Callable[..., DaemonProcess]
"""A fixture's gift: starts a daemon with a configuration and arguments; what is left of it at the end is killed."""


def connect(url: str) -> Any:
    """A client; redis-py's own types mix its two kinds of client."""
    return redis.Redis.from_url(url)
