"""Strategy, Monitoring & Alerts: "Instance health | Degraded | Down | Failover"."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from autoscaler.core.health import Condition, Signals, Watch, condition, is_late, sign
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Remote, Status
from autoscaler.core.spec import Health
from tests.support.build import NOW, instance, remote

RULES = Health(degraded_after=300.0)
TICK_S = 10.0
WELL = Signals()
SILENT = Signals(silent=True)

SIGNS = [
    # what its worker and service say, what its provider lists, the sign of trouble
    (WELL, remote(), ""),
    (WELL, None, ""),
    (Signals(answers=None), remote(), ""),
    (SILENT, remote(), "its worker has fallen silent"),
    (Signals(trouble="CUDA error 999"), remote(), "its worker says: CUDA error 999"),
    (Signals(answers=False), remote(), "its service answers no more"),
    (WELL, remote(gpu_count=0), "it runs without a GPU"),
    (WELL, remote(Status.UNKNOWN, detail="rebooting"), "its provider says unknown (rebooting)"),
    (WELL, remote(Status.OFFLINE), "its provider says offline"),
]


@pytest.mark.parametrize(("signals", "listed", "said"), SIGNS)
def test_what_is_a_sign_of_trouble(signals: Signals, listed: Remote | None, said: str) -> None:
    assert sign(signals, listed) == said


class Bench:
    """One HOT machine that is looked at every ten seconds."""

    def __init__(self, rules: Health = RULES) -> None:
        self.watch, self.rules, self.now = Watch(), rules, NOW
        self.machine = instance(Phase.HOT)

    def look(self, signals: Signals, listed: Remote | None = None, *, unlisted: bool = False) -> Instance:
        listing: Mapping[tuple[str, str | None], Remote] = {}
        if not unlisted:
            listing = {("mock", "m-1"): listed or remote()}
        for changed in self.watch.look([self.machine], {"aaaa": signals}, listing, {"images": self.rules}, self.now):
            self.machine = changed
        return self.machine

    def live(self, seconds: float, signals: Signals, listed: Remote | None = None, *, unlisted: bool = False) -> str:
        """The ailment after some time in which the same was seen."""
        until = self.now + seconds
        while self.now < until:
            self.now += TICK_S
            self.look(signals, listed, unlisted=unlisted)
        return self.machine.ailment


def test_a_machine_is_degraded_once_a_sign_has_lasted() -> None:
    bench = Bench()
    bench.look(SILENT)
    assert bench.live(290.0, SILENT) == ""
    assert bench.live(10.0, SILENT) == "its worker has fallen silent"
    assert condition(bench.machine) is Condition.DEGRADED


def test_a_slow_heartbeat_now_and_then_is_no_trouble() -> None:
    bench = Bench()
    for _ in range(20):
        assert bench.live(200.0, SILENT) == ""
        bench.live(10.0, WELL)


def test_one_sign_may_follow_another() -> None:
    bench = Bench()
    bench.live(200.0, Signals(trouble="out of memory"))
    assert bench.live(150.0, SILENT)


def test_it_is_well_again_with_the_first_tick_without_a_sign() -> None:
    bench = Bench()
    bench.live(400.0, SILENT)
    assert bench.live(10.0, WELL) == ""
    assert condition(bench.machine) is Condition.HEALTHY


@pytest.mark.parametrize(("signals", "unlisted"), [(WELL, True), (Signals(answers=None), False)])
def test_what_is_not_known_heals_nothing(signals: Signals, unlisted: bool) -> None:
    bench = Bench()
    bench.live(400.0, SILENT)
    assert bench.live(600.0, signals, unlisted=unlisted)


def test_time_in_which_nobody_looked_does_not_count() -> None:
    bench = Bench()
    bench.live(200.0, SILENT)
    bench.now += 3600.0
    bench.look(SILENT)
    assert bench.live(290.0, SILENT) == ""
    assert bench.live(10.0, SILENT)


def test_a_clock_that_was_set_back_makes_the_time_count_anew() -> None:
    bench = Bench()
    bench.live(200.0, SILENT)
    bench.now -= 7200.0
    bench.look(SILENT)
    assert bench.live(290.0, SILENT) == ""
    assert bench.live(10.0, SILENT)


def test_after_a_restart_a_verdict_stands_and_time_counts_anew() -> None:
    bench = Bench()
    bench.live(400.0, SILENT)
    bench.watch = Watch()
    assert bench.live(10.0, SILENT) == "its worker has fallen silent"

    other = Bench()
    other.live(200.0, SILENT)
    other.watch = Watch()
    assert other.live(290.0, SILENT) == ""


def test_a_machine_of_no_configured_pool_is_left_as_it_is() -> None:
    watch, stray = Watch(), instance(Phase.HOT, pool="other")
    assert all(not watch.look([stray], {"aaaa": SILENT}, {}, {"images": RULES}, NOW + 10.0 * n) for n in range(100))


def test_a_lost_machine_is_down() -> None:
    assert condition(instance(Phase.LOST)) is Condition.DOWN


# --- "GPU utilization | < 20% for 1hr | < 10% for 2hr | Scale down" ---------------------------------------------------

HOUR = 3600.0

UTILISATION = [
    # share of its time at work, for how long, the verdict
    (0.19, HOUR - TICK_S, "normal"),
    (0.19, HOUR, "low"),
    (0.20, 5 * HOUR, "normal"),
    (0.10, 5 * HOUR, "low"),
    (0.09, HOUR, "low"),
    (0.09, 2 * HOUR - TICK_S, "low"),
    (0.09, 2 * HOUR, "idle"),
    (0.0, 2 * HOUR, "idle"),
    (None, 5 * HOUR, "normal"),
]


@pytest.mark.parametrize(("share", "seconds", "use"), UTILISATION)
def test_a_gpu_used_too_little_for_long(share: float | None, seconds: float, use: str) -> None:
    bench = Bench(Health())
    bench.look(Signals(gpu_share=share))
    bench.live(seconds, Signals(gpu_share=share))
    assert bench.machine.gpu_use == use


@pytest.mark.parametrize("between", [0.5, None])
def test_an_hour_is_one_without_a_break(between: float | None) -> None:
    bench = Bench(Health())
    for _ in range(4):
        bench.live(0.9 * HOUR, Signals(gpu_share=0.05))
        bench.live(10.0, Signals(gpu_share=between))
    assert bench.machine.gpu_use == "normal"


def test_an_idle_gpu_is_only_low_again_above_the_lower_mark_and_normal_above_the_upper() -> None:
    bench, told = Bench(Health()), []
    bench.live(2 * HOUR + 10.0, Signals(gpu_share=0.0))
    for share in (0.09, 0.15, 0.09, 0.25, 0.15):
        bench.live(10.0, Signals(gpu_share=share))
        told.append(str(bench.machine.gpu_use))
    assert told == ["idle", "low", "low", "normal", "normal"]


def test_a_verdict_on_a_gpu_outlives_a_restart_and_what_led_half_way_to_it_does_not() -> None:
    bench = Bench(Health())
    bench.live(HOUR + 10.0, Signals(gpu_share=0.05))
    for seconds, use in [(10.0, "low"), (HOUR, "low"), (HOUR, "idle")]:
        bench.watch = Watch() if seconds < HOUR else bench.watch
        bench.live(seconds, Signals(gpu_share=0.05))
        assert bench.machine.gpu_use == use
    bench.watch = Watch()
    bench.live(10.0, Signals(gpu_share=0.05))
    assert bench.machine.gpu_use == "idle"


# --- boots that take too long -----------------------------------------------------------------------------------------

KNOWN = PlacementHistory(setup=Estimate(1000.0, 100.0**2, 5))
LATE = [
    # how long ago it was ordered, what is known of others, how it boots, whether it is late
    (2000.0, KNOWN, {}, False),
    (2001.0, KNOWN, {}, True),
    (1900.0, PlacementHistory(setup=Estimate(1000.0, 300.0**2, 5)), {}, False),
    (2001.0, PlacementHistory(setup=Estimate(1000.0, 400.0**2, 5)), {}, False),
    (9999.0, PlacementHistory(setup=Estimate(1000.0, 0.0, 2)), {}, False),
    (9999.0, KNOWN, {"resumed": True}, False),
    (9999.0, KNOWN, {"phase": Phase.HOT}, False),
]


@pytest.mark.parametrize(("ago", "history", "changes", "late"), LATE)
def test_a_boot_is_late_by_what_others_took(
    ago: float, history: PlacementHistory, changes: dict[str, object], late: bool
) -> None:
    machine = instance(**({"phase": Phase.BOOTING, "ordered_at": NOW - ago} | changes))  # type: ignore[arg-type]
    assert is_late(machine, history, NOW) is late
