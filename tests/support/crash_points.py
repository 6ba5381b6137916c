"""The daemon with a name for every await around a provider call; at the one that it is told it kills itself.

    python -m tests.support.crash_points ORIGIN SPEED FILE PASSED LAST

Its clock shows ORIGIN plus SPEED times what has passed since then, so that all daemons of a drill share one time. The
names of the points it passes are appended to the file PASSED, and at the one that the file LAST names by then it ends
as by `kill -9`. Nothing of this is in the daemon: the classes through which it reaches Redis and the providers are
wrapped from here.

A point is `WHAT: before` or `WHAT: after`, where WHAT is a call of a provider (`rent`), a request to one (`PUT
/api/v0/asks/…`, which also has `WHAT: on the wire`), what is read of the store, or the phases whose records are stored
(`stored planned → renting`).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import aiohttp

from autoscaler import daemon
from autoscaler.config import load_config
from autoscaler.core.instance import Instance
from autoscaler.core.market import Offer
from autoscaler.runtime.clock import LoopClock, SystemClock
from autoscaler.runtime.ports import Changes, Saved
from autoscaler.store.redis import RedisStore
from autoscaler.telemetry.logging import configure_logging
from providers.base import Provider
from providers.http import Request
from providers.mock import MockProvider
from providers.session import Session

AUCTION = "auction"
"""The file beside the configuration by which the mock market takes bids."""
_CALLS = [name for name, call in vars(Provider).items() if iscoroutinefunction(call) and name != "close"]
_IDS = re.compile(r"[^/]*\d{3,}[^/]*|(?<=pods/)[^/]+")
"""The parts of a path that name one machine or offer."""

Names = Callable[..., Iterable[str]]


class Points:
    """The points of a process's life: each is noted, and at one it ends."""

    def __init__(self, passed: Path, last: Path) -> None:
        self._passed = passed
        self._last = last

    def reach(self, name: str) -> None:
        """The process is at this point."""
        with self._passed.open("a") as passed:
            passed.write(f"{name}\n")
        if name == self._last.read_text():
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: type, method: str, names: Names) -> None:
        """Make points before and after each call of a method, under the names that its arguments give."""
        inner = getattr(owner, method)

        async def passing(this: Any, *arguments: Any, **options: Any) -> Any:
            called = list(names(*arguments, **options))
            for name in called:
                self.reach(f"{name}: before")
            try:
                return await inner(this, *arguments, **options)
            finally:
                for name in called:
                    self.reach(f"{name}: after")

        setattr(owner, method, passing)


class Stored:
    """What each commit stores, by the phases of its records."""

    def __init__(self) -> None:
        self._known: dict[str, Instance] = {}

    def learn(self, records: Iterable[Instance]) -> None:
        """What was stored before this process."""
        self._known |= {record.id: record for record in records}

    def __call__(self, changes: Changes) -> Iterator[str]:
        """The names of a commit: one for each record that is new, is in another phase, or whose call was answered."""
        for record in changes.instances:
            old = self._known.get(record.id)
            self._known[record.id] = record
            if old is None:
                yield f"stored {record.phase}"
            elif old.phase is not record.phase:
                yield f"stored {old.phase} → {record.phase}"
            elif record.attempts > old.attempts:
                yield f"stored {record.phase}, answered"
            elif record.usd_per_hour > old.usd_per_hour:
                yield f"stored {record.phase}, with a higher bid"


def _asked(request: Request) -> list[str]:
    return [f"{request.method} {_IDS.sub('…', request.path)}"]


def name_the_awaits(points: Points) -> None:
    """Wrap all that the daemon awaits of Redis and of providers."""
    for call in _CALLS:
        points.around(MockProvider, call, lambda *_, call=call, **__: [call])
    points.around(Session, "send", _asked)
    points.around(RedisStore, "read", lambda: ["read"])
    stored, load = Stored(), RedisStore.load

    async def loading(this: RedisStore) -> Saved:
        saved = await load(this)
        stored.learn(saved.instances)
        return saved

    setattr(RedisStore, "load", loading)  # noqa: B010 - mypy knows methods that are assigned for mistakes
    points.around(RedisStore, "load", lambda: ["load"])
    points.around(RedisStore, "commit", stored)
    send = aiohttp.ClientRequest.send

    async def sending(this: aiohttp.ClientRequest, *arguments: Any) -> aiohttp.ClientResponse:
        response = await send(this, *arguments)
        await asyncio.sleep(0)  # noqa: TID251 - the turn in which the body is written
        points.reach(f"{this.method} {_IDS.sub('…', this.url.path)}: on the wire")
        return response

    aiohttp.ClientRequest.send = sending  # type: ignore[assignment]


def let_the_mock_take_bids(opened: Path) -> None:
    """Have the mock's spot offers take bids once a file is there, as where machines go to the highest."""
    inner = MockProvider.list_offers

    async def offers(this: MockProvider, *arguments: Any) -> Sequence[Offer]:
        takes = opened.exists()  # noqa: ASYNC240 - a look at a small file
        return [replace(offer, takes_bids=takes and offer.buy == "spot") for offer in await inner(this, *arguments)]

    setattr(MockProvider, "list_offers", offers)  # noqa: B010 - mypy knows methods that are assigned for mistakes


if __name__ == "__main__":
    origin, speed, file, passed, last = sys.argv[1:]
    config = load_config(Path(file), os.environ)
    configure_logging(config.log.format, config.log.level)
    let_the_mock_take_bids(Path(file).with_name(AUCTION))
    name_the_awaits(Points(Path(passed), Path(last)))
    began, factor = float(origin), float(speed)
    clock = LoopClock(epoch=began + factor * (SystemClock().now() - began), speed=factor)
    asyncio.run(daemon.run(config, clock, lambda _app: []))
