"""What a tick of the whole daemon costs on a real Redis, in round trips."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from autoscaler.app import App
from autoscaler.core.demand import Demand
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from tests.support.live import LIST, STREAM, ZSET, Jobs, a_config, live_app
from tests.support.redis_server import RedisServer

QUEUES = {"list": LIST, "stream": STREAM, "zset": ZSET}
TICKS = 20


@pytest.fixture
async def jobs(redis_url: str) -> AsyncIterator[Jobs]:
    """Producer and worker of all queues, with some jobs waiting in each tier."""
    async with Jobs(redis_url) as jobs:
        await jobs.push(3)
        yield jobs


@pytest.fixture
def other_redis_url(tmp_path: Path) -> Iterator[str]:
    """The URL of a second empty Redis."""
    with RedisServer(tmp_path) as server:
        yield server.url


async def trips_of_ticks(app: App, before_each: Callable[[], Awaitable[None]] | None = None) -> dict[str, set[int]]:
    """The numbers of round trips that ticks took, by the setting that names the Redis asked."""
    taken: dict[str, set[int]] = {setting: set() for setting in app.links}
    for _ in range(TICKS):
        if before_each is not None:
            await before_each()
        before = {setting: link.round_trips for setting, link in app.links.items()}
        report = await app.loops[0].tick()
        assert all(isinstance(pool.snapshot.demand, Demand) for pool in report.pools.values())
        for setting, link in app.links.items():
            taken[setting].add(link.round_trips - before[setting])
    return taken


async def test_a_steady_tick_of_all_kinds_of_queues_takes_one_round_trip(redis_url: str, jobs: Jobs) -> None:
    async with live_app(a_config(redis_url, QUEUES, machines=3)) as app:
        assert await trips_of_ticks(app) == {"redis": {1}}


async def test_what_the_last_tick_left_to_write_goes_along_with_the_reads_of_the_next(
    redis_url: str, jobs: Jobs
) -> None:
    async with live_app(a_config(redis_url, QUEUES, machines=3)) as app:

        async def leave_something() -> None:
            app.note(Entry(at=1.0, kind=Kind.OPERATOR, text="to be written"))

        assert await trips_of_ticks(app, leave_something) == {"redis": {1}}


async def test_a_steady_round_of_pools_that_are_led_one_by_one_takes_one_round_trip(redis_url: str, jobs: Jobs) -> None:
    async with live_app(a_config(redis_url, QUEUES, machines=1, spread=True)) as app:
        [link] = app.links.values()
        taken = set()
        for _ in range(TICKS):
            before = link.round_trips
            await app.tick()
            taken.add(link.round_trips - before)
        assert taken == {1}
        assert app.board.report is not None
        assert app.board.report.pools.keys() == QUEUES.keys()


async def test_a_tick_takes_one_more_round_trip_where_the_next_jobs_are_new(redis_url: str, jobs: Jobs) -> None:
    async with live_app(a_config(redis_url, QUEUES, machines=3)) as app:
        assert await trips_of_ticks(app, jobs.move_on) == {"redis": {2}}


async def test_a_tick_with_the_store_in_another_redis_takes_two_round_trips_to_one_and_one_to_the_other(
    redis_url: str, other_redis_url: str, jobs: Jobs
) -> None:
    async with live_app(a_config(redis_url, QUEUES, machines=3, store=other_redis_url)) as app:
        assert await trips_of_ticks(app) == {"redis": {1}, "store": {1}}
        assert await trips_of_ticks(app, jobs.move_on) == {"redis": {2}, "store": {1}}


async def test_a_tick_that_rents_takes_one_more_round_trip_to_store_its_intent(redis_url: str, jobs: Jobs) -> None:
    async with live_app(a_config(redis_url, QUEUES, machines=1)) as app:
        [link] = app.links.values()
        await jobs.push(40)
        before = link.round_trips
        report = await app.loops[0].tick()
        assert link.round_trips - before == 2
        assert {i.pool for i in report.instances.values() if i.phase is Phase.PLANNED} == set(QUEUES)


class CountingProxy:
    """Passes everything on to a Redis, and counts how often it is spoken to after it has answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.round_trips = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        redis, to_redis = await asyncio.open_connection("127.0.0.1", self._port)
        answered = True

        async def ask() -> None:
            nonlocal answered
            while words := await client.read(65536):
                self.round_trips += answered
                answered = False
                to_redis.write(words)
            to_redis.close()

        async def answer() -> None:
            nonlocal answered
            while words := await redis.read(65536):
                answered = True
                to_client.write(words)
            to_client.close()

        await asyncio.gather(ask(), answer())


async def test_what_the_link_counts_is_what_redis_sees(redis_server: RedisServer, jobs: Jobs) -> None:
    async with CountingProxy(redis_server.port) as proxy, live_app(a_config(proxy.url, QUEUES, machines=1)) as app:
        [link] = app.links.values()
        counted, seen = link.round_trips, proxy.round_trips
        for _ in range(TICKS):
            await app.loops[0].tick()
            await jobs.move_on()
        assert proxy.round_trips - seen == link.round_trips - counted > TICKS
