"""Who must not pass does not: without the token, under a name that is not ours, or too slowly."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web
from structlog.testing import LogCapture

from autoscaler.web import guarded
from autoscaler.web.routes import Answer, Route
from tests.support import real_time
from tests.support.reports import machine, report
from tests.support.served import TOKEN, WITH_TOKEN, Daemon, a_config, served

ORDER = {"kind": "pause", "by": "ann"}
CHANGES = [("POST", "/api/v1/orders"), ("DELETE", "/api/v1/orders/pause?by=ann"), ("POST", "/api/v1/anything")]
PATHS = ["/", "/metrics", "/healthz", "/api/v1/status", "/api/v1/nothing", "/api/v1/orders"]


async def anything(_request: web.Request) -> web.Response:
    return web.json_response({})


MORE = Route(
    method="POST", path="/api/v1/anything", handler=anything, summary="anything", answers={200: Answer(text="It was.")}
)


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served(None, MORE) as made:
        made.board.ticked(report(machine()))
        yield made


# --- the token --------------------------------------------------------------------------------------------------------


async def test_without_a_token_of_its_own_a_daemon_changes_nothing_and_says_how_to_set_one() -> None:
    async with served(a_config(token=None), MORE) as daemon:
        for method, path in CHANGES:
            for headers in ({}, WITH_TOKEN, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
                status, answer = await daemon.json(path, method, headers=headers)
                assert status == 403
                assert "set http.token" in answer["error"]
        assert await daemon.store.orders() == ()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer ключ",
        "Bearer ***",
    ],
)
async def test_a_wrong_token_is_401_for_each_change_and_never_told_again(daemon: Daemon, header: str) -> None:
    events = LogCapture()
    structlog.configure(processors=[events])
    for method, path in CHANGES:
        response, text = await daemon.ask(path, method, json=ORDER, headers={"Authorization": header})
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert TOKEN not in text
    structlog.reset_defaults()
    assert await daemon.store.orders() == ()
    assert TOKEN not in str(events.entries)


async def test_the_right_token_passes_however_its_scheme_is_written(daemon: Daemon) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert (await daemon.json("/api/v1/orders", "POST", json=ORDER, headers=headers))[0] == 201


async def test_a_token_that_was_changed_counts_from_the_next_request_on(daemon: Daemon) -> None:
    daemon.config = a_config(token="another-token-of-sixteen")
    assert (await daemon.json("/api/v1/anything", "POST", headers=WITH_TOKEN))[0] == 401
    headers = {"Authorization": "Bearer another-token-of-sixteen"}
    assert (await daemon.json("/api/v1/anything", "POST", headers=headers))[0] == 200


async def test_the_token_is_nowhere_to_be_read(daemon: Daemon) -> None:
    for path in (*PATHS, "/api/v1/openapi.json", "/api/v1/plan", "/api/v1/journal"):
        assert TOKEN not in (await daemon.ask(path))[1]


async def test_who_fails_is_counted_each_time_and_logged_once_a_minute_with_the_address(daemon: Daemon) -> None:
    events = LogCapture()
    structlog.configure(processors=[events])
    for _ in range(5):
        await daemon.ask("/api/v1/anything", "POST")
    daemon.clock.time += 60.0
    await daemon.ask("/api/v1/anything", "POST")
    structlog.reset_defaults()
    logged = [(event["event"], event["peer"], event["unlogged"]) for event in events.entries]
    assert logged == [("http_refused", "127.0.0.1", 0), ("http_refused", "127.0.0.1", 4)]
    _, metrics = await daemon.ask("/metrics")
    assert 'autoscaler_http_refusals_total{reason="token"} 6.0' in metrics


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.", "1.2.3"])
async def test_a_page_that_points_its_own_name_at_us_reads_nothing(daemon: Daemon, host: str) -> None:
    for path in PATHS:
        response, text = await daemon.ask(path, headers={"Host": host})
        assert response.status == 421
        assert "http.hosts" in text


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "10.1.2.3:80", "autoscaler:8080", ""])
async def test_addresses_and_names_that_nobody_can_own_are_ours(daemon: Daemon, host: str) -> None:
    assert (await daemon.ask("/api/v1/status", headers={"Host": host}))[0].status == 200


async def test_names_in_the_settings_are_ours_in_any_case(daemon: Daemon) -> None:
    for http in ({"hosts": ("fleet.example.com",)}, {"listen": "fleet.example.com:8080"}):
        daemon.config = a_config(**http)
        for host in ("fleet.example.com", "Fleet.Example.com:443"):
            assert (await daemon.ask("/healthz", headers={"Host": host}))[0].status == 200
        assert (await daemon.ask("/healthz", headers={"Host": "example.com"}))[0].status == 421


# --- slowness ---------------------------------------------------------------------------------------------------------


async def test_a_body_that_does_not_come_is_given_up(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "_ANSWERED_S", 0.1)
    reader, writer = await connect(daemon)
    head = f"POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    async with asyncio.timeout(10.0):
        assert (await reader.readline()).split()[1] == b"408"
    writer.close()


async def test_an_answer_that_is_not_read_is_given_up(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.board.ticked(report(*(machine(f"m{n}", reason="x" * 1000) for n in range(5000))))
    monkeypatch.setattr(guarded, "_SENT_S", 0.1)
    reader, writer = await connect(daemon, limit=1024)
    writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.get_running_loop().run_in_executor(None, real_time.sleep, 1.0)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        async with asyncio.timeout(10.0):
            await reader.readexactly(8_000_000)
    writer.close()


@pytest.mark.parametrize("path", ["/api/v1/status", "/static/plotly.min.js"])
async def test_those_who_do_not_read_a_long_answer_cost_little_memory(daemon: Daemon, path: str) -> None:
    daemon.board.ticked(report(*(machine(f"m{n}", reason="x" * 1000) for n in range(5000))))
    assert len((await daemon.ask(path))[1]) > 4_000_000
    tracemalloc.start()
    opened = [await connect(daemon, limit=1024) for _ in range(20)]
    for reader, writer in opened:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"200"
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 20 * 500_000
    for _, writer in opened:
        writer.close()


async def connect(daemon: Daemon, limit: int = 65_536) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = daemon.url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port), limit=limit)
