"""Real job-queue libraries under a test's control: a script that uses one, run where it is installed."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from autoscaler.core.demand import Demand
from tests.support.environments import Environment
from tests.support.queues import NOW, QueueUnderTest

SCRIPTS = Path(__file__).parents[1] / "libraries" / "scripts"
EXAMPLES = Path(__file__).parents[2] / "deploy" / "workers"
_PATIENCE_S = 30.0


class Library:
    """A script that answers each line of JSON, `{"do": "enqueue", …}`, with another: `{"gives": …}`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, do: str, **what: Any) -> Any:
        """Have it do something; gives what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), _PATIENCE_S)
        assert line, f"the script ended in {do!r}"
        answer = json.loads(line)
        assert "gives" in answer, answer.get("failed")
        return answer["gives"]

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid


@asynccontextmanager
async def library(environment: Environment, script: str, *arguments: str) -> AsyncIterator[Library]:
    """A script of `tests/libraries/scripts` at work. It ends when its input ends; what it left behind is killed."""
    environment.require()
    process = await asyncio.create_subprocess_exec(
        *environment.command(SCRIPTS / script, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield Library(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def until(condition: Any, *, tries: int = 600) -> Any:
    """What an async condition gives once it holds; real workers need real time."""
    for _ in itertools.repeat(None, tries):
        if held := await condition():
            return held
        await asyncio.sleep(0.05)  # noqa: TID251 - another process's time cannot be made virtual
    raise AssertionError("it never came to hold")


async def settled(read: QueueUnderTest, waiting: int, in_flight: int | None, at: float = NOW) -> Demand:
    """The reading once it shows these numbers."""

    async def demand() -> Demand | None:
        now = await read.read(at)
        return now if (now.waiting, now.in_flight) == (waiting, in_flight) else None

    found: Demand = await until(demand)
    return found
