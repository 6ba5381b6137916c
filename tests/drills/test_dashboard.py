"""An open dashboard outlives the daemon: it is told what happens, the daemon ends at once, the next one goes on.

The history is in Redis: whoever leads next shows the same last day.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from autoscaler.app import App, build
from autoscaler.config import load_config
from autoscaler.core.lifecycle import Phase
from autoscaler.daemon import api_of
from autoscaler.runtime.clock import LoopClock, SystemClock
from autoscaler.runtime.rounds import go_round
from autoscaler.web.server import serve
from tests.support.daemon_process import DaemonProcess, Json, StartDaemon, a_config
from tests.support.real_time import now, until

SPEED = 100.0
MINUTE = 60.0


@contextmanager
def listening(daemon: DaemonProcess) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of a daemon, by name and content."""
    connection = HTTPConnection(daemon.url.removeprefix("http://"), timeout=30.0)
    connection.request("GET", "/api/v1/events")
    response = connection.getresponse()
    assert response.status == 200
    yield events(response)
    response.close()
    connection.close()


def events(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in response:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def quick(directory: Path, redis_url: str) -> Json:
    return a_config(directory, redis_url, mock={"setup": "300ms..500ms"}) | {"tick": "200ms"}


def test_a_page_sees_jobs_come_a_daemon_with_open_pages_ends_at_once_and_the_next_one_goes_on(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    daemon = start_daemon(quick(tmp_path, redis_url))
    until(lambda: daemon.phases(client) == [Phase.HOT], "its machine was HOT")
    with listening(daemon) as told, listening(daemon):
        assert next(told)[0] == "status"
        assert any("hot: ready" in entry["text"] for entry in next(told)[1]["entries"])
        client.rpush("jobs:pro", "a cat", "a dog")
        until(lambda: waiting(*next(told)) == 2, "the page saw the jobs")
        asked = now()
        assert daemon.terminate(patience_s=10.0) == 0
        assert now() - asked < 5.0
        for _ in told:
            pass  # what was under way, and then the end
    daemon.start()
    daemon.wait_ready()
    with listening(daemon) as told:
        name, status = next(told)
        assert (name, [each["phase"] for each in status["instances"]][:1]) == ("status", ["hot"])
        assert any("hot: ready" in entry["text"] for entry in next(told)[1]["entries"])


def waiting(name: str, content: Any) -> int | None:
    return content["pools"][0]["demand"]["waiting"] if name == "status" else None


# --- the last day -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def living(config: Json, clock: LoopClock) -> AsyncIterator[tuple[App, str]]:
    """A daemon in this process on a clock that runs fast, and the address of its API."""
    app = build(load_config(json.dumps(config), {}), clock=clock)
    runner = await serve(api_of(app, clock.now), "127.0.0.1:0")
    ticking = asyncio.create_task(go_round(app.tick, app.wake, clock, lambda: app.config.tick))
    yield app, f"http://127.0.0.1:{runner.addresses[0][1]}"
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)
    await app.stop()
    await runner.cleanup()
    await app.close()


async def timeline(url: str) -> Json:
    async with ClientSession() as session, session.get(f"{url}/api/v1/timeline?hours=1") as response:
        assert response.status == 200
        return dict(await response.json())


async def test_after_a_restart_and_on_a_daemon_that_stands_by_the_last_day_is_the_same(
    redis_url: str, tmp_path: Path
) -> None:
    clock = LoopClock(epoch=SystemClock().now(), speed=SPEED)
    config = a_config(tmp_path, redis_url, mock={"setup": "1m"}) | {"lease": "10m"}
    async with living(config, clock) as (_, url):
        await clock.sleep(6 * MINUTE)
        before = await timeline(url)
        async with living(config, clock) as (standby, other):
            await clock.sleep(MINUTE)
            assert standby.board.report is not None
            assert not standby.board.report.leads
            beside = await timeline(other)
    async with living(config, clock) as (_, url):
        await clock.sleep(3 * MINUTE)
        after = await timeline(url)

    [was] = before["machines"]
    for later in (beside, after):
        assert columns(later, len(columns(before))) == columns(before)
        [machine] = later["machines"]
        assert machine["phases"][:-1] == was["phases"][:-1]
        assert (machine["phases"][-1]["phase"], machine["phases"][-1]["to"]) == ("hot", None)
    assert [span["phase"] for span in was["phases"]] == ["planned", "renting", "booting", "hot"]
    assert len(columns(before)) >= 4
    assert len(columns(after)) >= len(columns(before)) + 2


def columns(answer: Json, most: int | None = None) -> list[tuple[Any, ...]]:
    """The points, row by row."""
    points = answer["pools"][0]["points"]
    return [*zip(*(points[name] for name in ("at", "hot", "up", "wanted", "usd_per_hour")), strict=True)][:most]
