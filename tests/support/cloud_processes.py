"""Emulated clouds as processes, looked at only through the vendors' own APIs, and the workers on their machines.

A real machine runs its image, which is the worker; an emulated one has no container. So a worker process is started for
each machine that its vendor lists as running, told who it is by what that machine was ordered with, and killed the
moment its machine runs no more, as a cloud would.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from autoscaler.core.instance import parse_label
from autoscaler.store.keys import Keys
from tests.support import real_time
from tests.support.daemon_process import FLEET, DaemonProcess, Json

ROOT = Path(__file__).parents[2]
_OWN_KEY = "whoever-looks-on"
_IDENTITY = "AUTOSCALER_INSTANCE"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine as its vendor lists it."""

    id: str
    label: str
    running: bool
    identity: str | None
    """What its container is told to be."""

    @property
    def token(self) -> str | None:
        """The token in its label; None of a machine that is not ours."""
        ours = parse_label(self.label, FLEET)
        return ours[1] if ours else None


class Vendor(Protocol):
    """What anybody with a key can see of an account."""

    def machines(self) -> list[Machine]:
        """All machines of the account."""
        ...

    def billed(self) -> Mapping[str, float]:
        """What each machine was billed, in USD, those that are gone included."""
        ...

    def balance(self) -> float:
        """What is left in the account, in USD."""
        ...


class VastAi:
    """An account at an emulated Vast.ai."""

    def __init__(self, url: str) -> None:
        self._url = url

    def machines(self) -> list[Machine]:
        """A page holds 25 instances, more than are ever rented here."""
        listing = ask(f"{self._url}/api/v1/instances/")
        assert listing["next_token"] is None
        return [
            Machine(
                id=str(row["id"]),
                label=row["label"] or "",
                running=row["actual_status"] == "running",
                identity=dict(row["extra_env"]).get(_IDENTITY),
            )
            for row in listing["instances"]
        ]

    def billed(self) -> Mapping[str, float]:
        """The sums of all items: a row's own amount is rounded to a tenth of a cent, more than a test may cost."""
        filters = urllib.parse.quote(json.dumps({"day": {"gte": 0, "lte": 2**40}, "type": {"in": ["instance"]}}))
        charges = ask(f"{self._url}/api/v0/charges/?limit=500&select_filters={filters}")
        return {
            row["source"].removeprefix("instance-"): sum(item["amount"] for item in row["items"])
            for row in charges["results"]
        }

    def balance(self) -> float:
        return float(ask(f"{self._url}/api/v0/users/current/")["credit"])


class RunPod:
    """An account at an emulated RunPod. It is watched through GraphQL, which takes nothing from the quota of REST."""

    def __init__(self, url: str) -> None:
        self._url = url

    def machines(self) -> list[Machine]:
        """One whose container runs shows a `runtime`."""
        return [
            Machine(
                id=pod["id"],
                label=pod["name"],
                running=pod["desiredStatus"] == "RUNNING" and pod["runtime"] is not None,
                identity=dict(entry.split("=", 1) for entry in pod["env"]).get(_IDENTITY),
            )
            for pod in self._myself("pods { id name env desiredStatus runtime { uptimeInSeconds } }")["pods"]
        ]

    def billed(self) -> Mapping[str, float]:
        """The newest two buckets are of this year and the one before."""
        bills = ask(f"{self._url}/v2/billing/pods?bucketSize=year&lastN=2")
        billed: dict[str, float] = {}
        for record in bills["records"]:
            billed[record["podId"]] = billed.get(record["podId"], 0.0) + record["totalAmount"]
        return billed

    def balance(self) -> float:
        return float(self._myself("clientBalance")["clientBalance"])

    def _myself(self, fields: str) -> dict[str, Any]:
        answer = ask(f"{self._url}/graphql", {"query": f"query {{ myself {{ {fields} }} }}"})
        return dict(answer["data"]["myself"])


VENDORS: Mapping[str, Callable[[str], Vendor]] = {"vastai": VastAi, "runpod": RunPod}


def ask(url: str, body: object = None) -> Any:
    """The answer to a GET, or to a POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {_OWN_KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as response:
        return json.load(response)


class FastDaemon(DaemonProcess):
    """A daemon whose clock runs `speed` times as fast as the clouds', so that its intervals pass within seconds."""

    def __init__(self, directory: Path, config: Json, speed: float) -> None:
        super().__init__(directory, config)
        self._speed = speed

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.fast_daemon", str(self._speed), str(self.file)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


class Cloud:
    """The accounts of a test, and the workers on the machines in them."""

    def __init__(self, client: Any, redis_url: str, vendors: Collection[Vendor], speed: float, *tier_keys: str) -> None:
        """`speed` is how much faster than life the workers are."""
        self._client = client
        self._vendors = vendors
        self._arguments = (str(speed), *tier_keys)
        self._redis_url = redis_url
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.ids: set[str] = set()
        """All machines of ours that were ever listed."""

    def ours(self) -> list[Machine]:
        """The machines of our label that are listed now."""
        listed = [machine for vendor in self._vendors for machine in vendor.machines() if machine.token]
        self.ids |= {machine.id for machine in listed}
        tokens = [machine.token for machine in listed]
        assert len(set(tokens)) == len(tokens), f"two machines for one token: {tokens}"
        return listed

    def follow(self) -> None:
        """Bring the workers in line with the machines."""
        running = set()
        for machine in self.ours():
            assert machine.identity == machine.token, "the container is told another name than the label's"
            if machine.running:
                running.add(str(machine.identity))
        for gone in self._workers.keys() - running:
            end(self._workers.pop(gone))
            last_word = self._client.hget(Keys(FLEET).workers, gone)
            assert last_word is None or json.loads(last_word)["busy"] == 0, f"{gone} held a job when its machine went"
        for name in running - self._workers.keys():
            command = [sys.executable, "-m", "tests.support.worker_process", self._redis_url, FLEET, name]
            self._workers[name] = subprocess.Popen([*command, *self._arguments], cwd=ROOT)
        assert all(worker.poll() is None for worker in self._workers.values()), "a worker ended by itself"

    def until(self, condition: Callable[[], T], what: str, *, patience_s: float = 30.0) -> T:
        """Let the machines work until the condition holds, and give what it gave."""

        def look() -> T:
            self.follow()
            return condition()

        return real_time.until(look, what, patience_s=patience_s)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            end(worker)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, whatever it does."""
    process.kill()
    process.wait()


# --- what a key may not be found in -----------------------------------------------------------------------------------


def all_of(client: Any) -> str:
    """Every key and value of a Redis, as text."""
    read: Mapping[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
        b"none": lambda key: None,  # it has expired meanwhile
    }
    return repr([(key, read[client.type(key)](key)) for key in client.scan_iter()])
