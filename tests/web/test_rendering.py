"""Large views: what the forms write is what the board tells, and the loop goes on while they are made."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable

from autoscaler.web.rendering import Rendering
from autoscaler.web.views import Board
from tests.support.reports import FLEET, NOW, machine, report

MACHINES = [machine(f"m{number:04}", provider_id=f"p{number}") for number in range(1001)]


def a_board() -> Board:
    board = Board(FLEET)
    board.ticked(report(*MACHINES))
    return board


async def turns(made: Awaitable[bytes]) -> int:
    """How often others have their turn until it is made."""
    making = asyncio.ensure_future(made)
    for turn in itertools.count():
        if making.done():
            return turn
        await asyncio.sleep(0)  # noqa: TID251 - no time passes
    raise AssertionError


async def test_all_machines_of_a_large_fleet_are_told_as_the_board_has_them() -> None:
    board = a_board()
    rendering = Rendering(board, lambda: NOW)
    assert json.loads(await rendering.status()) == board.status(NOW)
    assert json.loads(await rendering.instances()) == board.instances(NOW)


async def test_ticks_go_on_while_a_large_fleet_is_rendered() -> None:
    assert await turns(Rendering(a_board(), lambda: NOW).status()) >= 5


async def test_what_is_made_during_a_tick_is_of_one_tick_and_the_next_who_asks_has_the_new_one() -> None:
    board = a_board()
    rendering = Rendering(board, lambda: NOW)
    asked = [asyncio.ensure_future(rendering.status()) for _ in range(2)]
    await asyncio.sleep(0)  # noqa: TID251 - the first has begun, and no machine is made yet
    board.ticked(report(machine("new"), at=NOW))
    old, new = [json.loads(await each) for each in asked]
    assert len(old["instances"]) == len(MACHINES)
    assert [each["id"] for each in new["instances"]] == ["new"]
