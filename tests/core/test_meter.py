"""Samples of ticks: time, machines, work and money; and the gaps between them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.ledger import DAY_S, book
from autoscaler.core.lifecycle import Phase
from autoscaler.core.meter import Meter
from autoscaler.core.samples import PoolSample, Sample, totals, window
from tests.support.build import NOW, demand, instance, offer, snapshot

MINUTE = 60.0
TICK_S = 10.0
START = NOW - NOW % MINUTE


def measured(meter: Meter, *times: float, machines: tuple[Instance, ...] = (), **changes: Any) -> list[Sample]:
    """The samples of ticks at these times after the start, on all of which the pool is the same."""
    taken = {machine.id: dict[str, int]() for machine in machines}
    snapshots = [snapshot(*machines, **changes)]
    samples = [meter.tick(snapshots, taken, START + at) for at in times]
    return [sample for sample in samples if sample is not None]


def a_minute(begin: float = 0.0) -> list[float]:
    return [begin + TICK_S * number for number in range(7)]


def of_a_minute(**changes: Any) -> PoolSample:
    [sample] = measured(Meter(TICK_S), *a_minute(), **changes)
    return sample.pools["images"]


def test_a_sample_ends_with_the_first_tick_of_a_new_minute_and_the_next_begins_there() -> None:
    ticks = [3.0 + TICK_S * number for number in range(13)]
    first, second = measured(Meter(TICK_S), *ticks)
    assert (first.at, first.until, second.until) == (START + 3, START + 63, START + 123)
    assert second.at == first.until


def test_machine_seconds_are_kept_by_phase_and_work_in_slot_seconds() -> None:
    machines = (instance(id="a"), instance(id="b"), instance(Phase.WARM, id="c"), instance(Phase.DRAINING, id="d"))
    sample = of_a_minute(machines=machines, busy={"a": 2, "b": 0, "c": 9, "d": 1})
    assert sample.machine_s == {Phase.HOT: 120.0, Phase.WARM: 60.0, Phase.DRAINING: 60.0}
    assert sample.busy_s == 3 * MINUTE
    assert sample.in_flight == 3


def test_a_machine_that_changes_its_phase_counts_for_each_as_long_as_it_was_in_it() -> None:
    meter = Meter(TICK_S)
    measured(meter, 0.0, 10.0, 20.0, machines=(instance(Phase.BOOTING),))
    [sample] = measured(meter, 30.0, 40.0, 50.0, 60.0, machines=(instance(Phase.HOT),))
    assert sample.pools["images"].machine_s == {Phase.BOOTING: 30.0, Phase.HOT: 30.0}


def test_work_is_unknown_when_one_busy_machine_says_nothing_and_the_queue_hides_it() -> None:
    machines = (instance(id="a"), instance(id="b"))
    assert of_a_minute(machines=machines, busy={"a": 1}).busy_s is None
    hidden_but_counted = of_a_minute(machines=machines, busy={"a": 1}, demand=demand(in_flight=2))
    assert hidden_but_counted.busy_s == 2 * MINUTE


def test_the_price_of_the_cheapest_offer_within_its_placements_cap_is_kept_where_it_is_known() -> None:
    offers = {"mock-on-demand": (offer(usd_per_hour=0.9), offer(usd_per_hour=0.7), offer(usd_per_hour=1.1))}
    assert of_a_minute(offers=offers).offered_usd_per_hour == 0.7
    assert of_a_minute(offers={"mock-on-demand": Unknown("being looked up", NOW)}).offered_usd_per_hour is None


def test_the_end_of_the_minute_tells_who_waits() -> None:
    tier = of_a_minute(demand=demand(4)).tiers["pro"]
    assert (tier.waiting, tier.oldest_wait_s, tier.arrived) == (4, None, 0)


def test_a_queue_that_cannot_be_read_is_a_gap_while_machines_and_money_are_known() -> None:
    sample = of_a_minute(machines=(instance(),), demand=Unknown("connection refused", NOW))
    assert (dict(sample.tiers), sample.seen_s) == ({}, 0.0)
    assert sample.machine_s == {Phase.HOT: MINUTE}


@pytest.mark.parametrize("away_s", [121.0, 3600.0, -1.0, -3600.0])
def test_a_long_time_between_two_ticks_and_a_clock_put_back_leave_a_gap(away_s: float) -> None:
    meter = Meter(TICK_S)
    before = measured(meter, 0.0, 10.0, 20.0)
    ended, *after = measured(meter, *a_minute(20.0 + away_s))
    assert before == []
    assert (ended.at, ended.until) == (START, START + 20.0)
    assert after[0].at == START + 20.0 + away_s
    assert ended.pools["images"].seen_s == 20.0


def test_jobs_that_waited_before_the_first_tick_did_not_arrive_in_its_minute() -> None:
    assert of_a_minute(demand=demand(7)).tiers["pro"].arrived == 0


def test_ticks_that_are_slow_by_setting_leave_no_gap() -> None:
    samples = measured(Meter(300.0), 0.0, 300.0, 600.0)
    assert [(sample.at - START, sample.until - START) for sample in samples] == [(0.0, 300.0), (300.0, 600.0)]


@given(
    begin_s=st.floats(0, DAY_S),
    ticks_s=st.lists(st.floats(0.5, 60.0), min_size=1, max_size=60),
    price=st.floats(0.01, 5.0),
)
def test_samples_cost_what_the_books_say_over_midnight_too(begin_s: float, ticks_s: list[float], price: float) -> None:
    meter, now = Meter(TICK_S), START + begin_s
    machine = instance(burn_usd_per_hour=price)
    days, samples = book(None, [machine], now), []
    for elapsed_s in [0.0, *ticks_s, MINUTE]:
        now += elapsed_s
        days = book(days[-1], [machine], now)
        spent = days[-1].pools["images"].usd if days[-1].pools else 0.0
        left_s = DAY_S - now % DAY_S
        samples.append(meter.tick([snapshot(machine, spent_today_usd=spent, day_left_s=left_s)], {}, now))
    kept = [sample for sample in samples if sample is not None]
    assert sum(sample.pools["images"].usd for sample in kept) == pytest.approx(
        price * (kept[-1].until - kept[0].at) / 3600.0, rel=1e-4, abs=1e-6
    )


def a_sample(at: float, until: float, **changes: Any) -> Sample:
    return Sample(at=at, until=until, pools={"images": PoolSample(**({"seen_s": until - at} | changes))})


def test_a_window_holds_the_samples_that_begin_in_it_in_order() -> None:
    first, second, third = (a_sample(at, at + 60.0) for at in (0.0, 60.0, 120.0))
    assert window([third, first, second], 60.0, 120.0) == [second]
    assert window([third, first, second]) == [first, second, third]


def test_a_time_that_was_recorded_twice_counts_once() -> None:
    first, again, after = a_sample(0.0, 60.0), a_sample(30.0, 90.0), a_sample(60.0, 120.0)
    assert window([first, again, after]) == [first, after]


def test_totals_add_up_what_is_known_and_say_how_much_is_not() -> None:
    samples = [
        a_sample(0.0, 60.0, usd=0.5, busy_s=90.0, machine_s={Phase.HOT: 120.0}),
        a_sample(60.0, 120.0, usd=0.25, seen_s=10.0, machine_s={Phase.HOT: 60.0, Phase.WARM: 60.0}),
        a_sample(180.0, 240.0),
    ]
    found = totals(samples, "images")
    assert (found.at, found.until, found.gap_s) == (0.0, 240.0, 60.0 + 50.0)
    assert (found.usd, found.busy_s) == (0.75, 90.0)
    assert found.machine_s == {Phase.HOT: 180.0, Phase.WARM: 60.0}
