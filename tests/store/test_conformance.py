"""What every store does alike."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.core.admission import Admission, Notice
from autoscaler.core.decision import Reason
from autoscaler.core.errors import LeaseLost
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.samples import Sample
from autoscaler.runtime.ports import Changes, Saved, Store
from autoscaler.store.rules import HISTORY_LENGTH, JOURNAL_LENGTH, LEDGER_DAYS
from tests.support.stores import INSTANCES, SAMPLES, Backend, an_instance

MOMENTS = itertools.count()
"""No two samples begin at the same one."""


async def leading(backend: Backend, owner: str = "a") -> Store:
    store = backend.open(owner)
    assert (await store.read()).leads
    return store


async def test_the_first_to_ask_leads_and_the_second_does_not(backend: Backend) -> None:
    await leading(backend, "a")
    assert not (await backend.open("b").read()).leads


async def test_each_read_renews_the_lease(backend: Backend) -> None:
    first, second = await leading(backend, "a"), backend.open("b")
    for _ in range(3):
        assert (await first.read()).leads
        assert not (await second.read()).leads


async def test_an_expired_lease_is_taken_over(backend: Backend) -> None:
    first, second = await leading(backend, "a"), backend.open("b")
    await backend.expire_lease()
    assert (await second.read()).leads
    assert not (await first.read()).leads


async def test_a_stale_writer_changes_nothing(backend: Backend) -> None:
    stale, fresh = await leading(backend, "a"), backend.open("b")
    await stale.commit(Changes(instances=(an_instance(),), documents={"d": "1"}, ledger={"2026-11-21": "{}"}))
    before = await stale.load()
    await backend.expire_lease()
    await fresh.read()
    with pytest.raises(LeaseLost):
        await stale.commit(
            Changes(
                instances=(an_instance("i2"), an_instance(phase=Phase.WARM)),
                forgotten=("i1",),
                journal=(Entry(at=1.0, kind=Kind.ALARM, text="stale"),),
                documents={"d": "2"},
                ledger={"2026-11-21": '{"a": 1}'},
            )
        )
    assert await fresh.load() == before
    assert list(await fresh.journal(10)) == []


async def test_a_writer_whose_lease_expired_changes_nothing_even_when_nobody_took_it(backend: Backend) -> None:
    store = await leading(backend)
    await backend.expire_lease()
    with pytest.raises(LeaseLost):
        await store.commit(Changes(instances=(an_instance(),)))
    assert await store.load() == Saved()


async def test_a_daemon_whose_lease_expired_leads_on_when_nobody_took_it(backend: Backend) -> None:
    store = await leading(backend)
    await backend.expire_lease()
    assert (await store.read()).leads
    await store.commit(Changes(instances=(an_instance(),)))


async def test_a_daemon_learns_that_another_led_in_between(backend: Backend) -> None:
    slept, other = await leading(backend, "a"), backend.open("b")
    await backend.expire_lease()
    await other.read()
    await other.resign()
    assert not (await slept.read()).leads
    assert not slept.may_act()
    assert (await slept.read()).leads


async def test_a_resigned_lease_is_free_at_once(backend: Backend) -> None:
    first = await leading(backend, "a")
    await first.resign()
    assert not first.may_act()
    await leading(backend, "b")
    with pytest.raises(LeaseLost):
        await first.commit(Changes(documents={"d": "1"}))


async def test_resigning_leaves_the_lease_of_another_alone(backend: Backend) -> None:
    first, second = await leading(backend, "a"), backend.open("b")
    await second.resign()
    assert not (await second.read()).leads
    await first.commit(Changes(documents={"d": "1"}))


async def test_nothing_is_written_before_the_lease_is_held(backend: Backend) -> None:
    store = backend.open("a")
    with pytest.raises(LeaseLost):
        await store.commit(Changes(documents={"d": "1"}))
    assert await store.load() == Saved()


async def test_only_the_leader_may_act(backend: Backend) -> None:
    first, second = backend.open("a"), backend.open("b")
    assert not first.may_act()
    await first.read()
    await second.read()
    assert first.may_act()
    assert not second.may_act()


async def test_a_refused_commit_ends_the_right_to_act(backend: Backend) -> None:
    stale, fresh = await leading(backend, "a"), backend.open("b")
    await backend.expire_lease()
    await fresh.read()
    with pytest.raises(LeaseLost):
        await stale.commit(Changes(documents={"d": "1"}))
    assert not stale.may_act()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(INSTANCES, max_size=5, unique_by=lambda record: record.id))
async def test_every_field_of_a_record_comes_back(backend: Backend, records: list[Instance]) -> None:
    store = backend.open("a")
    await store.read()
    await store.commit(Changes(instances=tuple(records)))
    loaded = {record.id: record for record in (await store.load()).instances}
    assert [loaded[record.id] for record in records] == records


async def test_records_load_in_the_same_order_every_time(backend: Backend) -> None:
    store = await leading(backend)
    await store.commit(Changes(instances=tuple(an_instance(name) for name in ("c", "a", "b"))))
    assert [record.id for record in (await store.load()).instances] == ["a", "b", "c"]


async def test_documents_and_ledger_come_back(backend: Backend) -> None:
    store = await leading(backend)
    documents, ledger = {"times": '{"é": [1.5]}', "policy": ""}, {"2026-11-20": "{}", "2026-11-21": '{"usd": 0.1}'}
    await store.commit(Changes(documents=documents, ledger=ledger))
    await store.commit(Changes(documents={"policy": "null"}))
    assert await store.load() == Saved(documents=documents | {"policy": "null"}, ledger=ledger)


async def test_the_ledger_drops_its_oldest_days(backend: Backend) -> None:
    first = await leading(backend, "a")
    days = [str(date(2026, 1, 1) + timedelta(days=n)) for n in range(LEDGER_DAYS + 3)]
    await first.commit(Changes(ledger=dict.fromkeys(days[:-2], "{}")))
    assert sorted((await first.load()).ledger) == days[1:-2]
    await first.resign()
    second = await leading(backend, "b")
    await second.load()
    await second.commit(Changes(ledger=dict.fromkeys(days[-2:], "{}")))
    assert sorted((await second.load()).ledger) == days[3:]


async def test_forgotten_records_vanish(backend: Backend) -> None:
    store = await leading(backend)
    await store.commit(Changes(instances=(an_instance("i1"), an_instance("i2"))))
    await store.commit(Changes(instances=(an_instance("i2", Phase.WARM),), forgotten=("i1", "i2", "never")))
    assert (await store.load()).instances == ()


async def test_a_journal_entry_comes_back_whole(backend: Backend) -> None:
    store = await leading(backend)
    entry = Entry(
        at=1.25,
        kind=Kind.DECISION,
        text="rent 1: 31 jobs wait",
        pool="images",
        instance="i1",
        action="rent",
        result="ok",
        hot=2,
        warm=0,
        why=(Reason("thresholds.rent", "31 > 30"),),
        why_not=(Reason("budget", "$29.90 of $30"), Reason("limits", "…")),
    )
    await store.commit(Changes(journal=(entry,)))
    assert list(await store.journal(1)) == [entry]


async def test_the_journal_is_capped_and_newest_first(backend: Backend) -> None:
    store = await leading(backend)
    entries = [Entry(at=float(n), kind=Kind.ALARM, text="") for n in range(JOURNAL_LENGTH + 250)]
    total = len(entries)
    for start in range(0, total, 1000):
        await store.commit(Changes(journal=tuple(entries[start : start + 1000])))
    assert [entry.at for entry in await store.journal(3)] == [total - 1, total - 2, total - 3]
    kept = len(await store.journal(total))
    assert JOURNAL_LENGTH <= kept <= JOURNAL_LENGTH + 100


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(samples=st.lists(SAMPLES, min_size=1, max_size=3))
async def test_every_field_of_a_sample_comes_back_oldest_first(backend: Backend, samples: list[Sample]) -> None:
    store = backend.open("a")
    await store.read()
    samples = [replace(sample, at=float(next(MOMENTS))) for sample in samples]
    for sample in samples:
        await store.commit(Changes(samples=(sample,)))
    assert [sample async for sample in store.samples()][-len(samples) :] == samples


async def test_anybody_may_read_the_history_and_only_the_leader_writes_it(backend: Backend) -> None:
    stale, fresh = await leading(backend, "a"), backend.open("b")
    await stale.commit(Changes(samples=(Sample(at=0.0, until=60.0),)))
    await backend.expire_lease()
    await fresh.read()
    with pytest.raises(LeaseLost):
        await stale.commit(Changes(samples=(Sample(at=60.0, until=120.0),)))
    assert [sample.at async for sample in backend.open("reader").samples()] == [0.0]


async def test_the_history_is_capped_at_a_month_of_minutes(backend: Backend) -> None:
    store = await leading(backend)
    total = HISTORY_LENGTH + 3000
    for start in range(0, total, 1000):
        batch = range(start, min(start + 1000, total))
        await store.commit(Changes(samples=tuple(Sample(at=float(n), until=n + 1.0) for n in batch)))
    kept = [sample.at async for sample in store.samples()]
    assert kept == [float(n) for n in range(total - len(kept), total)]
    assert [sample.at async for sample in store.samples(newest_first=True)] == kept[::-1]
    assert HISTORY_LENGTH <= len(kept) <= HISTORY_LENGTH + 100


NOW = 1_795_000_000.0


async def test_an_operator_gives_orders_to_whoever_leads_and_withdraws_them(backend: Backend) -> None:
    store, operator = await leading(backend), backend.open("operator")
    floor = Order(kind=OrderKind.FLOOR, subject="images", count=3, by="ada", why="launch", at=NOW, for_s=7200.0)
    await operator.give(floor)
    assert (await store.read()).orders == tuple(await operator.orders()) == (floor,)
    higher = replace(floor, count=4)
    await operator.give(higher)
    assert (await store.read()).orders == (higher,)
    assert await operator.withdraw("floor:images", by="bob", why="it went well")
    assert not await operator.withdraw("floor:images", by="bob")
    assert (await store.read()).orders == ()
    newest, *_, oldest = await store.journal(10)
    assert newest.text == "order withdrawn by bob (it went well): floor 4 images by ada, for 2h: launch"
    assert (oldest.kind, oldest.action, oldest.pool) == (Kind.OPERATOR, "floor", "images")
    assert oldest.text == "order given: floor 3 images by ada, for 2h: launch"


async def test_an_ended_order_goes_unless_the_operator_has_replaced_it(backend: Backend) -> None:
    store = await leading(backend)
    pause, newer = Order(kind=OrderKind.PAUSE, by="ada", at=NOW), Order(kind=OrderKind.PAUSE, by="bob", at=NOW)
    await store.give(newer)
    await store.commit(Changes(ended_orders=(pause,)))
    assert (await store.read()).orders == (newer,)
    await store.commit(Changes(ended_orders=(newer,)))
    assert (await store.read()).orders == ()


async def test_an_order_is_dated_unless_the_operator_has_replaced_it(backend: Backend) -> None:
    store = await leading(backend)
    order = Order(kind=OrderKind.FLOOR, subject="images", count=3, by="ada", at=NOW, for_s=60.0)
    higher = replace(order, count=4)
    await store.give(higher)
    await store.commit(Changes(dated_orders=(order.dated(NOW),)))
    assert (await store.read()).orders == (higher,)
    await store.commit(Changes(dated_orders=(higher.dated(NOW),)))
    assert (await store.read()).orders == (replace(higher, until=NOW + 60.0),)
    await store.commit(Changes(ended_orders=(higher.dated(NOW),)))
    assert (await store.read()).orders == ()


FREE = Admission(
    pool="images",
    tier="free",
    expected_wait_s=95.04,
    accept=False,
    why="a job that comes now would wait 1m 35s",
    retry_after_s=80,
    message="Server busy, try again in a few minutes",
)
PRO = Admission(pool="images", tier="pro", expected_wait_s=math.inf)


async def test_whoever_accepts_jobs_finds_each_tier_by_pool_and_name(backend: Backend) -> None:
    store = await leading(backend)
    await store.commit(Changes(notice=Notice(at=5.0, valid_for_s=180.0, tiers=(PRO, FREE))))
    found = await backend.admission()
    assert found.keys() == {"images/pro", "images/free"}
    assert found["images/free"] == {
        "pool": "images",
        "tier": "free",
        "accept": False,
        "expected_wait_s": 95.0,
        "retry_after_s": 80,
        "message": "Server busy, try again in a few minutes",
        "why": "a job that comes now would wait 1m 35s",
        "at": 5.0,
        "valid_for_s": 180.0,
    }
    assert (found["images/pro"]["accept"], found["images/pro"]["expected_wait_s"]) == (True, None)


async def test_a_notice_takes_the_place_of_the_one_before_and_other_writes_leave_it(backend: Backend) -> None:
    store = await leading(backend)
    await store.commit(Changes(notice=Notice(at=5.0, valid_for_s=180.0, tiers=(PRO, FREE))))
    await store.commit(Changes(documents={"d": "1"}))
    assert len(await backend.admission()) == 2
    await store.commit(Changes(notice=Notice(at=6.0, valid_for_s=180.0, tiers=(PRO,))))
    assert (await backend.admission()).keys() == {"images/pro"}


async def test_only_the_leader_says_who_is_let_in(backend: Backend) -> None:
    stale, fresh = await leading(backend, "a"), backend.open("b")
    await backend.expire_lease()
    await fresh.read()
    with pytest.raises(LeaseLost):
        await stale.commit(Changes(notice=Notice(at=5.0, valid_for_s=180.0, tiers=(FREE,))))
    assert await backend.admission() == {}


@pytest.mark.parametrize(
    "last", [Changes(instances=(an_instance(phase=Phase.GONE),)), Changes(forgotten=("i1",))], ids=["gone", "forgotten"]
)
async def test_heartbeats_are_read_until_their_machine_is_gone(backend: Backend, last: Changes) -> None:
    store = await leading(backend)
    await backend.beat("i1", busy=2)
    await backend.beat("i2", busy=0)
    beats = (await store.read()).heartbeats
    assert {name: beat.busy for name, beat in beats.items()} == {"i1": 2, "i2": 0}
    await store.commit(last)
    assert (await store.read()).heartbeats.keys() == {"i2"}
