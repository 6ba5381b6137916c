"""Celery's queues as read here, against Celery itself."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.discover import look
from autoscaler.queues.band import parse_band
from autoscaler.queues.celery import LIBRARY, CeleryQueue, CeleryTier
from autoscaler.queues.library import Keyspace
from autoscaler.queues.source import answered
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import Library, library, settled, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

GPU = CeleryTier(name="gpu", queue="gpu")
PAGE = Path(__file__).parents[2] / "docs" / "queues" / "celery.md"
EXACT = {"task_acks_late": True, "worker_prefetch_multiplier": 1}


def settings(*tiers: CeleryTier, **others: Any) -> CeleryQueue:
    return CeleryQueue(kind="celery", tiers=tiers or (GPU,), **others)


@asynccontextmanager
async def celery_and(url: str, queue: CeleryQueue, **conf: Any) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(PYTHON_QUEUES, "celery_app.py", url, json.dumps(conf)) as celery, open_queue(url, queue) as read:
        yield celery, read


async def test_a_queue_is_seen_once_it_was_used_and_empty_when_all_is_done(redis_url: str) -> None:
    async with celery_and(redis_url, settings(**EXACT)) as (celery, read):
        never = await read.read()
        assert (never.waiting, never.in_flight, never.seen) == (0, 0, False)
        await celery("send", queue="gpu")
        await read.do("RPOP", "gpu")
        empty = await read.read()
        assert (empty.waiting, empty.oldest_wait_s, empty.seen, empty.warnings) == (0, None, True, ())


@pytest.mark.parametrize(
    ("late", "multiplier", "others", "waiting", "in_flight", "kind", "warnings"),
    [
        (False, 4, {}, 6, 4, InFlightKind.DELIVERED, {"executing_hidden", "prefetch_hides_backlog"}),
        (True, 4, {}, 7, 4, InFlightKind.DELIVERED, {"prefetch_hides_backlog"}),
        (True, 1, {}, 10, 1, InFlightKind.EXECUTING, set()),
        (False, 1, {}, 9, 1, InFlightKind.DELIVERED, {"executing_hidden", "prefetch_hides_backlog"}),
        (False, 1, {"worker_disable_prefetch": True}, 10, None, InFlightKind.HIDDEN, {"executing_hidden"}),
    ],
)
async def test_what_unacked_means_depends_on_how_workers_run(
    redis_url: str,
    *,
    late: bool,
    multiplier: int,
    others: dict[str, Any],
    waiting: int,
    in_flight: int | None,
    kind: InFlightKind,
    warnings: set[str],
) -> None:
    conf = {"task_acks_late": late, "worker_prefetch_multiplier": multiplier}
    async with celery_and(redis_url, settings(**conf), **conf, **others) as (celery, read):
        await celery("send", queue="gpu", at=NOW, times=11)
        await celery("start", queue="gpu")
        demand = await settled(read, waiting, in_flight)
        assert (demand.in_flight_kind, set(demand.warnings)) == (kind, warnings)
        assert demand.oldest_in_flight_at is None
        counts = await celery("counts", queue="gpu")
        assert (counts["waiting"], counts["unacked"], counts["active"]) == (waiting, in_flight or 0, 1)
        assert (in_flight or 0) == counts["reserved"] + (counts["active"] if late else 0)


async def test_the_age_is_that_of_the_producers_stamp(redis_url: str) -> None:
    async with celery_and(redis_url, settings()) as (celery, read):
        for age in (90.0, 60.5, 30.0):
            await celery("send", queue="gpu", at=NOW - age)
        for age in (90.0, 60.5, 30.0):
            tier = await read.tier()
            assert (tier.oldest_wait_s, tier.age_source) == (age, AgeSource.EXACT)
            assert await read.trips() == 1
            await read.do("RPOP", "gpu")


@pytest.mark.parametrize(
    "stamped",
    [
        {"at": NOW - 40, "headers": {"timestamp": NOW - 1}, "timestamp": int(NOW - 2)},
        {"headers": {"timestamp": NOW - 40}, "timestamp": int(NOW - 2)},
        {"timestamp": int(NOW - 40)},
    ],
)
async def test_other_stamps_are_accepted_after_the_hooks(redis_url: str, stamped: dict[str, Any]) -> None:
    async with celery_and(redis_url, settings()) as (celery, read):
        await celery("send", queue="gpu", **stamped)
        tier = await read.tier()
        assert (tier.oldest_wait_s, tier.age_source) == (40.0, AgeSource.EXACT)


async def test_the_hook_of_the_documentation_stamps_tasks(redis_url: str) -> None:
    [hook] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    send = f"import celery\ncelery.Celery(broker={redis_url!r}).send_task('work', queue='gpu')"
    sent = await PYTHON_QUEUES.run("python", "-c", f"{hook}\n{send}\nprint(time.time())", env={})
    assert sent.code == 0, sent.err
    async with open_queue(redis_url, settings()) as read:
        tier = await read.tier(float(sent.out) + 30)
        assert tier.oldest_wait_s == pytest.approx(30, abs=5)
        assert tier.age_source is AgeSource.EXACT


async def test_an_age_without_a_stamp_is_estimated_and_at_most_a_tick_above_the_truth(redis_url: str) -> None:
    async with celery_and(redis_url, settings()) as (celery, read):
        await read.read(NOW)
        for tick in range(1, 4):
            await celery("send", queue="gpu")
            await read.read(NOW + 10 * tick)
        for sent_after in (0, 10, 20):
            tier = await read.tier(NOW + 40)
            assert (tier.oldest_wait_s, tier.age_source) == (40 - sent_after, AgeSource.ESTIMATED)
            await read.do("RPOP", "gpu")


async def test_producers_with_the_hook_and_without_it_may_share_a_queue(redis_url: str) -> None:
    async with celery_and(redis_url, settings()) as (celery, read):
        await read.read(NOW)
        await celery("send", queue="gpu")
        await read.read(NOW + 10)
        await celery("send", queue="gpu", at=NOW + 12)
        await celery("send", queue="gpu")
        seen = []
        for _ in range(3):
            tier = await read.tier(NOW + 20)
            seen.append((tier.oldest_wait_s, tier.age_source))
            await read.do("RPOP", "gpu")
        assert seen == [(20, AgeSource.ESTIMATED), (8, AgeSource.EXACT), (10, AgeSource.ESTIMATED)]


async def test_a_task_waits_since_its_eta_and_not_before(redis_url: str) -> None:
    async with celery_and(redis_url, settings()) as (celery, read):
        before = await celery("now")
        await celery("send", queue="gpu", at=before - 500, countdown=60)
        early = await read.read(before + 30)
        assert (early.waiting, early.oldest_wait_s, early.tiers[0].delayed) == (1, 0.0, None)
        assert early.warnings == ("delayed_unknown", "executing_hidden")
        due = await read.read(before + 100)
        assert due.oldest_wait_s == pytest.approx(40, abs=2)
        assert due.warnings == ("executing_hidden",)


async def test_tasks_with_an_eta_that_a_worker_holds_are_told_by_the_longest_held(redis_url: str) -> None:
    async with celery_and(redis_url, settings(**EXACT), **EXACT) as (celery, read):
        now = await celery("now")
        await celery("send", queue="gpu", countdown=60, times=20)
        await celery("start", queue="gpu")
        await settled(read, 0, 20, now)
        await celery("send", queue="gpu", times=6)
        await settled(read, 5, 21, now)
        early, due = await read.read(now), await read.read(now + 100)
        assert (early.in_flight_kind, early.warnings) == (InFlightKind.DELIVERED, ("delayed_unknown",))
        assert (due.in_flight_kind, due.warnings) == (InFlightKind.EXECUTING, ())
        counts = await celery("counts", queue="gpu")
        assert (counts["unacked"], counts["scheduled"], counts["active"]) == (21, 20, 1)


async def test_a_task_that_is_tried_again_is_still_there(redis_url: str) -> None:
    async with celery_and(redis_url, settings(**EXACT), **EXACT) as (celery, read):
        await celery("send", queue="gpu", task="fail", at=NOW)
        worker = await celery("start", queue="gpu")

        async def to_be_tried_again() -> bool:
            return bool((await celery("counts", queue="gpu"))["scheduled"])

        await until(to_be_tried_again)
        assert (await read.read()).in_flight == 1
        await celery("end", pid=worker, how="SIGTERM")
        now = await celery("now")
        again = await read.read(now + 60)
        assert (again.waiting, again.in_flight) == (1, 0)
        assert again.oldest_wait_s == pytest.approx(30, abs=5)


@pytest.mark.parametrize(
    ("prefix", "steps", "sep", "bands", "sent", "expected"),
    [
        ("", (0, 3, 6, 9), "\x06\x16", ("..2", "3.."), (0, 1, 3, 5, 6, 9, 300, -1), (3, 5)),
        ("pfx:", tuple(range(10)), ":", ("0..2", "3..9"), (0, 2, 5, 9, 300), (2, 3)),
    ],
)
async def test_tiers_share_a_queue_by_its_priority_steps(
    redis_url: str,
    *,
    prefix: str,
    steps: tuple[int, ...],
    sep: str,
    bands: tuple[str, str],
    sent: tuple[int, ...],
    expected: tuple[int, int],
) -> None:
    transport = {"global_keyprefix": prefix, "priority_steps": steps, "sep": sep}
    tiers = [
        CeleryTier(name=name, queue="gpu", priorities=parse_band(band))
        for name, band in zip(("pro", "free"), bands, strict=True)
    ]
    queue = settings(*tiers, **transport, **EXACT)
    async with celery_and(redis_url, queue, broker_transport_options=transport, **EXACT) as (celery, read):
        for number, priority in enumerate(sent):
            await celery("send", queue="gpu", priority=priority, at=NOW - 100 + number)
        demand = await read.read()
        assert tuple(tier.waiting for tier in demand.tiers) == expected
        assert demand.tiers[0].oldest_wait_s == 100
        assert demand.waiting == (await celery("counts", queue="gpu"))["waiting"]
        await celery("start", queue="gpu")
        running = await settled(read, len(sent) - 1, 1)
        assert running.tiers[0].waiting == expected[0] - 1
        assert (await celery("counts", queue="gpu"))["unacked"] == 1


async def test_tasks_of_a_killed_worker_are_demand_until_another_has_done_them(redis_url: str) -> None:
    # Only a worker that lives takes them back, after the visibility timeout.
    back_soon = {"visibility_timeout": 1, "unacked_restore_interval": 0.1}
    conf = EXACT | {"broker_transport_options": back_soon}
    async with celery_and(redis_url, settings(**EXACT), **conf) as (celery, read):
        await celery("send", queue="gpu", at=NOW - 5)
        worker = await celery("start", queue="gpu")
        await settled(read, 0, 1)
        await celery("end", pid=worker, how="SIGKILL")
        assert (await read.read()).in_flight == 1
        await celery("start", queue="gpu", name="w@machine-2")

        async def taken_again() -> bool:
            return bool((await celery("counts", queue="gpu"))["active"])

        await until(taken_again)
        assert (await read.read()).in_flight == 1
        await read.do("RPUSH", "test:done", "x")
        await settled(read, 0, 0)


async def test_a_worker_that_is_told_to_end_puts_back_what_it_has_not_started(redis_url: str) -> None:
    late = {"task_acks_late": True, "worker_prefetch_multiplier": 4}
    async with celery_and(redis_url, settings(**late), **late) as (celery, read):
        for age in (40, 30, 20):
            await celery("send", queue="gpu", at=NOW - age)
        worker = await celery("start", queue="gpu", pool="prefork")
        await settled(read, 0, 3)
        await celery("end", pid=worker, how="SIGTERM")
        back = await read.read()
        assert (back.waiting, back.in_flight) == (2, 0)
        assert back.oldest_wait_s in {20, 30}  # it puts them back in any order


async def test_tasks_in_flight_of_other_queues_are_told(redis_url: str) -> None:
    async with celery_and(redis_url, settings(**EXACT), **EXACT) as (celery, read):
        await celery("send", queue="other")
        await celery("start", queue="other")
        await settled(read, 0, 1)
        assert (await read.read()).warnings == ("in_flight_shared",)


async def test_large_tasks_are_fetched_seldom(redis_url: str) -> None:
    async with celery_and(redis_url, settings(**EXACT), **EXACT) as (celery, read):
        await read.read(NOW)
        await celery("send", queue="gpu", at=NOW + 1, times=2, args=["x" * 2_000_000])
        first = await read.read(NOW + 10)
        assert (first.oldest_wait_s, first.warnings) == (9, ())
        assert await read.sent_bytes(NOW + 20) < 20_000
        later = await read.read(NOW + 20)
        assert (later.oldest_wait_s, later.warnings) == (19, ("payload_too_large",))
        await celery("start", queue="gpu")
        await settled(read, 1, 1)
        await read.read(NOW + 30)
        assert await read.sent_bytes(NOW + 40) < 20_000


@pytest.mark.parametrize("events", [False, True])
async def test_a_user_of_the_least_rights_reads_everything_and_can_do_nothing_else(
    redis_url: str, events: bool
) -> None:
    queue = settings(events=events, **EXACT)
    async with (
        celery_and(redis_url, queue, **EXACT) as (celery, _),
        least_user(redis_url, LIBRARY.rights(queue)) as user,
        open_queue(user.url, queue) as read,
    ):
        await read.read(NOW)
        await celery("send", queue="gpu", countdown=60)
        for tick in range(3):
            await read.read(NOW + tick)
        await celery("start", queue="gpu")
        await settled(read, 0, 1)
        await celery("send", queue="gpu", at=NOW, times=3)
        await celery("send", queue="gpu", priority=9)
        assert (await settled(read, 3, 2)).seen
        assert (await read.read(NOW)).warnings == ()
        assert await user.refused() == []
        assert await user.excess() == set()


@pytest.mark.parametrize(("prefix", "db"), [("", ""), ("pfx:", "/3")])
async def test_heartbeats_tell_which_machines_are_busy(redis_url: str, prefix: str, db: str) -> None:
    early = {"worker_prefetch_multiplier": 1}
    queue = settings(global_keyprefix=prefix, events=True, **early)
    transport = {"global_keyprefix": prefix}
    async with celery_and(redis_url + db, queue, broker_transport_options=transport, **early) as (celery, read):
        assert (await read.read()).warnings == ("executing_hidden",)
        await celery("start", queue="cpu", name="celery@machine-2")
        busy = await celery("start", queue="gpu", name="celery@machine-1")
        await celery("send", queue="gpu", times=2)
        demand = await settled(read, 0, 2)
        assert (demand.busy, demand.warnings) == ({"machine-1": 1}, ("prefetch_hides_backlog",))
        counts = await celery("counts", queue="gpu")
        assert (counts["active"], counts["reserved"], counts["unacked"]) == (1, 1, 1)
        await celery("end", pid=busy, how="SIGKILL")
        await read.read(NOW)
        assert (await read.read(NOW + 10)).busy == {}


async def test_a_subscription_that_broke_off_is_taken_up_again(redis_url: str) -> None:
    async with celery_and(redis_url, settings(events=True)) as (celery, read):
        await read.read()
        await celery("start", queue="gpu")
        await celery("send", queue="gpu")

        async def busy() -> bool:
            return (await read.read()).busy == {"machine-1": 1}

        await until(busy)
        await read.do("CLIENT", "KILL", "TYPE", "pubsub")

        async def broken() -> bool:
            return "workers_unread" in (await read.read(NOW + 10)).warnings

        await until(broken)
        await until(busy)


async def test_a_subscription_that_is_refused_is_told_and_harms_nothing(redis_url: str) -> None:
    queue = settings(**EXACT)
    async with (
        celery_and(redis_url, queue) as (celery, _),
        least_user(redis_url, LIBRARY.rights(queue)) as user,
        open_queue(user.url, replace(queue, events=True)) as read,
    ):
        await celery("send", queue="gpu", at=NOW)

        async def told() -> bool:
            return (await read.read()).warnings == ("workers_unread",)

        await until(told)
        demand = await read.read()
        assert (demand.waiting, demand.in_flight, demand.busy) == (1, 0, {})


@pytest.mark.parametrize(("prefix", "sep", "steps"), [("", "\x06\x16", (0, 3, 6, 9)), ("pfx:", ":", tuple(range(10)))])
async def test_its_queues_are_recognised_among_others(
    redis_url: str, prefix: str, sep: str, steps: tuple[int, ...]
) -> None:
    transport = {"global_keyprefix": prefix, "sep": sep, "priority_steps": steps}
    async with celery_and(redis_url, settings(), broker_transport_options=transport) as (celery, read):
        await read.do("RPUSH", "jobs", "1")
        await celery("send", queue="low", times=2)
        await celery("send", queue="high", priority=5)
        await celery("start", queue="low")
        await until(partial(read.do, "HLEN", f"{prefix}unacked"))
        looked = await look(read.link, lambda _seen, _total: None)
        [found] = await answered(read.link, LIBRARY.find(looked.keyspace))
        assert [(tier.name, tier.queue) for tier in found.settings.tiers] == [("high", "high"), ("low", "low")]
        assert (found.settings.global_keyprefix, found.settings.sep) == (prefix, sep)
        assert found.settings.priority_steps == steps
        assert len(found.notes) == (2 if steps == (0, 3, 6, 9) else 3)
        left = set(looked.keyspace.types) - found.keys
        assert left == {"jobs"}
    async with open_queue(redis_url, found.settings) as read:
        assert (await read.read()).tiers[0].waiting == 1


async def test_a_list_named_as_kombu_names_them_is_recognised_without_a_binding() -> None:
    keyspace = Keyspace(
        {"app.gpu\x06\x163": "list", "app.unacked": "hash", "app.unacked_index": "zset", "_kombu.binding.odd": "set"}
    )
    [found], _ = driven(LIBRARY.find(keyspace), lambda _: NoPermissionError("no"))
    assert (found.settings.global_keyprefix, found.settings.tiers[0].queue) == ("app.", "gpu")
