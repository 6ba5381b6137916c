"""The dead-man switch as the process that it is on a machine: real Redis, real time, and each vendor's emulator."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp.test_utils import TestServer

from autoscaler import deadman
from autoscaler.emulate import Emulator
from autoscaler.emulate.serve import application
from autoscaler.runtime.clock import SystemClock
from autoscaler.store.keys import Keys
from providers.http import Answer, Request, json_request

AFTER_S = 0.5
CLOCK = SystemClock()
KEYS = Keys("attic")


class Vendor:
    """An emulator that is served, with machines in it and switches on those."""

    def __init__(self, kind: str, redis_url: str, directory: Path) -> None:
        emulation = import_module(f"autoscaler.emulate.{kind}")
        self.emulator: Emulator = emulation.make(emulation.Emulation(), now=CLOCK.now, rng=random.Random(1))
        self.market = self.emulator.market
        self.server = TestServer(application(self))
        self.refuses = "nothing"
        """Where paths begin that machines are refused at."""
        self.asked: list[str] = []
        """What machines asked for."""
        self._rent = {"vastai": self._rent_vast, "runpod": self._rent_runpod}[kind]
        self._url_name = {"vastai": "VAST_URL", "runpod": "RUNPOD_API_BASE_URL"}[kind]
        self._redis_url = redis_url
        self._script = directory / "deadman.py"
        self._script.write_bytes(Path(deadman.__file__).read_bytes())
        self._processes: list[asyncio.subprocess.Process] = []

    async def handle(self, request: Request) -> Answer:
        """The vendor's answer to a machine."""
        self.asked.append(f"{request.method} {request.path}")
        return Answer(status=403) if request.path.startswith(self.refuses) else await self.emulator.handle(request)

    @property
    def machines(self) -> set[str]:
        """Ids of what is there."""
        return set(self.market.machines)

    async def rent(self) -> tuple[str, Mapping[str, str]]:
        """A new machine: its id, and the environment that its vendor gives it."""
        before = self.machines
        answer = await self._rent()
        assert answer.status in (200, 201), answer.text
        [made] = self.machines - before
        return made, self.market.machines[made].env

    async def arm(self, instance: str, env: Mapping[str, str]) -> None:
        """Start the switch of a machine."""
        url = str(self.server.make_url("")).rstrip("/")
        told = {"AUTOSCALER_FLEET": "attic", "AUTOSCALER_INSTANCE": instance, "AUTOSCALER_DEAD_MAN_S": str(AFTER_S)}
        whole = {**env, **told, "REDIS_URL": self._redis_url, self._url_name: url}
        command = [sys.executable, "-I", "-S", str(self._script)]
        process = await asyncio.create_subprocess_exec(*command, env=whole, stderr=asyncio.subprocess.PIPE)
        self._processes.append(process)

    async def disarm(self) -> str:
        """End every switch, and give what they wrote."""
        written = b""
        for process in self._processes:
            process.kill()
            written += (await process.communicate())[1]
        self._processes.clear()
        return written.decode()

    async def _ask(self, method: str, path: str, body: Any) -> Answer:
        request = json_request(method, path, body)
        return await self.emulator.handle(replace(request, headers={"authorization": "Bearer account"}))

    async def _rent_vast(self) -> Answer:
        offers = (await self._ask("POST", "/api/v0/bundles/", {"type": "on-demand"})).json()["offers"]
        return await self._ask("PUT", f"/api/v0/asks/{offers[0]['id']}/", {"image": "i", "disk": 10, "label": "l"})

    async def _rent_runpod(self) -> Answer:
        wanted = {"name": "n", "image": "i", "disk": 10, "gpu": {"id": "NVIDIA GeForce RTX 4090"}}
        return await self._ask("POST", "/v2/pods", wanted)


@asynccontextmanager
async def opened(kind: str, redis_url: str, directory: Path) -> AsyncIterator[Vendor]:
    """A vendor with the switch as one file beside nothing; every process is ended."""
    vendor = Vendor(kind, redis_url, directory)
    async with vendor.server:
        try:
            yield vendor
        finally:
            await vendor.disarm()


async def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(400):
        if condition():
            return
        await CLOCK.sleep(0.02)
    raise AssertionError(f"waited in vain until {what}")


@pytest.mark.parametrize("kind", ["vastai", "runpod"])
async def test_a_machine_without_a_daemon_is_gone_and_the_others_are_not(
    kind: str, redis_url: str, tmp_path: Path
) -> None:
    async with opened(kind, redis_url, tmp_path) as vendor:
        lost, env = await vendor.rent()
        other, _ = await vendor.rent()
        await vendor.arm("lost", env)

        await until(lambda: lost not in vendor.machines, "the machine ended itself")

        assert vendor.machines == {other}


@pytest.mark.parametrize("kind", ["vastai", "runpod"])
async def test_a_led_machine_and_a_busy_one_stay_and_an_idle_one_goes(
    kind: str, redis_url: str, tmp_path: Path
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(KEYS.lease, "daemon:1")
        async with opened(kind, redis_url, tmp_path) as vendor:
            (busy, busy_env), (idle, idle_env) = await vendor.rent(), await vendor.rent()
            await vendor.arm("busy", busy_env)
            await vendor.arm("idle", idle_env)
            await CLOCK.sleep(3 * AFTER_S)
            assert vendor.machines == {busy, idle}, "the daemon leads"

            client.delete(KEYS.lease)
            gone_at = None
            for beat in range(400):
                client.hset(KEYS.workers, "busy", f'{{"busy": 1, "beat": {beat}}}')
                client.hset(KEYS.workers, "idle", f'{{"busy": 0, "beat": {beat}}}')
                await CLOCK.sleep(0.05)
                gone_at = beat if gone_at is None and idle not in vendor.machines else gone_at
                if gone_at is not None and beat >= 2 * gone_at:
                    break
            assert vendor.machines == {busy}

            client.hset(KEYS.workers, "busy", '{"busy": 0}')
            await until(lambda: not vendor.machines, "the busy one was done, and went too")


async def test_where_the_newer_api_refuses_the_pods_key_the_older_one_ends_it(redis_url: str, tmp_path: Path) -> None:
    async with opened("runpod", redis_url, tmp_path) as vendor:
        lost, env = await vendor.rent()
        vendor.refuses = "/v2/"
        await vendor.arm("lost", env)

        await until(lambda: lost not in vendor.machines, "the machine ended itself")

        assert vendor.asked[:2] == [f"DELETE /v2/pods/{env['RUNPOD_POD_ID']}", "POST /graphql"]


async def test_nothing_it_writes_holds_a_secret(redis_url: str, tmp_path: Path) -> None:
    async with opened("vastai", redis_url.replace("//", "//:hunter2@"), tmp_path) as vendor:
        lost, env = await vendor.rent()
        await vendor.arm("lost", env)
        await until(lambda: lost not in vendor.machines, "the machine ended itself")
        written = await vendor.disarm()

    assert [line.split(": ")[1].partition(" ")[0] for line in written.splitlines()][:3] == [
        "armed",
        "silence",
        "ending",
    ]
    assert "hunter2" not in written
    assert env["CONTAINER_API_KEY"] not in written
