from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from autoscaler.probe import ServiceProbe
from autoscaler.runtime.clock import SystemClock
from tests.support.build import instance
from tests.support.redis_server import free_port


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A service that is ready at /ready, redirects at /moved, and fails elsewhere."""

    async def ready(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/ready")

    app = web.Application()
    app.add_routes([web.get("/ready", ready), web.get("/moved", moved)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def asked(check: str, address: str | None = "127.0.0.1") -> bool:
    return await ServiceProbe(SystemClock()).ready(instance(address=address), check)


async def test_a_service_is_ready_when_it_gives_200(port: int) -> None:
    assert await asked(f"http :{port}/ready")


async def test_the_port_of_the_address_is_the_one_that_the_provider_maps_to_that_of_ready(port: int) -> None:
    assert await asked("http :8188/ready", address=f"127.0.0.1:{port}")
    assert not await asked(f"http :{port}/ready", address=f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize("path", ["moved", "missing", ""])
async def test_a_service_that_gives_anything_else_is_not(port: int, path: str) -> None:
    assert not await asked(f"http :{port}/{path}")


async def test_a_port_is_ready_when_it_accepts(port: int) -> None:
    assert await asked(f"tcp :{port}")
    assert not await asked(f"tcp :{free_port()}")


@pytest.mark.parametrize("address", [None, "", "no such host", "mock.invalid:1"])
async def test_a_machine_without_a_usable_address_is_not_ready(address: str | None) -> None:
    assert not await asked("http :80/", address)
    assert not await asked("tcp :80", address)


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        assert not await asked(f"http :{server.sockets[0].getsockname()[1]}/")


# --- what a service has to do -----------------------------------------------------------------------------------------

RUNNING, WAITING = [0, "a1", {"3": {}}, {}, ["9"]], [1, "b2", {"3": {}}, {}, ["9"]]


async def queued(body: str | bytes, status: int = 200) -> int | None:
    """What is made of an answer of ComfyUI's."""

    async def queue(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    app = web.Application()
    app.add_routes([web.get("/queue", queue)])
    async with TestServer(app) as server:
        machine = instance(address=f"127.0.0.1:{server.port}")
        return await ServiceProbe(SystemClock()).jobs(machine, "comfyui :8188")


@pytest.mark.parametrize(
    ("running", "pending", "jobs"), [([], [], 0), ([RUNNING], [], 1), ([], [WAITING], 1), ([RUNNING], [WAITING] * 3, 4)]
)
async def test_prompts_that_run_and_that_wait_are_jobs(running: list[Any], pending: list[Any], jobs: int) -> None:
    assert await queued(json.dumps({"queue_running": running, "queue_pending": pending})) == jobs


EMPTY = '{"queue_running": [], "queue_pending": []}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 200),
        ("[]", 200),
        ("0", 200),
        ("{}", 200),
        ('{"queue_running": []}', 200),
        ('{"queue_running": 0, "queue_pending": 0}', 200),
        (EMPTY[:-1], 200),
        (b"\xff\xfe", 200),
        ("[" * 100_000, 200),
        (EMPTY, 503),
        (EMPTY, 302),
        (EMPTY.replace("{", "{" + " " * 5 * 2**20), 200),
    ],
)
async def test_an_answer_that_is_no_queue_or_too_long_says_nothing(body: str | bytes, status: int) -> None:
    assert await queued(body, status) is None


@pytest.mark.parametrize("address", [None, "", "no such host", "mock.invalid:1"])
async def test_a_machine_without_a_usable_address_does_not_say(address: str | None) -> None:
    assert await ServiceProbe(SystemClock()).jobs(instance(address=address), "comfyui :8188") is None
