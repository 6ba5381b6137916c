"""Server-sent events, over a real socket: what an open page is told, and what one that does not read costs."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse
from structlog.testing import LogCapture

from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.journal import Entry, Kind, command_entry
from autoscaler.web import events
from autoscaler.web.forms import StatusForm
from autoscaler.web.views import Board
from tests.support.reports import NOW, RENT, machine, report
from tests.support.served import Daemon, served

PATH = "/api/v1/events"


@pytest.fixture
async def daemon(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Daemon]:
    monkeypatch.setattr(events, "_EVERY_S", 0.01)
    async with served() as made:
        made.board.ticked(report(machine()))
        yield made


class Page:
    """Whoever listens."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.headers = response.headers
        self._read = b""

    async def block(self) -> dict[str, str]:
        """The fields of the next block; a comment's has no name."""
        async with asyncio.timeout(5.0):
            while b"\n\n" not in self._read:
                piece = await self.response.content.readany()
                assert piece, "the daemon has hung up"
                self._read += piece
        block, _, self._read = self._read.partition(b"\n\n")
        fields = [line.partition(": ") for line in block.decode().split("\n")]
        assert len({name for name, _, _ in fields}) == len(fields)
        return {name: value for name, _, value in fields}

    async def event(self) -> tuple[str, Any]:
        """The name and the content of the next event."""
        while "event" not in (fields := await self.block()):
            pass
        return fields["event"], json.loads(fields["data"])

    async def journal(self) -> list[str]:
        """The texts of the entries of the next event that has some."""
        while (event := await self.event())[0] != "journal":
            pass
        return [entry["text"] for entry in event[1]["entries"]]


@asynccontextmanager
async def listening(daemon: Daemon) -> AsyncIterator[Page]:
    async with daemon.client.get(daemon.url + PATH) as response:
        assert response.status == 200
        yield Page(response)


def entry(text: str, at: float = NOW) -> Entry:
    return Entry(at=at, kind=Kind.ALARM, text=text)


# --- what is told -----------------------------------------------------------------------------------------------------


async def test_a_page_gets_at_once_how_to_come_back_the_status_and_the_newest_entries(daemon: Daemon) -> None:
    daemon.note(entry("newer", NOW + 1.0), entry("older"))
    async with listening(daemon) as page:
        assert page.response.content_type == "text/event-stream"
        assert page.headers["Cache-Control"] == "no-store"
        assert await page.block() == {"retry": "2000"}
        assert await page.event() == ("status", daemon.board.status(NOW))
        assert await page.journal() == ["older", "newer"]


async def test_the_bytes_of_a_status_are_those_of_the_api(daemon: Daemon) -> None:
    _, text = await daemon.ask("/api/v1/status")
    async with listening(daemon) as page:
        await page.block()
        assert (await page.block())["data"] == text


async def test_each_tick_good_or_failed_is_told_as_a_new_status(daemon: Daemon) -> None:
    async with listening(daemon) as page:
        await page.journal()
        for tell in (daemon.board, daemon.feed):
            tell.ticked(report(machine("m2"), at=NOW + 10.0))
        name, status = await page.event()
        assert (name, [each["id"] for each in status["instances"]]) == ("status", ["m2"])
        for tell in (daemon.board, daemon.feed):
            tell.failed("Redis cannot be reached", NOW + 20.0)
        name, status = await page.event()
        assert (name, status["error"]) == ("status", "Redis cannot be reached")


async def test_what_is_noted_is_told_once_oldest_first_though_it_is_then_found_in_the_store(daemon: Daemon) -> None:
    async with listening(daemon) as page:
        assert await page.journal() == []
        daemon.feed.noted(entry("one"))
        daemon.feed.noted(entry("two"))
        assert await page.journal() == ["one", "two"]
        daemon.note(entry("three"), entry("two"), entry("one"))
        daemon.feed.ticked(report())
        assert await page.journal() == ["three"]


async def test_an_order_of_the_command_line_and_what_another_daemon_does_is_told_with_the_next_tick(
    daemon: Daemon,
) -> None:
    async with listening(daemon) as page:
        assert await page.journal() == []
        daemon.note(entry("order given: pause by ann"))
        daemon.feed.ticked(report(leads=False))
        assert await page.journal() == ["order given: pause by ann"]


async def test_an_entry_that_is_not_stored_yet_is_told_to_who_comes_now(daemon: Daemon) -> None:
    daemon.note(entry("stored"))
    daemon.feed.noted(entry("not stored yet", NOW + 1.0))
    async with listening(daemon) as page:
        assert await page.journal() == ["stored", "not stored yet"]


async def test_of_a_long_journal_the_newest_hundred_are_told(daemon: Daemon) -> None:
    daemon.note(*(entry(f"{n}", NOW - n) for n in range(300)))
    async with listening(daemon) as page:
        told = await page.journal()
    assert (len(told), told[0], told[-1]) == (100, "99", "0")


async def test_while_the_store_is_away_the_status_is_told(daemon: Daemon) -> None:
    daemon.store.error = StoreUnavailable("Redis did not answer in time")
    async with listening(daemon) as page:
        assert (await page.event())[0] == "status"
        assert await page.journal() == []


async def test_hostile_words_stay_inside_their_event(daemon: Daemon) -> None:
    hostile = '</script>\n\nevent: status\ndata: {"fleet": "mine"}\r\n\r\n\x1b[2J'
    daemon.board.ticked(report(machine(reason=hostile, provider_id=hostile)))
    daemon.note(entry(hostile))
    async with listening(daemon) as page:
        assert await page.block() == {"retry": "2000"}
        status = await page.block()
        assert json.loads(status["data"])["instances"][0]["reason"] == hostile
        assert json.loads((await page.block())["data"])["entries"][0]["text"] == hostile


async def test_fifty_pages_cost_one_rendering(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    made, summary = [], daemon.board.summary

    def counted(_board: Board, now: float) -> StatusForm:
        made.append(now)
        return summary(now)

    monkeypatch.setattr(Board, "summary", counted)
    async with AsyncExitStack() as opened:
        pages = [await opened.enter_async_context(listening(daemon)) for _ in range(50)]
        for page in pages:
            await page.journal()
        for tell in (daemon.board, daemon.feed):
            tell.ticked(report(machine("m2"), at=NOW + 10.0))
        for page in pages:
            assert (await page.event())[1]["instances"][0]["id"] == "m2"
    assert len(made) == 2


async def test_a_bug_in_what_is_told_is_logged_and_ends_no_page(daemon: Daemon) -> None:
    log = LogCapture()
    structlog.configure(processors=[log])
    async with listening(daemon) as page:
        await page.journal()
        daemon.store.error = ZeroDivisionError("internal words")
        daemon.feed.noted(entry("late"))
        async with asyncio.timeout(5.0):
            while not log.entries:
                await daemon.ask("/healthz")
        daemon.store.error = None
        daemon.feed.noted(entry("in time"))
        assert await page.journal() == ["late", "in time"]
    structlog.reset_defaults()
    assert log.entries[0]["event"] == "events_failed"


# --- who listens ------------------------------------------------------------------------------------------------------


async def test_a_silent_stream_is_kept_alive_by_comments(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_ALIVE_S", 0.05)
    async with listening(daemon) as page:
        await page.journal()
        assert await page.block() == {"": "alive"}
        assert await page.block() == {"": "alive"}


async def test_too_many_are_told_to_come_back_and_room_is_made_by_those_who_leave(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 2)
    monkeypatch.setattr(events, "_ALIVE_S", 0.02)
    async with listening(daemon), AsyncExitStack() as second:
        await second.enter_async_context(listening(daemon))
        response, text = await daemon.ask(PATH)
        assert (response.status, response.headers["Retry-After"]) == (503, "30")
        assert json.loads(text)["error"].startswith("2 pages listen already")
        await second.aclose()
        async with asyncio.timeout(5.0):
            while (await daemon.ask(PATH, "HEAD"))[0].status == 503:
                pass


async def test_who_does_not_read_is_hung_up_on_and_the_others_go_on(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_SLOW_S", 0.2)
    large = [machine(f"m{n}", reason="x" * 1000) for n in range(2000)]
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        host, _, port = daemon.url.removeprefix("http://").partition(":")
        await asyncio.get_running_loop().sock_connect(deaf, (host, int(port)))
        await asyncio.get_running_loop().sock_sendall(
            deaf, b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % PATH.encode()
        )
        async with listening(daemon) as page:
            await page.journal()
            for n in range(5):
                for tell in (daemon.board, daemon.feed):
                    tell.ticked(report(*large, at=NOW + n))
                assert (await page.event())[0] == "status"
            async with asyncio.timeout(10.0):
                await hung_up(deaf)


async def hung_up(connection: socket.socket) -> None:
    """Wait until the other side has gone, reading what had come until then."""
    with suppress(ConnectionError):
        while await asyncio.get_running_loop().sock_recv(connection, 65_536):
            pass


async def test_a_daemon_that_ends_hangs_up_at_once() -> None:
    async with AsyncExitStack() as opened:
        daemon = await opened.enter_async_context(served())
        await Page(await daemon.client.get(daemon.url + PATH)).journal()
        async with asyncio.timeout(1.0):
            await opened.aclose()


async def test_head_tells_the_kind_and_waits_for_nothing(daemon: Daemon) -> None:
    response, text = await daemon.ask(PATH, "HEAD")
    assert (response.status, response.content_type, text) == (200, "text/event-stream", "")


async def test_a_stream_outlives_the_time_that_other_answers_have(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoscaler.web.guarded._ANSWERED_S", 0.05)
    monkeypatch.setattr(events, "_ALIVE_S", 0.1)
    async with listening(daemon) as page:
        await page.journal()
        assert await page.block() == {"": "alive"}
        daemon.feed.noted(command_entry(RENT, NOW))
        assert len(await page.journal()) == 1
