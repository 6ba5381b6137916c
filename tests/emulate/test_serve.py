"""An emulator on a port and the same one asked in this process."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest

from autoscaler.core.errors import SettingsError, UnclearOutcome
from autoscaler.core.units import Secret
from autoscaler.emulate import Dropped
from autoscaler.emulate.loopback import Loopback
from autoscaler.emulate.serve import served
from autoscaler.emulate.vastai import Emulation, make
from providers.http import Answer, Request, Service, json_answer, json_request
from providers.mock import Market


class Echo:
    """Answers with what it was asked, or not at all."""

    def __init__(self) -> None:
        self.hanging = asyncio.Event()
        self.given_up = asyncio.Event()

    @property
    def market(self) -> Market:
        return make(Emulation(), now=lambda: 0.0, rng=random.Random(1)).market

    async def handle(self, request: Request) -> Answer:
        if request.path == "/drop":
            raise Dropped
        if request.path == "/hang":
            try:
                self.hanging.set()
                await asyncio.get_running_loop().create_future()
            finally:
                self.given_up.set()
        told = {"method": request.method, "path": request.path, "query": dict(request.query), "body": request.json()}
        return json_answer(200, told | {"key": request.headers["authorization"]})


async def test_a_request_arrives_as_it_was_sent_by_either_way() -> None:
    echo = Echo()
    request = json_request("PUT", "/a%20b/", {"c": 1}, q='{"d": "e&f"}')
    expected = {
        "method": "PUT",
        "path": "/a%20b/",
        "query": {"q": '{"d": "e&f"}'},
        "body": {"c": 1},
        "key": "Bearer k",
    }
    async with served(echo) as url, aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as session:
        async with session.put(f"{url}/a b/", json={"c": 1}, params={"q": '{"d": "e&f"}'}) as response:
            assert response.headers["Content-Type"] == "application/json"
            assert await response.json() == expected
        answer = await Loopback(echo, Service(url=url, key=Secret("k"))).send(request)
        assert answer.json() == expected


async def test_a_dropped_request_breaks_the_connection_or_is_unclear() -> None:
    echo = Echo()
    told: list[tuple[str, Answer | None]] = []
    async with served(echo, tell=lambda asked, answer: told.append((asked.path, answer))) as url:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.post(f"{url}/drop")  # a PUT would be sent again by the session itself
        with pytest.raises(UnclearOutcome):
            await Loopback(echo, Service(url=url, key=Secret("k"))).send(json_request("POST", "/drop"))
    assert told == [("/drop", None)]


async def test_whoever_gives_up_on_a_request_that_is_never_answered_ends_it() -> None:
    echo = Echo()
    async with served(echo) as url, aiohttp.ClientSession() as session:
        asking = asyncio.ensure_future(session.get(f"{url}/hang"))
        await echo.hanging.wait()
        asking.cancel()
        await echo.given_up.wait()


async def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    async with served(Echo()) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(SettingsError, match=f"port {port} on 127.0.0.1 is not to be had: taken by another program"):
            async with served(Echo(), port=port):
                pass
