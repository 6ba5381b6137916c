"""Several loops of one daemon ask one provider, and it is asked once for what they ask in the same moment."""

from __future__ import annotations

import asyncio

import pytest

from providers.shared import Together


class Vendor:
    """Answers with how often it was asked, once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.given_up = False

    async def list(self) -> int:
        self.asked += 1
        asked = self.asked
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.given_up = True
            raise
        return asked


async def begun(question: Together[int], count: int) -> list[asyncio.Task[int]]:
    """So many who ask in the same turn, once their question was sent."""

    async def ask() -> int:
        return await question()

    tasks = [asyncio.create_task(ask()) for _ in range(count)]
    for _turn in range(3):
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the event loop, no time
    return tasks


async def test_who_asks_in_the_same_turn_shares_an_answer_and_who_asks_later_has_one_of_his_own() -> None:
    vendor = Vendor()
    question = Together(vendor.list)
    early, late = await begun(question, 3), await begun(question, 2)
    vendor.may_answer.set()
    assert await asyncio.gather(*early) == [1, 1, 1]
    assert await asyncio.gather(*late) == [2, 2]


async def test_who_asks_about_different_things_is_answered_for_each() -> None:
    async def bill(day: str) -> str:
        return f"bill of {day}"

    question = Together(bill)
    assert await asyncio.gather(*map(question, ["monday", "tuesday", "monday"])) == [
        "bill of monday",
        "bill of tuesday",
        "bill of monday",
    ]


async def test_a_question_goes_on_while_one_waits_for_it_and_is_given_up_with_the_last() -> None:
    vendor = Vendor()
    first, second = await begun(Together(vendor.list), 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not vendor.given_up
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.sleep(0)  # noqa: TID251 - a turn of the event loop, no time
    assert vendor.given_up


async def test_who_asks_after_all_gave_up_before_it_was_sent_is_answered() -> None:
    vendor = Vendor()
    vendor.may_answer.set()
    question = Together(vendor.list)
    asking = asyncio.ensure_future(question())
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await question() == 1
