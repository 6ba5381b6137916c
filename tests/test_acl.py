"""The rights that `autoscaler queue FILE --acl` prints: the daemon works with them, and has no others."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from redis.exceptions import NoPermissionError

from autoscaler import acl
from autoscaler.cli.order_options import is_led
from autoscaler.core.admission import Notice
from autoscaler.core.demand import Demand
from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.samples import Sample
from autoscaler.core.unit import Unit
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.queues import LIBRARIES, QueueSettings, make_reader
from autoscaler.queues.library import Rights
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from autoscaler.runtime.ports import Changes
from autoscaler.store.keys import Keys
from autoscaler.store.redis import RedisStore
from tests.support.queue_settings import SETTINGS
from tests.support.queues import NOW, as_admin
from tests.support.stores import an_instance

FLEET = "attic"
QUEUE = ListQueue(kind="list", tiers=(ListTier(name="pro", key="jobs:pro"),))
NOBODY = RedisSettings(url="redis://queue")


@dataclass(frozen=True, slots=True)
class User:
    """Somebody of exactly the printed rights."""

    link: RedisLink
    admin: RedisLink

    async def tick(self, *queues: QueueSettings) -> list[Demand]:
        """Read queues as a daemon does."""
        named = {str(number): (self.link, make_reader(queue)) for number, queue in enumerate(queues)}
        readings = await QueueDemand(named).read(NOW)
        assert all(isinstance(reading, Demand) for reading in readings.values()), readings
        return [reading for reading in readings.values() if isinstance(reading, Demand)]

    async def keep_records(self) -> None:
        """All that a daemon does to its own keys."""
        store = RedisStore(self.link, FLEET, "daemon")
        for _take_and_renew in range(2):
            assert (await store.read()).leads
        await store.load()
        entry = Entry(at=NOW, kind=Kind.ALARM, text="x")
        samples = (Sample(at=NOW, until=NOW + 60.0, pools={}),)
        machine = an_instance("i1", Phase.DRAINING)
        await store.commit(
            Changes(instances=(machine,), journal=(entry,), samples=samples, ledger={"2026-11-21": "{}"})
        )
        await store.commit(Changes(forgotten=("i1",), notice=Notice(at=NOW, valid_for_s=60.0)))
        assert len(await store.journal(10)) == 1
        assert len([sample async for sample in store.samples()]) == 1
        await store.give(Order(kind=OrderKind.PAUSE, by="me", at=NOW))
        assert await store.withdraw("pause", by="me")
        await store.resign()
        spread = RedisStore(self.link, FLEET, "daemon", unit=Unit(name="images"))
        for _take_and_renew in range(2):
            assert (await spread.read()).leads
        await spread.commit(Changes(notice=Notice(at=NOW, valid_for_s=60.0)))
        await spread.resign()

    async def may(self, *command: str) -> bool:
        """Whether Redis does what is asked."""
        [reply] = await self.link.execute([command])
        return not isinstance(reply, NoPermissionError)

    async def refused(self) -> list[str]:
        """What was asked in vain; a client tells its name and does not mind."""
        [log] = await self.admin.execute([("ACL", "LOG")])
        entries = [dict(zip(each[::2], each[1::2], strict=True)) for each in log]
        return [name for each in entries if (name := each[b"object"].decode()) != "client|setinfo"]


@asynccontextmanager
async def user_of(url: str, line: str) -> AsyncIterator[User]:
    """The user that a printed line makes."""
    words = shlex.split(line.replace("\\", "\\\\"))
    password = words.index(f">{acl.PASSWORD}")
    words[password] = ">pw"
    await as_admin(url, tuple(words), ("ACL", "LOG", "RESET"), ("SCRIPT", "FLUSH"))
    link, admin = RedisLink(url.replace("redis://", f"redis://{words[2]}:pw@")), RedisLink(url)
    try:
        yield User(link, admin)
    finally:
        await link.close()
        await admin.close()
        await as_admin(url, ("ACL", "DELUSER", words[2]))


def rights(*queues: QueueSettings) -> Iterable[Rights]:
    return [LIBRARIES[queue.kind].rights(queue) for queue in queues]


async def test_the_user_of_a_daemon_reads_every_kind_of_queue_and_keeps_the_records(redis_url: str) -> None:
    async with user_of(redis_url, acl.line(NOBODY, FLEET, rights(*SETTINGS))) as user:
        assert await user.may("PING")
        await user.tick(*SETTINGS)
        await user.keep_records()
        assert await user.refused() == []


async def test_so_does_the_user_of_an_old_redis(redis_url: str) -> None:
    async with user_of(redis_url, acl.old_line(NOBODY, FLEET, rights(*SETTINGS))) as user:
        await user.tick(*SETTINGS)
        await user.keep_records()
        assert await user.refused() == []


@pytest.mark.parametrize("command", re.findall(r"\+(?!ping)\S+", acl.store_line(NOBODY, FLEET)))
async def test_of_the_commands_for_the_records_none_can_be_left_out(redis_url: str, command: str) -> None:
    line = " ".join(word for word in acl.store_line(NOBODY, FLEET).split() if word != command)
    async with user_of(redis_url, line) as user:
        with pytest.raises(StoreUnavailable):
            await user.keep_records()


async def test_whoever_gives_an_order_sees_whether_a_daemon_leads(redis_url: str) -> None:
    async with user_of(redis_url, acl.store_line(NOBODY, FLEET)) as user:
        assert not await is_led(user.link, FLEET)
        await RedisStore(user.link, FLEET, "daemon").read()
        assert await is_led(user.link, FLEET)
        assert await user.refused() == []


async def test_two_users_share_the_work_where_queue_and_store_are_apart(redis_url: str) -> None:
    async with user_of(redis_url, acl.queue_line(NOBODY, rights(*SETTINGS))) as reader:
        await reader.tick(*SETTINGS)
        assert not await reader.may("SET", Keys(FLEET).lease, "x")
    async with user_of(redis_url, acl.store_line(NOBODY, FLEET)) as keeper:
        await keeper.keep_records()
        assert not await keeper.may("LLEN", "jobs:pro")


@pytest.mark.parametrize(
    "writing",
    [("DEL", "jobs:pro"), ("SET", "jobs:pro", "x"), ("RPUSH", "jobs:pro", "x"), ("HSET", "jobs:pro", "a", "b")],
    ids=lambda command: command[0],
)
async def test_a_write_to_the_queue_is_refused(redis_url: str, writing: tuple[str, ...]) -> None:
    await as_admin(redis_url, ("RPUSH", "jobs:pro", "a job"))
    for line in (acl.line(NOBODY, FLEET, rights(QUEUE)), acl.queue_line(NOBODY, rights(QUEUE))):
        async with user_of(redis_url, line) as user:
            assert not await user.may(*writing)
            await user.may("EVAL", "return redis.call(unpack(ARGV))", "0", *writing)
            assert await user.admin.execute([("LRANGE", "jobs:pro", 0, -1)]) == [[b"a job"]]


async def test_nobody_elses_keys_can_be_read(redis_url: str) -> None:
    async with user_of(redis_url, acl.line(NOBODY, FLEET, rights(QUEUE))) as user:
        assert not await user.may("LLEN", "jobs:free")
        assert not await user.may("HGETALL", Keys("others").instances)
        assert not await user.may("KEYS", "*")


async def test_keys_that_a_command_line_cannot_hold_are_still_read(redis_url: str) -> None:
    names = ("my jobs", 'a"b', "a(b)", "gpü", "a*b", "q\x06\x163")
    queue = ListQueue(kind="list", tiers=tuple(ListTier(name=f"t{n}", key=key) for n, key in enumerate(names)))
    async with user_of(redis_url, acl.line(NOBODY, FLEET, rights(queue))) as user:
        await user.tick(queue)
        assert not await user.may("LLEN", "axxb")


@pytest.mark.parametrize(
    ("redis", "user"),
    [
        (RedisSettings(url="redis://queue"), "autoscaler"),
        (RedisSettings(url="redis://default:secret@queue"), "autoscaler"),
        (RedisSettings(url="redis://gpu:secret@queue"), "gpu"),
        (RedisSettings(url="redis://queue", username="gpu"), "gpu"),
    ],
)
def test_the_user_is_the_one_that_is_configured_and_never_everybody(redis: RedisSettings, user: str) -> None:
    line = acl.line(redis, FLEET, rights(QUEUE))
    assert line.startswith(f"ACL SETUSER {user} reset on >{acl.PASSWORD} ")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("url", "needs"),
    [
        ("redis://queue", set()),
        ("redis://queue/3", {"+select"}),
        ("redis://queue?client_name=gpus", {"+client|setname"}),
        ("redis+cluster://queue", {"+cluster|slots", "+asking"}),
    ],
)
def test_what_a_connection_needs_of_its_own_is_allowed(url: str, needs: set[str]) -> None:
    usual = set(acl.queue_line(NOBODY, rights(QUEUE)).split())
    assert set(acl.queue_line(RedisSettings(url=url), rights(QUEUE)).split()) - usual == needs
