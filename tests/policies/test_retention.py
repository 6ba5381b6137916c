from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import MachineSpec
from policies.base import State
from policies.retention import POLICY, Retention, decide
from tests.support.build import NOW, demand, instance, pool, snapshot

P = Phase
MINUTE, HOUR = 60.0, 3600.0
HISTORY = PlacementHistory(setup=Estimate(2700.0, 0.0, 9), resume=Estimate(210.0, 0.0, 9), resumed=17.0, refused=1.0)
"""The chance of a resume is 18 ÷ 20."""


def seen(in_flight: int | None, *phases: Phase, prices: tuple[float, ...] = (), **changes: Any) -> PoolSnapshot:
    fleet = [
        instance(
            phase, id=f"i{n}", created_at=NOW + n, disk_usd_per_hour=0.025, usd_per_hour=prices[n] if prices else 0.21
        )
        for n, phase in enumerate(phases)
    ]
    values = {"demand": demand(in_flight=in_flight), "history": {"mock-on-demand": HISTORY}}
    return snapshot(*fleet, **(values | changes))


def after(idle_s: float, quiet: PoolSnapshot, *, busy: PoolSnapshot, settings: Retention | None = None) -> Decision:
    """What is decided after this long with the quiet snapshot, the busy one having been the last before."""
    chosen = settings or Retention(worth=1.0)
    state: State = decide(busy, {}, NOW, chosen)[1]
    state = decide(quiet, state, NOW, chosen)[1]
    return decide(quiet, state, NOW + idle_s, chosen)[0]


@pytest.mark.parametrize(("idle_s", "keep"), [(0.0, 2), (8.6 * MINUTE, 2), (8.8 * MINUTE, 1)])
def test_an_idle_machine_is_kept_hot_until_its_break_even_time(idle_s: float, keep: int) -> None:
    quiet, busy = seen(1, P.HOT, P.HOT), seen(2, P.HOT, P.HOT)

    assert after(idle_s, quiet, busy=busy).keep == keep


def test_the_time_is_that_of_the_machines_own_price() -> None:
    quiet, busy = seen(1, P.HOT, P.HOT, prices=(0.21, 0.03)), seen(2, P.HOT, P.HOT, prices=(0.21, 0.03))

    # At 0.03 USD an hour, 0.025 of it disk, stopping saves next to nothing: the cheap one is the level in use.
    assert after(8.8 * MINUTE, quiet, busy=busy).keep == 1
    quiet, busy = seen(0, P.HOT, P.HOT, prices=(0.21, 0.03)), seen(2, P.HOT, P.HOT, prices=(0.21, 0.03))
    assert after(40 * MINUTE, quiet, busy=busy).keep == 1


@pytest.mark.parametrize(("idle_s", "warm"), [(3 * HOUR, 1), (6 * HOUR, 0)])
def test_a_stopped_machine_is_released_after_its_break_even_time(idle_s: float, warm: int) -> None:
    quiet, busy = seen(1, P.HOT, P.WARM), seen(2, P.HOT, P.HOT)

    assert after(idle_s, quiet, busy=busy).warm == warm


def test_the_strategys_fixed_times_are_an_option() -> None:
    fixed = Retention(idle_for=30 * MINUTE, warm_for=24 * HOUR)
    busy = seen(2, P.HOT, P.HOT)

    assert after(29 * MINUTE, seen(1, P.HOT, P.HOT), busy=busy, settings=fixed).keep == 2
    assert after(31 * MINUTE, seen(1, P.HOT, P.HOT), busy=busy, settings=fixed).keep == 1
    assert after(23 * HOUR, seen(1, P.HOT, P.WARM), busy=busy, settings=fixed).warm == 1
    assert after(25 * HOUR, seen(1, P.HOT, P.WARM), busy=busy, settings=fixed).warm == 0


def test_while_jobs_wait_every_running_machine_has_work() -> None:
    waiting = seen(1, P.HOT, P.HOT, demand=demand(3, in_flight=1))

    assert after(10 * HOUR, waiting, busy=waiting).keep == 2


def test_where_the_queue_hides_its_jobs_in_hand_the_machines_word_counts() -> None:
    hidden = seen(None, P.HOT, P.HOT, busy={"i0": 1, "i1": 0})

    assert after(10 * HOUR, hidden, busy=hidden).keep == 1


def test_a_silent_machine_counts_as_busy() -> None:
    silent = seen(None, P.HOT, P.HOT, busy={"i0": 1})

    assert after(10 * HOUR, silent, busy=silent).keep == 2


def test_slots_share_a_machine() -> None:
    four = pool(machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=4))
    quiet, busy = seen(4, P.HOT, P.HOT, pool=four), seen(5, P.HOT, P.HOT, pool=four)

    assert after(9 * MINUTE, quiet, busy=busy).keep == 1


def test_an_unknown_queue_keeps_everything() -> None:
    blind = seen(0, P.HOT, P.HOT, P.WARM, demand=Unknown("no answer", NOW))

    decision = after(100 * HOUR, blind, busy=seen(2, P.HOT, P.HOT, P.WARM))

    assert (decision.keep, decision.warm) == (2, 1)


def test_where_nothing_can_be_stopped_a_machine_is_kept_for_as_long_as_a_set_up_costs() -> None:
    quiet = seen(1, P.HOT, P.HOT, stoppable=frozenset())
    busy = seen(2, P.HOT, P.HOT, stoppable=frozenset())

    assert after(50 * MINUTE, quiet, busy=busy).keep == 2
    assert after(52 * MINUTE, quiet, busy=busy).keep == 1


def test_a_clock_set_back_puts_the_end_off_by_one_time_at_most() -> None:
    quiet, settings = seen(1, P.HOT, P.HOT), Retention(worth=1.0)
    state = decide(quiet, {}, NOW + 10 * HOUR, settings)[1]

    state = decide(quiet, state, NOW, settings)[1]

    assert decide(quiet, state, NOW + 9 * MINUTE, settings)[0].keep == 1


def test_it_starts_nothing() -> None:
    assert decide(seen(0, P.WARM), {}, NOW, Retention())[0].hot == 0
    assert POLICY.window_s(Retention()) == 0.0


def test_it_says_what_is_kept_and_for_how_long() -> None:
    decision = after(5 * MINUTE, seen(1, P.HOT, P.HOT), busy=seen(2, P.HOT, P.HOT))

    assert [reason.text for reason in decision.why] == ["0.210 USD/h: not needed for 5m, worth keeping for 8m 41s"]
