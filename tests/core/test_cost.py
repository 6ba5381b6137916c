"""What is read out of the books: who pays, what a job costs, what was wasted, what a bill leaves unexplained."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoscaler.core.cost import NOT_ITEMISED, pool_cost, rows
from autoscaler.core.cost_advice import advise, next_step
from autoscaler.core.ledger import MOST_CLASSES, OTHER_CLASSES, DayLedger, Spent, Wasted, Work, together
from autoscaler.core.load import Finished, Load
from autoscaler.core.purposes import Line, Purpose
from autoscaler.core.reconcile import Verdict, reconcile
from autoscaler.core.samples import PoolSample, TierSample
from autoscaler.core.waste import Waste
from autoscaler.core.work import told_work, work_of
from tests.support.build import NOW, pool

DAY = int(NOW // 86400)
SPOT = ("mock-spot", "mock")


def page(lines: Mapping[tuple[str, Purpose], float], **changes: object) -> Spent:
    """A pool's day; lines by tier and purpose."""
    total = sum(lines.values())
    written = {Line(*SPOT, tier, purpose): usd for (tier, purpose), usd in lines.items()}
    return Spent(running_usd=total, lines=written, **changes)  # type: ignore[arg-type]


def books(*pages: Spent, first: int = DAY) -> dict[int, DayLedger]:
    return {first + n: DayLedger(day=first + n, booked_until=NOW, pools={"images": p}) for n, p in enumerate(pages)}


def told(jobs: int, work_s: float) -> Work:
    return Work(jobs=jobs, work_s=work_s, told=jobs)


# --- tiers ------------------------------------------------------------------------------------------------------------

APART = {("pro", Purpose.SERVING): 3.0, ("pro", Purpose.IDLE): 1.0, ("", Purpose.SERVING): 5.0, ("", Purpose.BOOT): 1.0}


def test_a_tier_pays_its_own_machines_and_its_part_of_the_others() -> None:
    # The worked example of the module.
    spent = page(APART, tiers={"pro": told(60, 600.0), "free": told(80, 400.0)})
    cost = pool_cost(books(spent), [DAY], "images", ["pro", "free"])
    pro, free = cost.tiers
    assert (pro.own_usd, free.own_usd) == (4.0, 0.0)
    assert [pro.usd, free.usd] == pytest.approx([6.16, 3.84])
    assert free.usd_per_job == pytest.approx(3.84 / 80)
    assert cost.nobodys_usd == 0.0


def test_without_a_job_what_is_shared_is_nobodys() -> None:
    cost = pool_cost(books(page(APART)), [DAY], "images", ["pro", "free"])
    assert [tier.usd for tier in cost.tiers] == [4.0, 0.0]
    assert cost.nobodys_usd == 6.0
    assert cost.tiers[1].usd_per_job is None


def test_machines_that_stood_by_for_all_are_paid_by_whoever_worked() -> None:
    lines = {("pro", Purpose.SERVING): 3.0, ("", Purpose.IDLE): 1.0}
    [pro] = pool_cost(books(page(lines, tiers={"pro": told(1, 10.0)})), [DAY], "images").tiers
    assert pro.usd == 4.0


WORK = st.builds(told, st.integers(0, 50), st.floats(0.0, 1e6))
LINES = st.dictionaries(
    st.tuples(st.sampled_from(["", "pro", "free"]), st.sampled_from(Purpose)), st.floats(0.0, 1e4), max_size=12
)


@given(
    st.lists(st.tuples(LINES, st.dictionaries(st.sampled_from(["pro", "free", "gold"]), WORK)), min_size=1, max_size=4)
)
@example([({("", Purpose.IDLE): 1.5}, {"pro": told(0, 5e-324)})])
def test_tiers_and_what_is_nobodys_add_up_to_the_pool(
    days: list[tuple[dict[tuple[str, Purpose], float], dict[str, Work]]],
) -> None:
    kept = books(*(page(lines, tiers=work) for lines, work in days))
    cost = pool_cost(kept, kept, "images", ["pro", "free"])
    assert sum(tier.usd for tier in cost.tiers) + cost.nobodys_usd == pytest.approx(cost.usd, abs=1e-6)
    assert all(tier.usd >= tier.own_usd for tier in cost.tiers)
    assert cost.usd == pytest.approx(sum(day.usd() for day in kept.values()), abs=1e-5)


# --- what jobs used ---------------------------------------------------------------------------------------------------


def minute(**started: int) -> PoolSample:
    return PoolSample(tiers={name: TierSample(0, jobs, 0, None) for name, jobs in started.items()}, seen_s=60.0)


def test_what_workers_tell_counts_and_a_tier_that_no_queue_has_does_not() -> None:
    done = {"pro": (2, 80.0), "invented": (9, 9e9)}
    assert work_of(minute(pro=3, free=1), done, Load()) == {"pro": told(2, 80.0)}


def test_where_no_worker_tells_the_jobs_that_started_count_for_what_such_jobs_take() -> None:
    load = Load().learned(minute(pro=1), {"pro": (10, 300.0)}, 0.0)
    found = work_of(minute(pro=2, free=3), {}, load)
    assert found == {"pro": Work(jobs=2, work_s=60.0), "free": Work(jobs=3, work_s=3.0)}
    assert work_of(minute(pro=0), {}, load) == {}


def test_a_counter_that_restarts_counts_from_nothing_and_one_that_leaps_counts_for_nothing() -> None:
    finished = Finished()
    for count in ((5, 100.0), (7, 140.0), (1, 20.0), (10**9, 20.0), (10**9 + 2, 60.0), (10**9 + 2, 9e9)):
        finished.hear({"i1": "images"}, {"i1": {"sdxl": count}})
    assert finished.take("images")["sdxl"] == (2 + 1 + 2, 40.0 + 20.0 + 40.0)


def test_classes_pay_for_their_share_of_the_work() -> None:
    work = told_work({"sdxl-1024": (12, 300.0), "flux": (2, 100.0)})
    spent = page({("", Purpose.SERVING): 6.0, ("", Purpose.IDLE): 2.0}).with_work({}, work)
    sdxl, flux = pool_cost(books(spent), [DAY], "images").classes
    assert (sdxl.name, sdxl.usd, sdxl.usd_per_job) == ("sdxl-1024", 6.0, 0.5)
    assert (flux.usd, flux.usd_per_job) == (2.0, 1.0)


def test_jobs_of_no_class_pay_theirs() -> None:
    spent = page({("", Purpose.SERVING): 8.0}).with_work({"pro": told(20, 800.0)}, {"sdxl": told(4, 200.0)})
    [sdxl] = pool_cost(books(spent), [DAY], "images").classes
    assert sdxl.usd == 2.0


def test_the_books_tell_so_many_classes_apart_and_no_more() -> None:
    spent = Spent()
    for number in range(3 * MOST_CLASSES):
        spent = spent.with_work({}, {f"class-{number}": told(1, 1.0)})
    spent = spent.with_work({}, {"class-0": told(1, 1.0)})
    assert len(spent.classes) == MOST_CLASSES + 1
    assert spent.classes["class-0"].jobs == 2
    assert spent.classes[OTHER_CLASSES].jobs == 2 * MOST_CLASSES


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_day_of_an_older_version_is_there_and_not_itemised() -> None:
    kept = books(Spent(running_usd=3.0, stopped_usd=0.5))
    [row] = rows(kept, [DAY])
    assert (row.purpose, row.usd, row.placement, row.provider) == (NOT_ITEMISED, 3.5, "", "")
    assert pool_cost(kept, [DAY], "images").nobodys_usd == 3.5


def test_rows_are_those_of_the_days_and_the_pool_asked_for() -> None:
    kept = books(*[page({("", Purpose.SERVING): 1.0})] * 3)
    kept[DAY] = kept[DAY].with_pool("speech", page({("", Purpose.LOST): 2.0}))
    assert [(row.day - DAY, row.pool) for row in rows(kept, [DAY, DAY + 1, DAY + 9])] == [
        (0, "images"),
        (0, "speech"),
        (1, "images"),
    ]
    assert [row.usd for row in rows(kept, kept, "speech")] == [2.0]


def test_days_without_books_are_not_even_counted() -> None:
    class EveryDay:
        """So many that whoever goes through them never ends."""

        def __contains__(self, day: object) -> bool:
            return True

    kept = books(page(APART), page(APART))
    assert len([*rows(kept, EveryDay())]) == 8
    assert pool_cost(kept, EveryDay(), "images").usd == 20.0
    assert len(reconcile(kept, EveryDay(), DAY)) == 2


def test_books_of_several_loops_are_one() -> None:
    one = DayLedger(
        day=DAY, booked_until=5.0, booked_from=2.0, pools={"a": Spent(running_usd=1.0)}, bills={"mock": 1.0}
    )
    other = DayLedger(
        day=DAY, booked_until=6.0, booked_from=3.0, pools={"b": Spent(running_usd=2.0)}, bills={"mock": 2.0}
    )
    both = together([{DAY: one}, {DAY: other, DAY + 1: other}])
    assert both[DAY].usd() == 3.0
    assert (both[DAY].booked_from, both[DAY].booked_until, both[DAY].bills) == (2.0, 6.0, {"mock": 3.0})
    assert both[DAY + 1] is other


# --- bills ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("billed", "downloads", "verdict"),
    [
        (None, 0.0, Verdict.NO_BILL),
        (10.0, 0.0, Verdict.AGREES),
        (10.4, 0.0, Verdict.AGREES),
        (8.0, 0.0, Verdict.LESS),
        (13.0, 2.0, Verdict.DOWNLOADS),
        (13.0, 0.5, Verdict.UNEXPLAINED),
    ],
)
def test_a_bill_is_held_against_the_books(billed: float | None, downloads: float, verdict: Verdict) -> None:
    spent = page({("", Purpose.SERVING): 10.0}, downloads={"mock": downloads})
    bills = {} if billed is None else {"mock": billed}
    ledger = DayLedger(day=DAY, booked_until=NOW, pools={"images": spent}, bills=bills)
    [found] = reconcile({DAY: ledger}, [DAY], DAY + 1)
    assert (found.verdict, found.booked_usd, found.billed_usd) == (verdict, 10.0, billed)
    if billed is not None:
        assert found.difference_usd == pytest.approx(billed - 10.0)
        [today] = reconcile({DAY: ledger}, [DAY], DAY)
        assert today.verdict is Verdict.OPEN


def test_a_day_that_tells_no_providers_apart_cannot_be_reconciled() -> None:
    ledger = DayLedger(day=DAY, booked_until=NOW, pools={"images": Spent(running_usd=3.0)}, bills={"mock": 3.0})
    [found] = reconcile({DAY: ledger}, [DAY], DAY + 1)
    assert (found.verdict, found.booked_usd) == (Verdict.NOT_ITEMISED, 0.0)


# --- advice -----------------------------------------------------------------------------------------------------------


def test_waste_is_told_dearest_first_each_with_what_would_reduce_it() -> None:
    lines = {("", Purpose.SERVING): 6.0, ("", Purpose.IDLE): 2.0, ("pro", Purpose.IDLE): 1.0, ("", Purpose.LOST): 0.25}
    wasted = {Waste.CRASH_LOOP: Wasted(times=2, usd=0.5), Waste.DROPPED_DISK: Wasted(times=1, usd=0.1)}
    cost = pool_cost(books(page(lines, wasted=wasted)), [DAY], "images")
    advice = advise(cost, pool())
    assert [(each.code, each.usd) for each in advice] == [
        ("idle", 2.0),
        ("idle", 1.0),
        ("crash_loop", 0.5),
        ("lost", 0.25),
        ("dropped_disk", 0.1),
    ]
    assert advice[0].text == "machines that were HOT without a job: 22% of what HOT machines cost"
    assert "`limits.hot`, now 1..6," in advice[0].fix
    assert "`reserve` of the tier pro" in advice[1].fix
    assert advice[2].text == "2 boots whose image crashed or was never ready"
    assert advice[4].text == "1 disk of a stopped machine that was given up without coming back"
    assert next_step(advice, cost.usd) == f"images: {advice[0].fix}"


def test_every_reason_has_its_words_and_what_rounds_to_no_cent_has_no_line() -> None:
    every = {why: Wasted(times=1, usd=1.0) for why in Waste}
    assert {each.code for each in advise(pool_cost(books(page({}, wasted=every)), [DAY], "images"), None)} == {*Waste}
    none = pool_cost(books(page({("", Purpose.IDLE): 0.004})), [DAY], "images")
    assert advise(none, None) == []
    assert next_step([], 1.0) is None


def test_a_small_waste_is_no_next_step() -> None:
    cost = pool_cost(books(page({("", Purpose.SERVING): 99.0, ("", Purpose.IDLE): 1.0})), [DAY], "images")
    assert next_step(advise(cost, None), cost.usd) is None
