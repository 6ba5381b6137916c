"""One Redis in which many libraries keep their queues: each is recognised, and takes no other's keys for its own."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import redis

from autoscaler.cli.check import check
from autoscaler.cli.init import init
from autoscaler.cli.queue import queue
from tests.support.api import run_command
from tests.support.environments import ARQ, NODE_QUEUES, PYTHON_QUEUES
from tests.support.library import library
from tests.support.redis_server import RedisServer

WAITING = {
    "celery": {"celery": 2},
    "bullmq": {"pictures": 1},
    "bull": {"thumbs": 1},
    "rq": {"high": 1, "low": 1},
    "arq": {"arq-queue": 1},
    "dramatiq": {"images": 1},
    "huey": {"myapp": 1},
    "saq": {"gpu": 1},
    "streaq": {"default-normal": 1},
    "docket": {"mail": 0},
    "list": {"jobs-pro": 1},
}


async def fill(server: RedisServer) -> None:
    async with library(PYTHON_QUEUES, "many_queues.py", server.url) as producers:
        for name in ("celery", "rq", "dramatiq", "huey", "saq", "streaq", "docket"):
            await producers(name)
    async with library(ARQ, "arq_queues.py", server.url) as arq:
        await arq("enqueue", queue="arq:queue", names=["a"])
    async with library(NODE_QUEUES, "bullmq.mjs", str(server.port), "bullmq6") as bullmq:
        await bullmq("add", queue="pictures")
    async with library(NODE_QUEUES, "bull.mjs", str(server.port)) as bull:
        await bull("add", queue="thumbs")


def test_all_are_found_nothing_is_left_out_and_the_configuration_reads_them(
    redis_server: RedisServer, redis_url: str, tmp_path: Path
) -> None:
    asyncio.run(fill(redis_server))
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("jobs:pro", "a")
    file = tmp_path / "fleet.yaml"

    found = run_command(init, "--redis", redis_url, "--yes", "--output", str(file))

    assert (found.exit_code, found.stderr) == (0, "")
    assert re.findall("left out.*", found.stdout) == []
    assert run_command(check, str(file)).exit_code == 0
    read = json.loads(run_command(queue, str(file), "--json").stdout)
    waiting = {pool["kind"]: {t["tier"]: t["waiting"] for t in pool["demand"]["tiers"]} for pool in read["pools"]}
    assert waiting == WAITING
