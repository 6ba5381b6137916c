"""What happens, told to each open page as server-sent events.

What is told is made once for all pages, at most once a second. Seconds here are those of the wire, not of the daemon's
clock, which may run faster.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress

import structlog
from aiohttp import web

from autoscaler.core.decision import Outcome
from autoscaler.core.errors import NewerRecords, StoreUnavailable
from autoscaler.core.journal import Entry
from autoscaler.runtime.ports import Store
from autoscaler.runtime.report import TickReport
from autoscaler.store.codec import encode_entry
from autoscaler.web.forms import ProblemForm
from autoscaler.web.guarded import problem, without_limit
from autoscaler.web.routes import Answer, Route

MOST_STREAMS = 100
_EVERY_S = 1.0
_ALIVE_S = 15.0  # proxies hang up on what is silent for a minute
_SLOW_S = 10.0
_MOST_FRAMES = 16
_RETRY_S = 2
_FIRST_ENTRIES = 100
_MOST_ENTRIES = 1000
_MEDIA = "text/event-stream"
_ABOUT = (
    "`event: status` has what /api/v1/status answers: at once, and after each tick, at most one a second. "
    "`event: journal` has `entries`, oldest first: at once the newest "
    f"{_FIRST_ENTRIES}, whatever was sent before, then those that are new. It goes on until one side hangs up."
)


class Feed:
    """A listener that keeps the newest entries of the journal, and what nobody was told yet."""

    def __init__(self) -> None:
        self.stirred = asyncio.Event()
        """Set when there is something to tell."""
        self._known: dict[Entry, None] = {}
        self._untold: deque[Entry] = deque(maxlen=_MOST_ENTRIES)
        self._ticked = False

    def ticked(self, report: TickReport) -> None:  # noqa: ARG002 - the board keeps it
        """A tick ended well."""
        self._ticked = True
        self.stirred.set()

    def failed(self, reason: str, now: float) -> None:  # noqa: ARG002 - as above
        """A tick could not be made."""
        self._ticked = True
        self.stirred.set()

    def noted(self, entry: Entry) -> None:
        """Something went into the journal, or was found there."""
        if entry in self._known:
            return
        self._known[entry] = None
        self._untold.append(entry)
        if len(self._known) > _MOST_ENTRIES:
            del self._known[next(iter(self._known))]
        self.stirred.set()

    def called(self, provider: str, outcome: Outcome) -> None:
        """The journal tells of it."""

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """The journal tells of it."""

    def newest(self) -> list[Entry]:
        """The newest entries, oldest first."""
        return sorted(self._known, key=lambda entry: entry.at)[-_FIRST_ENTRIES:]

    def take_untold(self) -> list[Entry]:
        """The entries that nobody was told, which are then taken for told."""
        untold = list(self._untold)
        self._untold.clear()
        return untold

    def take_tick(self) -> bool:
        """Whether there was a tick since this was last asked."""
        ticked, self._ticked = self._ticked, False
        return ticked


class Events:
    """The open streams. `status` gives the bytes that /api/v1/status answers with."""

    def __init__(self, feed: Feed, store: Store, status: Callable[[], Awaitable[bytes]]) -> None:
        self._feed = feed
        self._store = store
        self._status = status
        self._streams: set[_Stream] = set()
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")

    def route(self) -> Route:
        """The one route."""
        return Route(
            method="GET",
            path="/api/v1/events",
            handler=self._serve,
            summary="status and journal as server-sent events, as they happen",
            answers={
                200: Answer(text=_ABOUT, media=(_MEDIA,)),
                503: Answer(
                    text=f"{MOST_STREAMS} pages listen already.",
                    form=ProblemForm,
                    headers={"Retry-After": "Seconds after which to ask again."},
                ),
            },
        )

    async def running(self, _app: web.Application) -> AsyncIterator[None]:
        """Tell what happens while the application runs."""
        task = asyncio.get_running_loop().create_task(self._tell(), name="events")
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def close(self, _app: web.Application) -> None:
        """Hang up on everybody, at once."""
        for stream in self._streams:
            stream.close()

    # --- telling ------------------------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        while True:
            await self._feed.stirred.wait()
            self._feed.stirred.clear()
            try:
                await self._tell_news()
            except Exception:  # noqa: BLE001 - what cannot be shown now may be shown later
                structlog.get_logger(__name__).exception("events_failed")
            await asyncio.sleep(_EVERY_S)  # noqa: TID251 - the time of the wire

    async def _tell_news(self) -> None:
        ticked = self._feed.take_tick()
        if not self._streams:
            self._feed.take_untold()
            return
        await self._look()
        self._tell_entries()
        if ticked:
            self._send(_frame("status", await self._status()))

    def _tell_entries(self) -> None:
        if entries := self._feed.take_untold():
            self._send(_journal(entries))

    def _send(self, frame: bytes) -> None:
        for stream in self._streams:
            stream.put(frame)

    async def _look(self) -> None:
        """Find in the store what others have written: an order of the command line, another daemon that leads."""
        self._looked_at = asyncio.get_running_loop().time()
        with suppress(StoreUnavailable, NewerRecords):
            for entry in reversed(await self._store.journal(_FIRST_ENTRIES)):
                self._feed.noted(entry)

    # --- listening ----------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        async with self._looking:  # those who come at once, as after a restart, look once
            if asyncio.get_running_loop().time() - self._looked_at >= _EVERY_S:
                await self._look()
        if len(self._streams) >= MOST_STREAMS:
            text = f"{MOST_STREAMS} pages listen already; close some, or ask for /api/v1/status now and then"
            return problem(503, text, headers={"Retry-After": "30"})
        response = web.StreamResponse(headers={"Content-Type": _MEDIA, "X-Accel-Buffering": "no"})
        if request.method == "HEAD":
            return response
        self._tell_entries()
        stream = _Stream()
        stream.put(b"retry: %d\n\n" % (1000 * _RETRY_S))
        self._streams.add(stream)  # from here on it hears of ticks: one may come while the status is made
        try:
            stream.put(_frame("status", await self._status()))
            stream.put(_journal(self._feed.newest()))
            without_limit()
            await response.prepare(request)
            await stream.send(response)
        except ConnectionError:
            pass  # whoever listened has left
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams.discard(stream)
        return response


class _Stream:
    """One open page. Who reads too slowly is hung up on: nothing is kept for him but a few frames."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._stirred = asyncio.Event()
        self._open = True

    def put(self, frame: bytes) -> None:
        if len(self._frames) >= _MOST_FRAMES:
            self.close()
        elif self._open:
            self._frames.append(frame)
            self._stirred.set()

    def close(self) -> None:
        self._open = False
        self._frames.clear()
        self._stirred.set()

    async def send(self, response: web.StreamResponse) -> None:
        """Send what comes, until it is closed.

        Raises:
            TimeoutError: a frame was not read in time.
            ConnectionError: the other side has hung up.
        """
        while self._open:
            while self._frames:
                async with asyncio.timeout(_SLOW_S):
                    await response.write(self._frames.popleft())
            self._stirred.clear()
            try:
                async with asyncio.timeout(_ALIVE_S):
                    await self._stirred.wait()
            except TimeoutError:
                self.put(b": alive\n\n")


def _frame(event: str, body: bytes) -> bytes:
    """One event; JSON has no line breaks of its own."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), body)


def _journal(entries: Iterable[Entry]) -> bytes:
    return _frame("journal", b'{"entries": [%b]}' % b", ".join(encode_entry(entry) for entry in entries))
