"""What is recognised in a Redis, and what is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.config import load_config
from autoscaler.core.demand import AgeSource, Demand
from autoscaler.core.errors import StoreUnavailable
from autoscaler.discover import Discovery, discover, look
from autoscaler.link import RedisLink
from autoscaler.queues import LIBRARIES
from autoscaler.queues.base import READ_ONLY
from autoscaler.queues.library import Keyspace
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.stamp import Timestamp
from autoscaler.queues.stream import StreamQueue, StreamTier
from autoscaler.queues.zset import ZsetQueue, ZsetTier
from autoscaler.write_config import Draft, Fleet, as_yaml
from tests.queues.test_replies import REPLIES
from tests.support.queues import NOW, as_admin, driven
from tests.support.stores import HandClock


@pytest.fixture
def client(redis_url: str) -> Any:
    with redis.Redis.from_url(redis_url) as client:
        yield client


async def found(url: str) -> Discovery:
    link = RedisLink(url)
    try:
        return await discover(link, HandClock(), lambda _seen, _of: None)
    finally:
        await link.close()


async def only(url: str) -> Any:
    """The settings of the one queue that is found."""
    [queue] = (await found(url)).queues
    return queue.found.settings


def job(at: float) -> str:
    return json.dumps({"id": 1, "meta": {"createdAt": at * 1000.0}})


# --- lists ------------------------------------------------------------------------------------------------------------


async def test_lists_of_one_prefix_are_the_tiers_of_one_queue_in_the_order_of_their_names(
    redis_url: str, client: redis.Redis
) -> None:
    for tier in ("free", "pro", "premium"):
        client.rpush(f"jobs:{tier}", "a", "b")
    client.rpush("speech", "x")
    queues = (await found(redis_url)).queues
    assert [[(tier.name, tier.key) for tier in each.found.settings.tiers] for each in queues] == [
        [("pro", "jobs:pro"), ("premium", "jobs:premium"), ("free", "jobs:free")],
        [("speech", "speech")],
    ]
    assert [each.name for each in queues] == ["jobs", "speech"]
    assert "the order of the tiers, most urgent first, is guessed from their names" in queues[0].found.notes


@pytest.mark.parametrize("pop_side", ["left", "right"])
async def test_the_times_in_jobs_tell_the_field_and_the_end_that_is_popped(
    redis_url: str, client: redis.Redis, pop_side: str
) -> None:
    oldest_first = [job(NOW - 20), job(NOW - 10)]
    client.rpush("jobs:pro", *(oldest_first if pop_side == "left" else reversed(oldest_first)))
    [queue] = (await found(redis_url)).queues
    assert queue.found.settings == ListQueue(
        kind="list",
        tiers=(ListTier(name="jobs-pro", key="jobs:pro"),),
        pop_side=pop_side,  # type: ignore[arg-type]
        timestamp=Timestamp(path="meta.createdAt"),
    )
    assert isinstance(queue.demand, Demand)
    assert queue.demand.oldest_wait_s == 20.0
    assert not any("pop_side" in note for note in queue.found.notes)


@pytest.mark.parametrize("jobs", [["a", "b"], [job(NOW)], ['{"id": 1795286000}', "[]"], [job(NOW), "{}"]])
async def test_where_jobs_do_not_tell_the_end_it_says_that_it_guesses(
    redis_url: str, client: redis.Redis, jobs: list[str]
) -> None:
    client.rpush("jobs", *jobs)
    [queue] = (await found(redis_url)).queues
    assert any(note.startswith("pop_side is guessed") for note in queue.found.notes)


async def test_an_age_that_takes_two_looks_is_known(redis_url: str, client: redis.Redis) -> None:
    client.rpush("jobs", "a", "b")
    [queue] = (await found(redis_url)).queues
    assert isinstance(queue.demand, Demand)
    assert queue.demand.oldest_wait_s == 1.0


async def test_a_field_that_some_tier_lacks_is_not_relied_upon(redis_url: str, client: redis.Redis) -> None:
    client.rpush("jobs:pro", job(NOW - 20), job(NOW))
    client.rpush("jobs:free", "a", "b")
    assert (await only(redis_url)).timestamp is None


@pytest.mark.parametrize("key", ["jobs:processing", "jobs-in_flight", "processing:jobs", "jobs:pro:active"])
async def test_keys_of_jobs_at_work_are_counted_as_in_flight_and_are_no_queue(
    redis_url: str, client: redis.Redis, key: str
) -> None:
    client.rpush("jobs:pro", "a")
    client.rpush("jobs:free", "a")
    client.sadd(key, "x", "y")
    [queue] = (await found(redis_url)).queues
    assert queue.found.settings.in_flight_keys == (key,)
    assert isinstance(queue.demand, Demand)
    assert queue.demand.in_flight == 2


@pytest.mark.parametrize(
    "key",
    ["cache:jobs", "jobs:results", "app.log", "lock-list", "user:4711:jobs", "jobs:9f86d081884c", "failed", "history"],
)
async def test_lists_that_sound_like_something_else_are_left_out_and_named(
    redis_url: str, client: redis.Redis, key: str
) -> None:
    client.rpush(key, "a")
    discovery = await found(redis_url)
    assert discovery.queues == ()
    assert discovery.left_out == {"list": (key,)}


async def test_of_two_times_of_one_name_the_one_that_is_the_jobs_own_is_taken(
    redis_url: str, client: redis.Redis
) -> None:
    client.rpush("jobs", json.dumps({"order": {"created_at": NOW - 900}, "created_at": NOW}))
    assert (await only(redis_url)).timestamp == Timestamp(path="created_at")


async def test_of_very_many_lists_the_first_are_offered_and_the_others_named(
    redis_url: str, client: redis.Redis
) -> None:
    for number in range(22):
        client.rpush(f"list{number:02}", "a")
    discovery = await found(redis_url)
    assert (len(discovery.queues), discovery.left_out) == (20, {"list": ("list20", "list21")})


async def test_a_field_whose_name_no_path_can_say_is_not_relied_upon(redis_url: str, client: redis.Redis) -> None:
    client.rpush("jobs", json.dumps({"created.at": NOW}))
    assert (await only(redis_url)).timestamp is None


async def test_a_list_for_each_of_many_is_no_queue_of_many_tiers(redis_url: str, client: redis.Redis) -> None:
    for name in "abcdefghi":
        client.rpush(f"inbox:{name}", "a")
    assert (await found(redis_url)).queues == ()


# --- streams and sorted sets ------------------------------------------------------------------------------------------


async def test_streams_count_only_where_a_consumer_group_reads_them(redis_url: str, client: redis.Redis) -> None:
    for key in ("speech:high", "speech:low", "clicks"):
        client.xadd(key, {"job": "1"})
    for key in ("speech:high", "speech:low"):
        client.xgroup_create(key, "workers", "0")
    discovery = await found(redis_url)
    [queue] = discovery.queues
    tiers = (StreamTier(name="high", key="speech:high"), StreamTier(name="low", key="speech:low"))
    assert queue.found.settings == StreamQueue(kind="stream", tiers=tiers, group="workers")
    assert isinstance(queue.demand, Demand)
    assert queue.demand.waiting == 2
    assert discovery.left_out == {"stream": ("clicks",)}


async def test_of_several_groups_the_one_with_most_consumers_is_taken_with_a_note(
    redis_url: str, client: redis.Redis
) -> None:
    client.xadd("jobs", {"job": "1"})
    for group, consumers in (("audit-trail", 1), ("workers", 2)):
        client.xgroup_create("jobs", group, "0")
        for number in range(consumers):
            client.xgroup_createconsumer("jobs", group, f"c{number}")
    [queue] = (await found(redis_url)).queues
    assert queue.found.settings.group == "workers"
    assert queue.found.notes == ("of several consumer groups, 'workers' has most consumers",)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1.0), ("ms", 1e3), ("us", 1e6)])
async def test_a_sorted_set_by_time_is_told_by_its_scores(
    redis_url: str, client: redis.Redis, unit: Any, factor: float
) -> None:
    client.zadd("render:queue", {"a": (NOW - 30) * factor, "b": (NOW + 30) * factor})
    [queue] = (await found(redis_url)).queues
    tiers = (ZsetTier(name="render-queue", key="render:queue"),)
    assert queue.found.settings == ZsetQueue(kind="zset", tiers=tiers, score="time", unit=unit)
    assert isinstance(queue.demand, Demand)
    [tier] = queue.demand.tiers
    assert (tier.waiting, tier.delayed, tier.age_source) == (1, 1, AgeSource.CONFIGURED)


async def test_a_sorted_set_by_priority_is_told_by_its_scores_and_the_time_by_its_jobs(
    redis_url: str, client: redis.Redis
) -> None:
    client.zadd("tasks", {job(NOW - 5): 1, job(NOW): 9})
    queue = await only(redis_url)
    assert (queue.score, queue.timestamp) == ("priority", Timestamp(path="meta.createdAt"))


async def test_scores_of_which_one_is_no_time_are_priorities(redis_url: str, client: redis.Redis) -> None:
    client.zadd("tasks", {"a": 3, "b": NOW})
    assert (await only(redis_url)).score == "priority"


async def test_a_sorted_set_by_time_needs_no_time_in_its_jobs(redis_url: str, client: redis.Redis) -> None:
    client.zadd("tasks", {job(NOW - 5): NOW - 5})
    queue = await only(redis_url)
    assert (queue.score, queue.timestamp) == ("time", None)


@pytest.mark.parametrize("key", ["scores", "tasks:leaderboard", "users:by-age"])
async def test_a_sorted_set_that_does_not_sound_like_a_queue_is_left_out(
    redis_url: str, client: redis.Redis, key: str
) -> None:
    client.zadd(key, {"a": 1})
    assert (await found(redis_url)).left_out == {"zset": (key,)}


# --- any library ------------------------------------------------------------------------------------------------------

KEYS = {
    **dict.fromkeys(("rq:queues", "queues", "asynq:queues", "_kombu.binding.q", "processes"), "set"),
    **dict.fromkeys(("bull:q:meta", "unacked", "dramatiq:q.msgs", "saq:job:q:1", "d:runs:1", "sidekiq:x"), "hash"),
    **dict.fromkeys(
        ("jobs:pro", "jobs:free", "queue:q", "huey.redis.q", "taskiq", "bull:q:wait", "saq:q:queued"), "list"
    ),
    **dict.fromkeys(("tasks", "arq:queue", "huey.schedule.q", "unacked_index", "d:queue", "saq:q:incomplete"), "zset"),
    **dict.fromkeys(("speech", "streaq:q:queues:normal", "d:stream", "taskiq:s", "bull:q:events"), "stream"),
    **dict.fromkeys(("arq:queue:health-check", "arq:job:a", "bull:q:id", "dramatiq:x"), "string"),
}


@pytest.mark.parametrize("kind", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_no_reply_makes_a_search_raise_or_write_and_what_it_finds_is_a_configuration(
    kind: str, data: st.DataObject
) -> None:
    keyspace = Keyspace({key: KEYS[key] for key in data.draw(st.sets(st.sampled_from(sorted(KEYS))))})
    found, asked = driven(LIBRARIES[kind].find(keyspace), lambda _: data.draw(REPLIES))
    assert len(asked) <= 2
    assert {command[0] for commands in asked for command in commands} <= READ_ONLY
    for each in found:
        text = as_yaml(Fleet(redis="embedded", pools=(Draft(name="images", queue=each.settings),)))
        assert load_config(text, {}).pools["images"].queue == each.settings


# --- the look ---------------------------------------------------------------------------------------------------------


async def test_the_autoscalers_own_keys_are_never_offered(redis_url: str, client: redis.Redis) -> None:
    client.rpush("autoscaler:{attic}:jobs", "a")
    discovery = await found(redis_url)
    assert (discovery.queues, discovery.left_out, discovery.looked.seen) == ((), {}, 1)


async def test_a_key_that_a_library_claims_is_not_offered_to_the_next(redis_url: str, client: redis.Redis) -> None:
    client.sadd("rq:queues", "rq:queue:gpu")
    client.rpush("rq:queue:gpu", "some-job")
    [queue] = (await found(redis_url)).queues
    assert (queue.kind, queue.name) == ("rq", "rq")


async def test_several_queues_of_a_library_are_called_by_their_own_names(redis_url: str, client: redis.Redis) -> None:
    for queue in ("pictures", "speech-high", "speech-low"):
        client.hset(f"bull:{queue}:meta", "version", "bullmq:6.7.0")
    assert {each.name for each in (await found(redis_url)).queues} == {"pictures", "speech"}
    client.delete("bull:pictures:meta")
    assert [each.name for each in (await found(redis_url)).queues] == ["bullmq"]


async def test_names_that_are_no_text_are_passed_over(redis_url: str, client: redis.Redis) -> None:
    client.rpush(b"\xff\xfejobs", "a")
    client.rpush("jobs", "a")
    discovery = await found(redis_url)
    assert (len(discovery.queues), discovery.left_out, discovery.looked.seen) == (1, {}, 2)


async def test_it_asks_only_what_looks(redis_url: str, client: redis.Redis) -> None:
    client.rpush("jobs:pro", "a")
    client.zadd("tasks", {"a": 1})
    client.xadd("speech", {"job": "1"})
    client.config_resetstat()
    await found(redis_url)
    asked = {name.removeprefix("cmdstat_").partition("|")[0].upper() for name in client.info("commandstats")}
    assert "SCAN" in asked
    assert asked - READ_ONLY <= {"SCAN", "DBSIZE", "INFO", "CONFIG", "CLIENT"}


async def test_a_look_is_bounded_and_says_that_it_ended_early(redis_url: str, client: redis.Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(5000):
        pipeline.set(f"key:{number}", "")
    pipeline.execute()
    link = RedisLink(redis_url)
    told: list[tuple[int, int]] = []
    partly = await look(link, lambda seen, of: told.append((seen, of)), most=2000)
    whole = await look(link, lambda _seen, _of: None)
    await link.close()
    assert not partly.complete
    assert 2000 <= partly.seen < 5000
    assert told[-1] == (partly.seen, 5000)
    assert (whole.complete, whole.seen) == (True, 5000)


async def test_a_user_who_may_not_look_is_told_what_he_lacks(redis_url: str) -> None:
    await as_admin(redis_url, ("ACL", "SETUSER", "blind", "reset", "on", ">pw", "+ping", "+dbsize"))
    refused = pytest.raises(StoreUnavailable, match=r"refused a look at its keys: .*~\* \+scan \+dbsize \+type")
    with refused:
        await found(redis_url.replace("redis://", "redis://blind:pw@"))
    await as_admin(redis_url, ("ACL", "DELUSER", "blind"))


@pytest.mark.parametrize("rights", ["~* +@all -type", "~other:* +@all"])
async def test_a_user_who_may_look_at_no_key_is_told_so(redis_url: str, client: redis.Redis, rights: str) -> None:
    client.rpush("jobs:pro", "a")
    await as_admin(redis_url, ("ACL", "SETUSER", "blind", "reset", "on", ">pw", *rights.split()))
    with pytest.raises(StoreUnavailable, match="refused a look at its keys"):
        await found(redis_url.replace("redis://", "redis://blind:pw@"))
    await as_admin(redis_url, ("ACL", "DELUSER", "blind"))


async def test_keys_that_a_user_may_not_read_are_passed_over_and_counted(redis_url: str, client: redis.Redis) -> None:
    for key in ("jobs:pro", "secret:jobs", "other"):
        client.rpush(key, "a")
    await as_admin(redis_url, ("ACL", "SETUSER", "guest", "reset", "on", ">pw", "~jobs:*", "+@all"))
    discovery = await found(redis_url.replace("redis://", "redis://guest:pw@"))
    await as_admin(redis_url, ("ACL", "DELUSER", "guest"))
    assert [each.name for each in discovery.queues] == ["jobs-pro"]
    assert (discovery.looked.seen, discovery.looked.refused, discovery.left_out) == (3, 2, {})
