"""Asks a daemon's API so many times a second, as dashboards, Prometheus and operators do. Run as a process:

    python -m tests.support.api_load URL TOKEN REQUESTS_PER_SECOND SECONDS

It says when the first answer is there, and at the end how many there were and how long the slowest hundredth took.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from time import perf_counter
from typing import Any

import click
from aiohttp import ClientSession

ORDER = {"kind": "ceiling", "count": 1_000_000, "by": "a benchmark"}
"""One that changes nothing."""
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/v1/status", {}),
    ("GET", "/api/v1/journal", {}),
    ("GET", "/metrics", {}),
    ("GET", "/healthz", {}),
    ("GET", "/api/v1/orders", {}),
    ("POST", "/api/v1/orders", {"json": ORDER}),
    ("GET", "/api/v1/instances", {}),
    ("GET", "/api/v1/admission", {}),
    ("DELETE", "/api/v1/orders/ceiling?by=a+benchmark", {}),
    ("GET", "/readyz", {}),
]


async def ask(url: str, token: str, per_s: float, seconds: float) -> None:
    """Ask at a steady pace, whether or not the last answer is there."""
    loop, times_ms, bad = asyncio.get_running_loop(), list[float](), list[int]()
    async with ClientSession(url, headers={"Authorization": f"Bearer {token}"}) as client:

        async def one(method: str, path: str, request: dict[str, Any]) -> None:
            started = perf_counter()
            async with client.request(method, path, **request) as response:
                await response.read()
            times_ms.append(1000.0 * (perf_counter() - started))
            if response.status >= 500:
                bad.append(response.status)

        await one("GET", "/healthz", {})
        click.echo("asking")
        started, tasks = loop.time(), []
        for number, request in enumerate(itertools.cycle(REQUESTS)):
            due = started + number / per_s
            if due > started + seconds:
                break
            await asyncio.sleep(max(0.0, due - loop.time()))  # noqa: TID251 - real requests, in real time
            tasks.append(loop.create_task(one(*request)))
        await asyncio.gather(*tasks)
    p99_ms = sorted(times_ms)[int(0.99 * len(times_ms))]
    click.echo(json.dumps({"answers": len(times_ms), "bad": bad, "p99_ms": p99_ms}))


if __name__ == "__main__":
    asyncio.run(ask(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
