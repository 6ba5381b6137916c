"""The whole daemon over each emulated cloud, each a process of its own; seen only from outside.

What is looked at: Redis, the daemon's API, and the vendor's API as anybody with a key can ask it.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from autoscaler.core.errors import AuthFailed
from autoscaler.core.lifecycle import Phase
from autoscaler.store.keys import Keys
from tests.support import real_time
from tests.support.cloud_processes import VENDORS, Cloud, FastDaemon, Vendor, all_of
from tests.support.daemon_process import FLEET, DaemonProcess, Json, StartDaemon, autoscaler
from tests.support.emulator_process import EmulatorProcess
from tests.support.redis_server import free_port
from tests.support.worker_process import DONE, RUNNING

CLOUDS = ("vastai", "runpod")
KEYS = Keys(FLEET)
QUEUE = "jobs:pro"
KEY = "k3y-0f-the-account-that-nobody-may-see"
FOREIGN = "somebody's notebook"
SPEED = 20.0
"""How much faster than the clouds the workers are; and the clock of a daemon that lives through a whole life, so that
what it books for a second of theirs is as many times as much."""
JOB_S, LONG_JOB_S = 0.3 * SPEED, 1.5 * SPEED
BALANCE_USD = 100.0
LEAST_BOOKED, MOST_BOOKED = 0.95, 1.3
"""The books as a multiple of the bill. They see a machine start, stop and go one listing late at most, and count boots,
which Vast.ai does not bill."""
MARKET: Json = {
    "setup": "1s..1200ms",
    "resume": "500ms..700ms",
    "stop": "200ms..400ms",
    "let_to_others": "1s..2s",
    "faults": {"resume_refused": 0, "outbid": 0},
    "foreign": [FOREIGN],
    "balance_usd": BALANCE_USD,
}
CLOSED: Json = {
    "limits": {"hot": "0..1", "warm": "0..0"},
    "policies": [{"schedule": {"windows": [{"cron": "0 0 * * *", "lasts": "24h", "ceiling": 0}]}}],
}
"""Of a pool that is to have no machine."""
THRESHOLDS = {"resume_depth": 10, "rent_depth": 10, "idle_depth": 3}
RUSH, FEW = 14, 5
"""So many jobs that wait take one machine more; so few take none, and spare none."""

StartVendor = Callable[..., tuple[str, Vendor]]
Watch = Callable[..., Cloud]


@pytest.fixture
def start_vendor(tmp_path: Path) -> Iterator[StartVendor]:
    """Starts an emulated cloud where the given steps go wrong; gives its URL and what can be seen of it."""
    with ExitStack() as running:

        def start(kind: str, *steps: Json, **market: Any) -> tuple[str, Vendor]:
            emulation = EmulatorProcess(kind, tmp_path, market={**MARKET, **market, "scenario": list(steps)})
            url = running.enter_context(emulation)
            return url, VENDORS[kind](url)

        yield start


@pytest.fixture
def start_fast(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts a daemon whose clock is fast."""
    daemons: list[FastDaemon] = []

    def start(config: Json) -> FastDaemon:
        directory = tmp_path / f"fast-{len(daemons) + 1}"
        directory.mkdir()
        daemons.append(FastDaemon(directory, config, SPEED))
        daemons[-1].start()
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.kill()


@pytest.fixture
def watch(client: Any, redis_url: str) -> Iterator[Watch]:
    """Puts workers on the machines of some clouds."""
    clouds: list[Cloud] = []

    def start(*vendors: Vendor) -> Cloud:
        clouds.append(Cloud(client, redis_url, vendors, SPEED, QUEUE))
        return clouds[-1]

    yield start
    for cloud in clouds:
        cloud.close()


def a_config(
    redis_url: str, urls: Mapping[str, str], limits: Json, *, tick: str = "1s", idle_for: str = "3s", **pool: Any
) -> Json:
    """One pool in the clouds at these URLs."""
    images = {
        "queue": {"kind": "list", "tiers": [{"name": "pro", "key": QUEUE}], "in_flight_keys": [RUNNING]},
        "machine": {"image": "ghcr.io/acme/comfy:1.4", "gpus": ["RTX 4090"], "ready": "heartbeat"},
        "placements": [{"provider": kind, "max_usd_per_hour": 2.0} for kind in urls],
        "limits": limits,
        "policies": [{"thresholds": THRESHOLDS | {"idle_for": idle_for}}],
    }
    return {
        "fleet": FLEET,
        "redis": redis_url,
        "tick": tick,
        "http": {"listen": f"127.0.0.1:{free_port()}"},
        "log": {"format": "json"},
        "pools": {"images": images | pool},
        "providers": {kind: {"api_key": KEY, "url": url} for kind, url in urls.items()},
    }


class Jobs:
    """What the users of the pool ask for."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._numbers = count()
        self._pushed: list[str] = []

    def push(self, number: int, exec_s: float = JOB_S) -> None:
        for _ in range(number):
            self._pushed.append(f"job-{next(self._numbers)}")
            self._client.rpush(QUEUE, json.dumps({"id": self._pushed[-1], "exec_s": exec_s}))

    def keep_waiting(self, number: int) -> None:
        """See to it that so many wait."""
        self.push(number - self._client.llen(QUEUE))

    def all_done(self) -> bool:
        """Whether every job was done, once."""
        served = Counter(job.decode() for job in self._client.lrange(DONE, 0, -1))
        return served == Counter(self._pushed) and not self._client.exists(RUNNING)


def journal(daemon: DaemonProcess, **fields: str) -> list[Json]:
    """What it wrote down that has these fields."""
    entries = daemon.ask("/api/v1/journal?count=1000")[1]["entries"]
    return [entry for entry in entries if fields.items() <= entry.items()]


def status(daemon: DaemonProcess) -> Json:
    """What the command line shows."""
    result = autoscaler("status", "--json", "--url", daemon.url)
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))


def give_all_back(daemon: DaemonProcess, start: StartDaemon, cloud: Cloud) -> DaemonProcess:
    """End the daemon, and start one whose pool may have no machine; gives it once none of ours is listed."""
    assert daemon.terminate() == 0
    config = deepcopy(dict(daemon.config))
    config["pools"]["images"] |= CLOSED
    last: DaemonProcess = start(config)
    last.wait_ready()
    cloud.until(lambda: not cloud.ours(), "no machine of ours was listed")
    return last


def only_foreign(vendor: Vendor) -> bool:
    return [machine.label for machine in vendor.machines()] == [FOREIGN]


def assert_key_is_nowhere(client: Any, *daemons: DaemonProcess) -> None:
    """The key is in no output, no answer of the API that still runs, and no value in Redis."""
    for daemon in daemons:
        assert KEY not in daemon.log.read_text()
    for path in ("/metrics", "/api/v1/status", "/api/v1/plan", "/api/v1/instances", "/api/v1/journal?count=1000"):
        with urllib.request.urlopen(daemons[-1].url + path, timeout=5) as answer:
            assert KEY not in answer.read().decode(), path
    assert KEY not in all_of(client)


@pytest.mark.parametrize("kind", CLOUDS)
def test_a_life_from_the_first_rent_to_the_last_release(
    *,
    kind: str,
    start_vendor: StartVendor,
    start_fast: StartDaemon,
    client: Any,
    redis_url: str,
    watch: Watch,
) -> None:
    never_up = {"fault": "boot_hangs", "call": "resume", "nth": 2}
    refused = {"fault": "resume_refused", "call": "resume", "nth": 3}
    url, vendor = start_vendor(kind, never_up, refused)
    limits = {"hot": "1..3", "warm": "0..1"}
    daemon = start_fast(a_config(redis_url, {kind: url}, limits, tick="5s", idle_for="10s"))
    daemon.wait_ready()
    cloud, jobs = watch(vendor), Jobs(client)

    def counts(hot: int, warm: int) -> bool:
        """Whether there are so many machines, and no others."""
        return Counter(daemon.phases(client)) == Counter({Phase.HOT: hot, Phase.WARM: warm})

    cloud.until(lambda: counts(1, 0), "the floor was rented")
    jobs.push(RUSH)
    cloud.until(lambda: counts(2, 0), "another machine was rented")
    jobs.push(2, LONG_JOB_S)
    cloud.until(lambda: counts(1, 1), "one was stopped when it was quiet, after the job in its hand")

    jobs.push(RUSH)
    cloud.until(lambda: counts(2, 0), "it came back")
    cloud.until(lambda: counts(1, 1), "one was stopped again")

    def raced() -> list[Json]:
        jobs.keep_waiting(FEW)
        return [entry for entry in journal(daemon, kind="command", action="stop") if "came up first" in entry["text"]]

    jobs.push(RUSH)
    cloud.until(raced, "a machine was rented beside the resume that did not come, and was up first")
    cloud.until(lambda: counts(1, 1), "all but one standby were given back")

    jobs.push(RUSH)
    cloud.until(lambda: counts(2, 1), "another machine was rented in place of the one that was refused")
    assert len(journal(daemon, kind="outcome", action="resume", result="no_capacity")) == 1
    cloud.until(jobs.all_done, "every job was done, once")

    last = give_all_back(daemon, start_fast, cloud)
    real_time.until(lambda: not last.ask("/api/v1/instances")[1]["instances"], "all were proven gone")
    assert only_foreign(vendor)

    bill, left_usd = vendor.billed(), vendor.balance()
    billed_usd = sum(bill[machine] for machine in cloud.ids)
    told = status(last)
    assert LEAST_BOOKED < told["usd_month"] / SPEED / billed_usd < MOST_BOOKED
    assert BALANCE_USD - left_usd == pytest.approx(sum(bill.values()), rel=0.05), "nothing else was billed"
    assert left_usd < told["providers"][0]["balance_usd"] < BALANCE_USD
    assert_key_is_nowhere(client, daemon, last)


@pytest.mark.parametrize("kind", CLOUDS)
def test_kill_9_while_a_create_hangs_leaves_one_machine_that_the_next_daemon_knows(
    *,
    kind: str,
    start_vendor: StartVendor,
    start_daemon: StartDaemon,
    client: Any,
    redis_url: str,
    watch: Watch,
) -> None:
    url, vendor = start_vendor(kind, {"fault": "answer_hangs", "call": "rent"})
    daemon = start_daemon(a_config(redis_url, {kind: url}, {"hot": "1..1", "warm": "0..0"}))
    cloud, jobs = watch(vendor), Jobs(client)
    [machine] = cloud.until(cloud.ours, "a machine was made")
    [intent] = daemon.records(client)
    assert (intent.phase, intent.provider_id, intent.id) == (Phase.PLANNED, None, machine.token)

    daemon.kill()
    client.pexpire(KEYS.lease, 1)
    daemon.start()
    cloud.until(lambda: daemon.phases(client) == [Phase.HOT], "it was found, and served")
    assert [record.provider_id for record in daemon.records(client)] == [machine.id]
    jobs.push(2)
    cloud.until(jobs.all_done, "it worked")

    last = give_all_back(daemon, start_daemon, cloud)
    assert cloud.ids == {machine.id}
    assert only_foreign(vendor)
    assert_key_is_nowhere(client, daemon, last)


def test_a_pool_in_two_clouds_is_served_by_the_second_while_the_first_has_no_capacity(
    start_vendor: StartVendor, start_daemon: StartDaemon, client: Any, redis_url: str, watch: Watch
) -> None:
    stock = {"gpu": "RTX 4090", "region": "US", "on_demand": 0.76, "spot": 0.38, "hosts": 1, "gpus_per_host": 1}
    vast_url, vastai = start_vendor("vastai", {"fault": "offer_gone", "call": "rent", "times": 1000}, stock=[stock])
    runpod_url, runpod = start_vendor("runpod")
    urls = {"vastai": vast_url, "runpod": runpod_url}
    placements = [
        {"provider": "vastai", "buy": "spot", "max_usd_per_hour": 0.6},
        {"provider": "runpod", "max_usd_per_hour": 0.9},
    ]
    limits = {"hot": "1..1", "warm": "0..0"}
    daemon = start_daemon(a_config(redis_url, urls, limits, placements=placements))
    cloud, jobs = watch(vastai, runpod), Jobs(client)
    jobs.push(2)
    cloud.until(jobs.all_done, "the jobs were done")
    assert [record.placement for record in daemon.records(client)] == ["runpod-on-demand"]
    refused, accepted = reversed(journal(daemon, kind="outcome", action="rent"))
    assert (refused["result"], accepted["result"]) == ("no_capacity", "ok")

    last = give_all_back(daemon, start_daemon, cloud)
    assert len(cloud.ids) == 1
    assert only_foreign(vastai)
    assert only_foreign(runpod)
    assert_key_is_nowhere(client, daemon, last)


@pytest.mark.parametrize("kind", CLOUDS)
def test_a_wrong_key_is_one_line_that_names_the_fix_and_the_daemon_goes_on_once_it_is_right(
    *,
    kind: str,
    start_vendor: StartVendor,
    start_fast: StartDaemon,
    client: Any,
    redis_url: str,
    watch: Watch,
) -> None:
    url, vendor = start_vendor(kind, {"fault": "auth_failed", "until": "1s"})
    limits = {"hot": "1..1", "warm": "0..0"}
    daemon = start_fast(a_config(redis_url, {kind: url}, limits, tick="5s"))
    real_time.until(lambda: daemon.log.exists() and daemon.events("signal_lost"), "the listing was refused")
    assert daemon.ask("/healthz")[0] == 200
    real_time.until(lambda: daemon.events("signal_back"), "the key was right again")
    [line] = [line for line in daemon.log.read_text().splitlines() if AuthFailed.fix in line]
    assert json.loads(line)["text"].startswith(f"the list of machines at {kind} is unknown: AuthFailed")

    cloud, jobs = watch(vendor), Jobs(client)
    jobs.push(2)
    cloud.until(jobs.all_done, "the jobs were done")
    assert_key_is_nowhere(client, daemon)
