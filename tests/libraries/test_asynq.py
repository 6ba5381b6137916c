"""The reader of asynq against keys written as asynq 0.26 writes them; asynq itself, in Go, takes no part."""

from __future__ import annotations

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.queues.asynq import LIBRARY, AsynqQueue
from autoscaler.queues.library import QueueTier
from tests.support.acl import least_user
from tests.support.queues import NOW, QueueUnderTest, open_queue
from tests.support.recognise import recognised

TIERS = (QueueTier(name="pro", queue="critical"), QueueTier(name="free", queue="default"))
SETTINGS = AsynqQueue(kind="asynq", tiers=TIERS)
LEASE_S = 30


class Asynq:
    """What asynq's clients and servers do to the keys of one queue."""

    def __init__(self, queue: QueueUnderTest, name: str = "critical") -> None:
        self._do = queue.do
        self._name = name

    def key(self, what: str) -> str:
        return f"asynq:{{{self._name}}}:{what}"

    async def enqueue(self, task: str, at: float) -> None:
        await self._do("SADD", "asynq:queues", self._name)
        await self._pend(task, at)

    async def schedule(self, task: str, due: float, *, to: str = "scheduled") -> None:
        await self._do("SADD", "asynq:queues", self._name)
        await self._do("HSET", self.key(f"t:{task}"), "msg", "protobuf", "state", to)
        await self._do("ZADD", self.key(to), int(due), task)

    async def forward(self, task: str, at: float) -> None:
        await self._do("ZREM", self.key("scheduled"), task)
        await self._pend(task, at)

    async def _pend(self, task: str, at: float) -> None:
        since = ("pending_since", int(at * 1e9))
        await self._do("HSET", self.key(f"t:{task}"), "msg", "protobuf", "state", "pending", *since)
        await self._do("LPUSH", self.key("pending"), task)

    async def dequeue(self, at: float) -> str:
        task: bytes = await self._do("RPOPLPUSH", self.key("pending"), self.key("active"))
        await self._do("HSET", self.key(f"t:{task.decode()}"), "state", "active")
        await self._do("HDEL", self.key(f"t:{task.decode()}"), "pending_since")
        await self._do("ZADD", self.key("lease"), int(at) + LEASE_S, task.decode())
        return task.decode()

    async def requeue(self, task: str) -> None:
        await self._leave(task)
        await self._do("RPUSH", self.key("pending"), task)
        await self._do("HSET", self.key(f"t:{task}"), "state", "pending")

    async def retry(self, task: str, due: float) -> None:
        await self._leave(task)
        await self.schedule(task, due, to="retry")

    async def collect(self, task: str, group: str, at: float) -> None:
        await self._do("SADD", "asynq:queues", self._name)
        await self._do("HSET", self.key(f"t:{task}"), "msg", "protobuf", "state", "aggregating", "group", group)
        await self._do("ZADD", self.key(f"g:{group}"), int(at), task)
        await self._do("SADD", self.key("groups"), group)

    async def close_group(self, group: str, at: float) -> None:
        await self._do("RENAME", self.key(f"g:{group}"), self.key(f"g:{group}:uuid"))
        await self._do("ZADD", self.key("aggregation_sets"), int(at) + 120, self.key(f"g:{group}:uuid"))
        await self._do("SREM", self.key("groups"), group)

    async def _leave(self, task: str) -> None:
        await self._do("LREM", self.key("active"), 0, task)
        await self._do("ZREM", self.key("lease"), task)


async def test_pending_tasks_wait_since_they_became_pending(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        asynq = Asynq(queue)
        empty = await queue.read()
        assert (empty.waiting, empty.in_flight, empty.seen) == (0, 0, False)
        await asynq.enqueue("first", NOW - 30.5)
        await asynq.enqueue("second", NOW - 20)
        demand = await queue.read()
        assert [tier.waiting for tier in demand.tiers] == [2, 0]
        assert (demand.tiers[0].oldest_wait_s, demand.tiers[0].age_source) == (30.5, AgeSource.EXACT)
        assert (demand.seen, demand.warnings) == (True, ())
        assert await queue.trips() == 1


async def test_a_task_whose_lease_runs_is_in_flight_and_one_whose_lease_ran_out_waits(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        asynq = Asynq(queue)
        await asynq.enqueue("a", NOW - 60)
        await asynq.enqueue("b", NOW - 50)
        await asynq.dequeue(NOW)
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.in_flight_kind) == (1, 1, InFlightKind.EXECUTING)
        assert demand.oldest_wait_s == 50.0
        for late, expected in ((0, (1, 1)), (1, (2, 0))):
            demand = await queue.read(NOW + LEASE_S + late)
            assert (demand.waiting, demand.in_flight) == expected


async def test_scheduled_tasks_and_retries_wait_from_the_time_they_are_due(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        asynq = Asynq(queue)
        await asynq.schedule("soon", NOW + 60)
        await asynq.enqueue("fails", NOW - 5)
        await asynq.retry(await asynq.dequeue(NOW), NOW + 3600)
        demand = await queue.read()
        tier = demand.tiers[0]
        assert (tier.waiting, tier.delayed, tier.next_due_at, demand.in_flight) == (0, 2, NOW + 60, 0)
        tier = await queue.tier(NOW + 100)
        assert (tier.waiting, tier.delayed, tier.oldest_wait_s) == (1, 1, 40.0)
        await asynq.forward("soon", NOW + 101)
        tier = await queue.tier(NOW + 110)
        assert (tier.waiting, tier.delayed, tier.oldest_wait_s) == (1, 1, 9.0)


async def test_a_task_that_a_stopping_server_gave_back_counts_without_its_age(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        asynq = Asynq(queue)
        await asynq.enqueue("a", NOW - 60)
        await asynq.requeue(await asynq.dequeue(NOW))
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.oldest_wait_s) == (1, 0, None)
        assert demand.warnings == ("age_unreadable",)


async def test_a_group_of_tasks_waits_as_one_since_only_a_server_puts_them_together(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        asynq = Asynq(queue)
        for task, group in (("a", "mails"), ("b", "mails"), ("c", "thumbnails")):
            await asynq.collect(task, group, NOW - 30)
        demand = await queue.read()
        assert ([tier.waiting for tier in demand.tiers], demand.warnings) == ([2, 0], ("delayed_unknown",))
        await asynq.close_group("mails", NOW)
        assert (await queue.tier()).waiting == 2  # the server that closed it may have died since
        await asynq.enqueue("d", NOW - 5)
        tier = await queue.tier()
        assert (tier.waiting, tier.oldest_wait_s) == (3, 5.0)


async def test_a_pool_is_paused_when_all_its_queues_are_and_told_of_when_only_some_are(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await Asynq(queue).enqueue("a", NOW)
        await queue.do("SET", Asynq(queue).key("paused"), int(NOW))
        demand = await queue.read()
        assert (demand.waiting, demand.paused, demand.warnings) == (1, False, ("partly_paused",))
        await queue.do("SET", Asynq(queue, "default").key("paused"), int(NOW))
        demand = await queue.read()
        assert (demand.waiting, demand.paused, demand.warnings) == (1, True, ())


async def test_a_queue_that_exists_and_is_empty_was_seen(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("SADD", "asynq:queues", "default")
        assert (await queue.read()).seen


async def test_a_user_with_the_least_rights_reads_everything(redis_url: str) -> None:
    async with (
        open_queue(redis_url, SETTINGS) as admin,
        least_user(redis_url, LIBRARY.rights(SETTINGS)) as user,
        open_queue(user.url, SETTINGS) as queue,
    ):
        asynq = Asynq(admin)
        await asynq.enqueue("a", NOW - 60)
        await asynq.enqueue("b", NOW - 50)
        await asynq.schedule("c", NOW + 60)
        await asynq.dequeue(NOW)
        demand = await queue.read()
        assert (demand.waiting, demand.tiers[0].delayed, demand.in_flight, demand.oldest_wait_s) == (1, 1, 1, 50.0)
        assert await user.refused() == []
        assert await user.excess() == set()


async def test_its_queues_are_recognised(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await Asynq(queue, "default").enqueue("a", NOW)
        await Asynq(queue, "critical").schedule("b", NOW)
        tiers = (QueueTier(name="critical", queue="critical"), QueueTier(name="default", queue="default"))
        assert list(await recognised(redis_url)) == [AsynqQueue(kind="asynq", tiers=tiers)]
