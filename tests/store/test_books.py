"""The books of a day in a store: as they were, and as older versions and other ways to lead left them."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.ledger import DayLedger, Spent, Wasted, Work, day_name
from autoscaler.core.purposes import Booting, Line, Purpose
from autoscaler.core.unit import Unit
from autoscaler.core.waste import Waste
from autoscaler.runtime.documents import ledger_fields, read_ledger
from autoscaler.runtime.ports import Changes
from autoscaler.store.keys import Keys
from autoscaler.store.moving import Contents, bring_home
from tests.support.stores import RedisBackend

DAY = 20_800
USD = st.floats(0.0, 1e6)
NAMES = st.text("abc-", min_size=1, max_size=6)
WORK = st.builds(Work, jobs=st.integers(0, 10**9), work_s=USD, told=st.integers(0, 10**9))
PAGES = st.builds(
    Spent,
    running_usd=USD,
    stopped_usd=USD,
    lines=st.dictionaries(
        st.builds(Line, NAMES, NAMES, NAMES | st.just(""), st.sampled_from(Purpose)), USD, max_size=5
    ),
    booting=st.dictionaries(NAMES, st.builds(Booting, NAMES, NAMES, USD), max_size=3),
    wasted=st.dictionaries(st.sampled_from(Waste), st.builds(Wasted, times=st.integers(0, 99), usd=USD), max_size=3),
    tiers=st.dictionaries(NAMES, WORK, max_size=3),
    classes=st.dictionaries(NAMES, WORK, max_size=3),
    downloads=st.dictionaries(NAMES, USD, max_size=2),
)
DAYS = st.builds(
    DayLedger,
    day=st.just(DAY),
    booked_until=USD,
    booked_from=USD,
    pools=st.dictionaries(NAMES, PAGES, max_size=3),
    bills=st.dictionaries(NAMES, USD, max_size=2),
)
FULL = DayLedger(
    day=DAY,
    booked_until=DAY * 86400.0 + 60.0,
    pools={
        "images": Spent(
            running_usd=1.5,
            lines={Line("spot", "mock", "pro", Purpose.SERVING): 1.0, Line("spot", "mock", "", Purpose.BOOT): 0.5},
            booting={"i1": Booting("spot", "mock", 0.25)},
            wasted={Waste.SLOW_PULL: Wasted(times=1, usd=0.1)},
            tiers={"pro": Work(jobs=3, work_s=30.0, told=1)},
            classes={"sdxl": Work(jobs=1, work_s=9.0, told=1)},
            downloads={"mock": 0.2},
        )
    },
    bills={"mock": 1.4},
)


@given(DAYS)
def test_the_stored_form_of_any_day_is_read_as_it_was(ledger: DayLedger) -> None:
    assert read_ledger(json.loads(json.dumps(ledger_fields(ledger)))) == ledger


async def test_a_day_comes_back_out_of_redis(redis_backend: RedisBackend) -> None:
    store = redis_backend.open("daemon")
    assert (await store.read()).leads
    await store.commit(Changes(ledger={day_name(DAY): json.dumps(ledger_fields(FULL))}))
    saved = await store.load()
    assert read_ledger(json.loads(saved.ledger[day_name(DAY)])) == FULL


def test_a_day_that_version_2_wrote_is_read_with_its_totals() -> None:
    written = {
        "day": DAY,
        "booked_until": 9.0,
        "booked_from": 1.0,
        "pools": {"images": {"running_usd": 3.0, "stopped_usd": 0.5}},
    }
    ledger = read_ledger(written)
    assert (ledger.usd("images"), ledger.bills) == (3.5, {})
    assert ledger.pools["images"].lines == {}


def test_a_page_is_small() -> None:
    lines = {Line(f"vastai-spot-{n}", "vastai", "", purpose): 1.23456789012 for n in range(3) for purpose in Purpose}
    tiers = {name: Work(jobs=12_345, work_s=123_456.7, told=12_345) for name in ("pro", "premium", "free")}
    page = Spent(running_usd=12.3, lines=lines, tiers=tiers)
    assert len(json.dumps(ledger_fields(replace(FULL, pools={"images": page})))) < 2_000


def test_a_pools_page_moves_whole_to_whoever_leads_the_pool_from_now_on() -> None:
    poor = replace(FULL, pools={"images": Spent(running_usd=0.5), "speech": Spent(running_usd=9.0)})
    own, other = (
        Contents(Keys("acme", name), {}, {}, {day_name(DAY): json.dumps(ledger_fields(day)).encode()})
        for name, day in (("", poor), ("images", FULL))
    )
    assert [*bring_home(Unit(), own, other)]
    moved = read_ledger(json.loads(own.ledger[day_name(DAY)]))
    assert moved.pools == {"images": FULL.pools["images"], "speech": Spent(running_usd=9.0)}
