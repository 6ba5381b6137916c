"""Requests over real sockets on loopback: what is raised when, and where the key goes."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from autoscaler.core.errors import AuthFailed, Transient, UnclearOutcome
from autoscaler.core.units import Secret
from providers.http import Answer, Request, Service, json_request
from providers.session import Session

KEY = "rpa_0123456789ABCDEF"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def session_to(
    handler: Handler, *, key: str = KEY, timeout_s: float = 10.0, most_bytes: int = 100_000
) -> AsyncIterator[Session]:
    """A session to a server whose every path is handled so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    session = Session(Service(url=url, key=Secret(key), timeout_s=timeout_s, most_bytes=most_bytes))
    try:
        yield session
    finally:
        await session.close()
        await runner.cleanup()


async def echo(request: web.Request) -> web.StreamResponse:
    """What arrived."""
    return web.json_response(
        {
            "method": request.method,
            "path": request.rel_url.raw_path,
            "query": dict(request.rel_url.query),
            "body": await request.text(),
            "type": request.headers.get("Content-Type"),
            "url": str(request.rel_url),
        }
    )


async def never(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Dropping:
    """Answers the first so many requests, and breaks off every connection after that without an answer."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.requests = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if self.requests > self.answers:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({})


async def test_a_request_arrives_as_it_was_built() -> None:
    async with session_to(echo) as session:
        query = {"q": 'a b&c=d/é+%20?#"', "filter": '{"label": {"eq": "x y"}}'}
        told = (await session.send(json_request("PUT", "/v0/asks/7/", {"label": "a b"}, **query))).json()
    assert told["method"] == "PUT"
    assert told["path"] == "/v0/asks/7/"
    assert told["query"] == query
    assert told["body"] == '{"label": "a b"}'
    assert told["type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/pods/a%20b%2Fc", "/pods/a%20b%2Fc"),
        ("/pods/a b/é", "/pods/a%20b/%C3%A9"),
    ],
)
async def test_a_path_arrives_quoted_once(path: str, arrives: str) -> None:
    async with session_to(echo) as session:
        assert (await session.send(Request(method="GET", path=path))).json()["path"] == arrives


async def test_an_answer_is_given_whatever_its_status() -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, text="slow down", headers={"Retry-After": "7", "X-Request-Id": "r1"})

    async with session_to(refuse) as session:
        answer = await session.send(Request(method="GET", path="/"))
    assert (answer.status, answer.text) == (429, "slow down")
    assert (answer.headers["retry-after"], answer.headers["x-request-id"]) == ("7", "r1")


async def test_no_answer_in_time_is_unclear() -> None:
    async with session_to(never, timeout_s=0.05) as session:
        with pytest.raises(UnclearOutcome, match=r"no answer from 127\.0\.0\.1 within 0\.05s"):
            await session.send(Request(method="PUT", path="/"))


async def test_a_refused_connection_certainly_had_no_effect() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        session = Session(Service(url=f"http://127.0.0.1:{taken.getsockname()[1]}", key=Secret(KEY)))
        with pytest.raises(Transient, match="cannot be reached"):
            await session.send(Request(method="PUT", path="/"))
        await session.close()


async def test_a_host_that_does_not_exist_certainly_had_no_effect() -> None:
    session = Session(Service(url="http://nowhere.invalid", key=Secret(KEY)))
    with pytest.raises(Transient, match=r"nowhere\.invalid cannot be reached"):
        await session.send(Request(method="PUT", path="/"))
    await session.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "GET"])
@pytest.mark.parametrize("answers", [0, 1])
async def test_a_connection_that_breaks_off_without_an_answer_is_unclear_and_nothing_is_sent_again(
    method: str, answers: int
) -> None:
    vendor = Dropping(answers)
    async with session_to(vendor.handle) as session:
        for _ in range(answers):
            await session.send(Request(method="GET", path="/"))
        with pytest.raises(UnclearOutcome):
            await session.send(json_request(method, "/asks/7/", {"label": "x"}))
    assert vendor.requests == answers + 1


async def test_a_body_that_breaks_off_is_unclear() -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"instances": [')
        assert request.transport is not None
        request.transport.close()
        return response

    async with session_to(half) as session:
        with pytest.raises(UnclearOutcome):
            await session.send(Request(method="GET", path="/"))


async def test_an_answer_that_is_no_http_is_unclear() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    session = Session(Service(url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", key=Secret(KEY)))
    with pytest.raises(UnclearOutcome):
        await session.send(Request(method="GET", path="/"))
    await session.close()
    server.close()
    await server.wait_closed()


async def test_an_answer_that_is_too_large_is_unclear_and_not_read_on() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async with session_to(endless) as session:
        with pytest.raises(UnclearOutcome, match="more than 100000 bytes"):
            await session.send(Request(method="GET", path="/"))


async def test_an_answer_that_is_too_large_once_unpacked_is_unclear() -> None:
    async def bomb(request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"x" * 10_000_000), headers={"Content-Encoding": "gzip"})

    async with session_to(bomb) as session:
        with pytest.raises(UnclearOutcome, match="more than 100000 bytes"):
            await session.send(Request(method="GET", path="/"))


async def test_after_a_failure_the_same_session_goes_on() -> None:
    async def first_never(request: web.Request) -> web.StreamResponse:
        return await (never if request.path == "/never" else echo)(request)

    async with session_to(first_never, timeout_s=1.0) as session:
        with pytest.raises(UnclearOutcome):
            await session.send(Request(method="GET", path="/never"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):  # whoever asked loses patience, and cancels
                await session.send(Request(method="GET", path="/never"))
        assert (await session.send(Request(method="GET", path="/"))).status == 200


async def test_a_redirect_is_not_followed_for_the_key_would_go_along() -> None:
    came: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        came.append(request.path)
        raise web.HTTPTemporaryRedirect("/trap")

    async with session_to(elsewhere) as session:
        assert (await session.send(Request(method="GET", path="/pods"))).status == 307
    assert came == ["/pods"]


async def test_the_key_goes_into_the_header_and_nowhere_else() -> None:
    seen: list[tuple[str, str]] = []

    async def note(request: web.Request) -> web.StreamResponse:
        others = [f"{name}: {value}" for name, value in request.headers.items() if name != "Authorization"]
        seen.append((request.headers["Authorization"], " ".join([str(request.url), await request.text(), *others])))
        return web.json_response({})

    async with session_to(note) as session:
        await session.send(json_request("POST", "/pods", {"name": "x"}, page="2"))
    [(authorization, rest)] = seen
    assert authorization == f"Bearer {KEY}"
    assert KEY not in rest
    assert KEY not in repr(session.__dict__["_service"])


async def test_an_answer_that_repeats_the_key_is_given_with_it_masked() -> None:
    async def blab(request: web.Request) -> web.StreamResponse:
        said = request.headers["Authorization"]
        return web.json_response({"error": f"unknown key {said}"}, status=401, headers={"X-Debug": said})

    async with session_to(blab) as session:
        answer = await session.send(Request(method="GET", path="/"))
    assert answer.json() == {"error": "unknown key Bearer ***"}
    assert answer.headers["x-debug"] == "Bearer ***"


async def test_a_key_too_short_to_be_one_does_not_spoil_answers() -> None:
    async with session_to(echo, key="e") as session:
        answer: Answer = await session.send(Request(method="GET", path="/"))
    assert answer.json()["method"] == "GET"


async def test_a_key_that_fits_no_header_is_told_before_anything_is_sent() -> None:
    async with session_to(echo, key=f"{KEY}\n") as session:
        with pytest.raises(AuthFailed, match="line break") as refused:
            await session.send(Request(method="GET", path="/"))
    assert KEY not in str(refused.value)


async def test_closing_it_closes_its_connections_and_one_never_used_has_none() -> None:
    async with session_to(echo) as session:
        await session.send(Request(method="GET", path="/"))
        await session.close()
        await session.close()
    await Session(Service(url="http://127.0.0.1:1", key=Secret(KEY))).close()
