"""What the readers of any kind must tell of a Redis of any version, by any protocol."""

from __future__ import annotations

import json

from autoscaler.core.demand import Demand
from autoscaler.link import Command, RedisLink, RedisSettings
from autoscaler.queues import QueueSettings, make_reader
from autoscaler.queues.band import Band
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from autoscaler.queues.stamp import Timestamp
from autoscaler.queues.stream import StreamQueue, StreamTier
from autoscaler.queues.zset import ZsetQueue, ZsetTier
from tests.support.queues import NOW

_NOW_MS = int(NOW * 1000)

FILL: tuple[Command, ...] = (
    ("RPUSH", "l", *(json.dumps({"at": NOW - age}) for age in (30, 20))),
    ("SADD", "running", "a", "b"),
    *(("XADD", "s", f"{_NOW_MS - age * 1000}-0", "job", "x") for age in (50, 40, 30)),
    ("XGROUP", "CREATE", "s", "workers", "0"),
    ("XREADGROUP", "GROUP", "workers", "w", "COUNT", 1, "STREAMS", "s", ">"),
    ("ZADD", "times", NOW - 7.5, "a", NOW + 60, "b"),
    ("ZADD", "ranks", 1, "1", 12, "2", 13, "3"),
    ("HSET", "job:1", "at", NOW - 5),
    ("HSET", "job:2", "at", NOW - 9),
)
QUEUES: dict[str, QueueSettings] = {
    "list": ListQueue(
        kind="list",
        tiers=(ListTier(name="t", key="l"),),
        timestamp=Timestamp(path="at"),
        in_flight_keys=("running",),
    ),
    "stream": StreamQueue(kind="stream", tiers=(StreamTier(name="t", key="s"),), group="workers"),
    "times": ZsetQueue(kind="zset", tiers=(ZsetTier(name="t", key="times"),), score="time"),
    "ranks": ZsetQueue(
        kind="zset",
        tiers=(
            ZsetTier(name="urgent", key="ranks", scores=Band(0, 9)),
            ZsetTier(name="bulk", key="ranks", scores=Band(10)),
        ),
        score="priority",
        timestamp=Timestamp(key="job:{id}", field="at"),
    ),
}
EXPECTED = {
    "list": ([(2, 30.0)], 2),
    "stream": ([(2, 40.0)], 1),
    "times": ([(1, 7.5)], None),
    "ranks": ([(1, 5.0), (2, 9.0)], None),
}


async def tells_all(redis: RedisSettings | str) -> None:
    """Fill it and read it, twice: the first look at a queue asks other questions than the next."""
    link = RedisLink(redis)
    replies = await link.execute(FILL)
    assert not [reply for reply in replies if isinstance(reply, Exception)]
    source = QueueDemand({name: (link, make_reader(settings)) for name, settings in QUEUES.items()})
    for _ in range(2):
        readings = await source.read(NOW)
        assert {name: _told(reading) for name, reading in readings.items()} == EXPECTED
    await link.close()


def _told(reading: object) -> tuple[list[tuple[int, float | None]], int | None]:
    assert isinstance(reading, Demand), reading
    return [(tier.waiting, tier.oldest_wait_s) for tier in reading.tiers], reading.in_flight
