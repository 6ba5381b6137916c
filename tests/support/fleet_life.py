"""The life of a small fleet in the mock market, step by step, in which every command is given once at least."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from tests.support.daemon_process import FLEET, Json, a_config
from tests.support.mortal_daemon import KEYS, MortalDaemon
from tests.support.real_time import until
from tests.support.redis_server import free_port

SPEED = 120.0
TICK_S = 10.0
FOREIGN = "somebody's notebook"
QUEUE = "jobs:pro"
RUSH = 10
FLOOR_OF_TWO = {"hot": "2..2"}
LIMITS = {"hot": "1..2", "warm": "0..1"}
PATIENT = {
    "health": {"degraded_after": "1d"},
    "deadlines": {"stopping": "1d", "resuming": "1d"},
}
"""A daemon that starts takes many minutes of its own time, in which the workers are silent and no order is given."""
POLICY = {"rent_depth": 3, "resume_depth": 3, "idle_for": "20s", "release_after": "60s"}


@dataclass(frozen=True, slots=True)
class Step:
    """What the world does, and what the fleet comes to by it."""

    name: str
    comes: Callable[[MortalDaemon, Any], bool]
    jobs: int = 0
    """Jobs that wait."""
    busy: int = 0
    """Jobs on each machine."""
    rented: int = 2
    """Machines that were made by the end of it."""
    auction: bool = False
    """The market takes bids."""


def _phases(wanted: Mapping[Phase, int]) -> Callable[[MortalDaemon, Any], bool]:
    return lambda daemon, client: Counter(daemon.phases(client)) == Counter(wanted)


def _bid_was_raised(daemon: MortalDaemon, client: Any) -> bool:
    bids = {machine.provider_id: machine.usd_per_hour for machine in daemon.machines()}
    stored = {record.provider_id: record.usd_per_hour for record in daemon.records(client)}
    journal = [json.loads(fields[b"entry"]) for _, fields in client.xrange(KEYS.journal)]
    told = {entry["kind"] for entry in journal if entry.get("action") == "set_bid"}
    wanted = {Kind.COMMAND, Kind.OUTCOME} if daemon.lives == 1 else {Kind.COMMAND}  # an answer may die with its asker
    return told >= wanted and bids == stored


LIFE = (
    Step("the floor is rented", _phases({Phase.HOT: 1}), rented=1),
    Step("a rush rents another", _phases({Phase.HOT: 2}), jobs=RUSH),
    Step("one that works is to go, and drains", _phases({Phase.HOT: 1, Phase.DRAINING: 1}), busy=1),
    Step("it is wanted again", _phases({Phase.HOT: 2}), jobs=RUSH, busy=1),
    Step("it is idle, and stops", _phases({Phase.HOT: 1, Phase.WARM: 1})),
    Step("a rush resumes it", _phases({Phase.HOT: 2}), jobs=RUSH),
    Step("it stops, and is released at last", _phases({Phase.HOT: 1})),
    Step("others would bid more than it does, and its bid is raised", _bid_was_raised, auction=True),
)


def a_fleet(directory: Path, redis_url: str, *scenario: Json, **mock: Any) -> Json:
    """The configuration of a fleet that lives like this, on spot machines among others' machines."""
    market = {
        "setup": "25s..35s",
        "resume": "25s..35s",
        "stop": "25s..35s",
        "price_swing": 0,
        "faults": {"resume_refused": 0, "outbid": 0},
        "foreign": [FOREIGN],
        "scenario": list(scenario),
    }
    config = a_config(directory, redis_url, mock=market | mock, policy=POLICY)
    config["pools"]["images"] |= {"limits": LIMITS, **PATIENT}
    config["pools"]["images"]["placements"] = [
        {"provider": "mock", "buy": "spot", "max_usd_per_hour": 0.9, "bid_margin": 0}
    ]
    return config | {"tick": f"{TICK_S:g}s"}


def at_a_vendor(kind: str, url: str, redis_url: str, **pool: Any) -> Json:
    """The configuration of a fleet at an emulated vendor."""
    images = {
        "queue": {"kind": "list", "tiers": [{"name": "pro", "key": QUEUE}]},
        "machine": {"image": "ghcr.io/acme/comfy:1.4", "gpus": ["RTX 4090"], "ready": "running"},
        "placements": [{"provider": kind, "max_usd_per_hour": 2.0}],
        "limits": {"hot": "1..1", "warm": "0..0"},
        "policies": [{"thresholds": {}}],
        **PATIENT,
    }
    return {
        "fleet": FLEET,
        "redis": redis_url,
        "tick": "10s",
        "http": {"listen": f"127.0.0.1:{free_port()}"},
        "log": {"format": "json"},
        "pools": {"images": images | pool},
        "providers": {kind: {"api_key": "whoever-pays-for-it", "url": url}},
    }


class World:
    """What surrounds the fleet: a queue, and workers that say how much they do."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._beats = count()

    def play(self, step: Step, daemon: MortalDaemon) -> bool:
        """Bring the queue and the workers in line with a step; gives whether the fleet has come to its end."""
        waiting = self._client.llen(QUEUE)
        if step.jobs > waiting:
            self._client.rpush(QUEUE, *range(step.jobs - waiting))
        elif step.jobs < waiting:
            self._client.delete(QUEUE)
        for record in daemon.records(self._client):
            if record.phase in (Phase.HOT, Phase.DRAINING):
                beat = {"busy": step.busy, "slots": 1, "drained": not step.busy, "beat": next(self._beats)}
                self._client.hset(KEYS.workers, record.id, json.dumps(beat))
        if step.auction:
            daemon.open_auction()
        return step.comes(daemon, self._client)


def live(daemon: MortalDaemon, client: Any, *steps: Step) -> Step:
    """Let the fleet live through some steps; gives the last one, in which its daemon may have died."""
    world, step = World(client), steps[0]

    def is_over() -> bool:
        return world.play(step, daemon) or daemon.is_dead

    for step in steps:
        until(is_over, step.name, patience_s=60.0)
        if daemon.is_dead:
            break
    return step
