"""The main job, end to end: two real hours of jobs, a real Redis, and a process for every part that has one in life.

One `autoscaler run`, one producer, and one worker for each HOT machine, which is killed the moment its machine is HOT
or DRAINING no more, as a cloud would. A job in hand at that moment would stay among the running ones for ever.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Status
from autoscaler.store.keys import Keys
from tests.support import real_time
from tests.support.daemon_process import FLEET, Json, StartDaemon, a_config
from tests.support.worker_process import DONE, RUNNING

ROOT = Path(__file__).parents[2]
TRACES = Path(os.environ.get("AUTOSCALER_TRACES") or ROOT / "../shared/traces")
TRACE = TRACES / "gentd26_early.csv.gz"

SPEED = 180.0
TWO_HOURS_S = 7200.0
TIERS = ("pro", "premium", "free")

Produce = Callable[[list[Json]], subprocess.Popen[bytes]]


def busiest_two_hours() -> list[Json]:
    """The jobs of the trace's busiest two hours, with the tier that their user has."""
    with gzip.open(TRACE, "rt") as file:
        rows = list(csv.DictReader(file))
    times = [float(row["t_s"]) for row in rows]
    ends = [bisect_left(times, start + TWO_HOURS_S) for start in times]
    first = max(range(len(rows)), key=lambda row: ends[row] - row)
    return [
        {
            "id": f"job-{number}",
            "t_s": float(row["t_s"]) - times[first],
            "key": f"jobs:{TIERS[zlib.crc32(row['user'].encode()) % len(TIERS)]}",
            "exec_s": float(row["exec_s"]),
        }
        for number, row in enumerate(rows[first : ends[first]])
    ]


class Cloud:
    """Runs a worker process on each machine that is up, and kills it with its machine."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._arguments = (url, FLEET)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.hot: list[int] = [0]
        """How many machines were HOT, each time that changed."""

    def follow(self) -> None:
        """Bring the workers in line with the machines."""
        endpoints = self._client.hgetall(Keys(FLEET).endpoints)
        up = {name.decode(): json.loads(value)["phase"] for name, value in endpoints.items()}
        for gone in self._workers.keys() - up.keys():
            end(self._workers.pop(gone))
            last_word = self._client.hget(Keys(FLEET).workers, gone)
            assert last_word is None or json.loads(last_word)["busy"] == 0, f"{gone} held a job when its machine went"
        for name in up.keys() - self._workers.keys():
            keys = [f"jobs:{tier}" for tier in TIERS]
            self._workers[name] = python("tests.support.worker_process", *self._arguments, name, str(SPEED), *keys)
        assert all(worker.poll() is None for worker in self._workers.values()), "a worker ended by itself"
        hot = sum(phase == Phase.HOT for phase in up.values())
        if hot != self.hot[-1]:
            self.hot.append(hot)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            end(worker)


def python(module: str, *arguments: str, stdin: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """A module of ours as a process."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=stdin)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, whatever it does."""
    process.kill()
    process.wait()


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> Json:
    """The policy's defaults, but for how long it must be quiet: so short that machines are drained while they work."""
    return a_config(tmp_path, redis_url, policy={"idle_for": "2m"})


@pytest.fixture
def cloud(client: Any, redis_url: str) -> Iterator[Cloud]:
    cloud = Cloud(client, redis_url)
    yield cloud
    cloud.close()


@pytest.fixture
def produce(redis_url: str, tmp_path: Path) -> Iterator[Produce]:
    """Starts a producer of jobs."""
    producers: list[subprocess.Popen[bytes]] = []

    def start(jobs: list[Json]) -> subprocess.Popen[bytes]:
        path = tmp_path / "jobs.jsonl"
        path.write_text("".join(json.dumps(job) + "\n" for job in jobs))
        with path.open("rb") as lines:
            producers.append(python("tests.support.producer_process", redis_url, str(SPEED), stdin=lines))
        return producers[-1]

    yield start
    for producer in producers:
        end(producer)


@pytest.mark.skipif(not TRACE.exists(), reason=f"{TRACE} is not there; AUTOSCALER_TRACES names the directory of traces")
def test_two_busy_hours_are_served_by_a_fleet_that_grows_and_shrinks_and_no_job_is_cut_off(
    start_daemon: StartDaemon, client: Any, config: Json, cloud: Cloud, produce: Produce
) -> None:
    jobs = busiest_two_hours()
    daemon = start_daemon(config, "--speed", str(SPEED))
    daemon.wait_ready()
    producer = produce(jobs)

    def all_served() -> bool:
        cloud.follow()
        return producer.poll() is not None and client.llen(DONE) >= len(jobs)

    def at_the_floor() -> bool:
        cloud.follow()
        return cloud.hot[-1] == 1 and set(daemon.phases(client)) <= {Phase.HOT, Phase.WARM}

    real_time.until(all_served, "every job was served", patience_s=75.0)
    real_time.until(at_the_floor, "the fleet was back at its floor", patience_s=30.0)
    assert daemon.terminate() == 0

    served = Counter(job.decode() for job in client.lrange(DONE, 0, -1))
    assert served == Counter(job["id"] for job in jobs), "every job once"
    assert client.lrange(RUNNING, 0, -1) == [], "no job was in a worker's hand when its machine went"
    assert max(cloud.hot) >= 3, "the fleet grew"
    assert daemon.phases(client).count(Phase.HOT) == 1, "and shrank"
    shown = {Phase.HOT: Status.RUNNING, Phase.WARM: Status.STOPPED}
    assert {machine.provider_id: machine.status for machine in daemon.machines()} == {
        str(record.provider_id): shown[record.phase] for record in daemon.records(client)
    }, "the provider lists what the records say"
    assert daemon.events("alarm") == []
