"""Queue readers on a real Redis on loopback: many queues in one tick, and queues of a million jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import redis

from autoscaler.link import Command, RedisLink
from autoscaler.queues import LIBRARIES, QueueSettings, make_reader
from autoscaler.queues.source import QueueDemand
from tests.benchmarks.figures import Figure, percentile
from tests.support.filled import fill, large_keys
from tests.support.queue_settings import SETTINGS
from tests.support.queues import NOW
from tests.support.redis_server import RedisServer

_QUEUES = 100
_JOBS = 30
_TICKS = 200
_WARM_UP = 20
_TICK_TARGET_MS = 15.0
_MILLION = 1_000_000
_ASKED = 100
_OVER_PING = 2.0


def hundred() -> Iterator[Figure]:
    """A hundred queues of all kinds, each a tier, read in one tick over one connection."""
    queues: list[QueueSettings] = []
    for number, settings in enumerate(cycle(SETTINGS)):
        if sum(len(each.tiers) for each in queues) >= _QUEUES:
            break
        queues.append(_renamed(settings, number))
    with _server() as server:
        with redis.Redis(port=server.port) as client:
            for settings in queues:
                for key, (kind, group) in large_keys(settings, NOW).items():
                    if not client.exists(key):
                        fill(client, key, kind, group=group, size=_JOBS, now=NOW)
        times_ms, trips = asyncio.run(_read(server.url, queues))
    what = f"{_QUEUES} queues of {len(LIBRARIES)} kinds in one tick"
    yield Figure(what=f"{what}: round trips, most", value=trips, unit="", target=2)
    yield Figure(what=f"{what}, p50", value=percentile(times_ms, 50), unit="ms", target=_TICK_TARGET_MS)
    yield Figure(what=f"{what}, p99", value=percentile(times_ms, 99), unit="ms")


async def _read(url: str, queues: Sequence[QueueSettings]) -> tuple[list[float], int]:
    link = RedisLink(url)
    source = QueueDemand({str(number): (link, make_reader(settings)) for number, settings in enumerate(queues)})
    times_ms, trips = [], 0
    for tick in range(_WARM_UP + _TICKS):
        before, started = link.round_trips, perf_counter()
        await source.read(NOW + tick)
        times_ms.append(1000.0 * (perf_counter() - started))
        trips = max(trips, link.round_trips - before)
    await link.close()
    return times_ms[_WARM_UP:], trips


def _renamed(settings: Any, number: int) -> Any:
    """The same settings about other keys."""
    names = [name for name in ("key", "queue") if hasattr(settings.tiers[0], name)]
    tiers = [replace(tier, **{name: f"{getattr(tier, name)}{number}" for name in names}) for tier in settings.tiers]
    return replace(settings, tiers=tuple(tiers))


def millions() -> Iterator[Figure]:
    """Each command that any reader sends once it has begun, on keys of a million elements, against PING."""
    for settings in SETTINGS:
        with _server() as server, redis.Redis(port=server.port) as client:
            for key, (kind, group) in large_keys(settings, NOW).items():
                fill(client, key, kind, group=group, size=_MILLION, now=NOW)
            commands = asyncio.run(_asked(server.url, settings))
            ping_us = _median_us(client, ("PING",))
            times_us = {command: _median_us(client, command) for command in commands}
        slowest = max(times_us, key=lambda command: times_us[command])
        what = f"{settings.kind}, slowest of {len(commands)} ({slowest[0]!s}) against PING at {ping_us:.0f} us"
        yield Figure(what=what, value=times_us[slowest] / ping_us, unit="x", target=_OVER_PING)


async def _asked(url: str, settings: QueueSettings) -> list[Command]:
    """Every command of two ticks after the first, in which arq's reader looks at 256 ids to find those at work."""
    link, commands = RedisLink(url), dict[Command, None]()
    reader = make_reader(settings)
    for tick in range(3):
        steps = reader.read(NOW + tick)
        try:
            asked = next(steps)
            while True:
                commands |= dict.fromkeys(asked if tick else ())
                asked = steps.send(await link.execute(asked))
        except StopIteration:
            continue
    await link.close()
    return list(commands)


def _median_us(client: redis.Redis, command: Command) -> float:
    """The best of three medians: a machine is never quite at rest."""
    medians = []
    for _ in range(3):
        times = []
        for _ in range(_ASKED):
            started = perf_counter()
            with suppress(redis.ResponseError):  # such as NOGROUP; its time counts all the same
                client.execute_command(*command)  # type: ignore[no-untyped-call]
            times.append(1e6 * (perf_counter() - started))
        medians.append(median(times))
    return min(medians)


@contextmanager
def _server() -> Iterator[RedisServer]:
    with TemporaryDirectory() as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()
