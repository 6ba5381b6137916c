from __future__ import annotations

import json

import pytest

from autoscaler.link import Command
from autoscaler.queues.dramatiq import DramatiqQueue, Unacknowledged
from autoscaler.queues.dramatiq_messages import sent_at
from autoscaler.queues.library import QueueTier
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

SETTINGS = DramatiqQueue(kind="dramatiq", tiers=(QueueTier(name="pro", queue="gpu"),))
LIST, MESSAGES = "dramatiq:gpu.DQ", "dramatiq:gpu.DQ.msgs"


async def delay(queue: QueueUnderTest, name: str, due_at: float | None, size: int = 0) -> None:
    options = {} if due_at is None else {"eta": due_at * 1000}
    await queue.do("HSET", MESSAGES, name, json.dumps({"args": ["x" * size], "options": options}))
    await queue.do("RPUSH", LIST, name)


async def test_all_delayed_messages_are_read_within_a_few_ticks(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for number in range(40):
            await delay(queue, f"m{number}", NOW - 10 + number)
        first = await queue.tier()
        assert (first.waiting, first.delayed, first.waiting_is_lower_bound) == (1, 39, True)
        tier = [await queue.tier() for _ in range(3)][-1]
        assert (tier.waiting, tier.delayed, tier.waiting_is_lower_bound) == (11, 29, False)
        assert (tier.oldest_wait_s, tier.next_due_at) == (10.0, NOW + 1)
        assert await queue.trips() == 1
        await delay(queue, "later", NOW + 0.5)
        assert (await queue.tier()).next_due_at == NOW + 0.5


async def test_messages_that_a_worker_took_are_forgotten(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for name, due_at in (("a", NOW - 60), ("b", NOW + 600), ("c", NOW + 300)):
            await delay(queue, name, due_at)
        await queue.read()
        assert (await queue.tier()).waiting == 1
        await queue.do("LPOP", LIST)
        await delay(queue, "d", NOW + 900)
        await queue.read()
        demand = await queue.read()
        tier = demand.tiers[0]
        assert (tier.waiting, tier.delayed, tier.next_due_at) == (0, 4, NOW + 300)
        assert "delayed_unknown" in demand.warnings


async def test_large_messages_are_read_one_at_a_time(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for name in ("a", "b", "c"):
            await delay(queue, name, NOW + 3600, size=300_000)
        sent = [await queue.sent_bytes(NOW + 5 * tick) for tick in range(24)]
        assert 900_000 < sum(sent) < 1_200_000
        assert max(sent) < 350_000
        assert (await queue.read(NOW + 120)).warnings == ()


@pytest.mark.parametrize("body", ["no json", "[1]", '{"options": {"eta": "soon"}}', '{"options": {}}'])
async def test_a_message_that_does_not_say_when_it_is_due_counts_as_due(redis_url: str, body: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("HSET", MESSAGES, "a", body)
        await queue.do("RPUSH", LIST, "a")
        demand = await queue.read()
        assert (demand.waiting, demand.tiers[0].delayed, demand.warnings) == (1, 0, ("delayed_unknown",))


def test_a_message_is_as_old_as_its_last_failure() -> None:
    assert sent_at(b'{"message_timestamp": 1000, "options": {}}') == 1.0
    assert sent_at(b'{"message_timestamp": 1000, "options": {"requeue_timestamp": 5000}}') == 5.0
    assert sent_at(b"\x80\x04pickle") is None


@pytest.mark.parametrize(
    ("dead", "held_by_each", "lost"),
    [(0, 9, 0), (1, 2, 2), (2, 2, 4), (3, 9, 5), (255, 0, 0), (256, 0, 5)],
)
def test_delayed_messages_of_the_dead_are_in_flight_and_all_of_them_where_the_dead_are_too_many_to_ask(
    dead: int, held_by_each: int, lost: int
) -> None:
    """Five are delayed; the sets of dead workers may name messages that are acknowledged since."""

    def answer(command: Command) -> object:
        return {
            "ZRANGEBYSCORE": [b"worker-%d" % number for number in range(dead)],
            "HLEN": 5 if command[1] == MESSAGES else 0,
            "SCARD": held_by_each,
        }.get(str(command[0]), 0)

    found, asked = driven(Unacknowledged(SETTINGS).read(NOW), answer)
    assert found.count == lost
    assert all(len(step) <= 300 for step in asked)
