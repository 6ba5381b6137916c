"""What Prometheus gets to see."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.core.admission import Admission
from autoscaler.core.decision import Action, Command, Result
from autoscaler.core.demand import Unknown
from autoscaler.core.diagnosis import Diagnosis, ImageHistory
from autoscaler.core.findings import diagnosis_entry
from autoscaler.core.journal import alarm_entry, command_entry, loss_entry
from autoscaler.core.ledger import DayLedger, Spent, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.money import CAPS
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.core.signal import Fall, Reading, Signal
from autoscaler.core.spec import Cap, FleetLimits, Limits, Placement
from autoscaler.core.utilisation import Use
from autoscaler.runtime.report import Account, PoolReport
from autoscaler.telemetry.gauges import UNCONFIGURED
from autoscaler.telemetry.metrics import Metrics
from tests.support.reports import DEMAND, NOW, POOL, listing, machine, outcome, pool_report, report

DAY = 86400.0
LABELS = (
    *("pool", "tier", "provider", "placement", "action", "result", "phase", "health", "use", "diagnosis", "outcome"),
    *("call", "version", "le", "day", "code", "for"),
)
UNITS = ("seconds", "jobs", "instances", "usd", "usd_today", *CAPS, "total", "info")
UNITLESS = {
    "queue_unknown",
    "queue_fall_doubted",
    "queue_paused",
    "queue_warning",
    "listing_unknown",
    "leader",
    "pool_leader",
    "pool_paused",
    "image_given_up",
    "admission_open",
}  # 0 or 1


class Scrape:
    """A daemon's metrics, as the scraper parses them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.led = {"images"}
        self.metrics = Metrics(self.registry, lambda: self.led)

    def text(self) -> str:
        return generate_latest(self.registry).decode()

    def families(self) -> dict[str, Metric]:
        return {family.name: family for family in text_string_to_metric_families(self.text())}

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        return {
            tuple(sample.labels[label] for label in LABELS if label in sample.labels): sample.value
            for family in self.families().values()
            for sample in family.samples
            if sample.name == f"autoscaler_{name}"
        }


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def used(scrape: Scrape) -> Scrape:
    """A scrape after something of everything has happened."""
    warm = machine("m2", Phase.WARM)
    scrape.metrics.ticked(report(machine(), warm))
    scrape.metrics.failed("away", NOW + 10)
    scrape.metrics.ticked(report(machine(), warm, at=NOW + 20))
    scrape.metrics.called("mock", outcome())
    scrape.metrics.asked("mock", "list_machines", Result.OK, 1.5)
    scrape.metrics.came_up("mock-spot", 1900.0, resumed=False)
    scrape.metrics.came_up("mock-spot", 200.0, resumed=True)
    scrape.metrics.noted(alarm_entry(machine(), NOW))
    scrape.metrics.noted(diagnosis_entry(machine(), Diagnosis.NO_CAPACITY, NOW))
    return scrape


def paused(by: str, pool: str = "") -> Orders:
    return Orders(standing=(Order(kind=OrderKind.PAUSE, subject=pool, by=by, at=NOW),))


def test_each_metric_has_help_a_type_and_known_labels_and_is_ours(scrape: Scrape) -> None:
    for family in used(scrape).families().values():
        assert family.name.startswith("autoscaler_"), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in ("gauge", "counter", "histogram"), family.name
        assert re.fullmatch(r"[a-z_]+", family.name), family.name
        assert all(label in LABELS for sample in family.samples for label in sample.labels), family.name


def test_each_metric_ends_with_its_unit_and_only_counters_with_total(scrape: Scrape) -> None:
    for line in used(scrape).text().splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            assert name.removeprefix("autoscaler_") in UNITLESS or name.endswith(UNITS), name
            assert name.endswith("_total") == (kind == "counter"), name


def test_no_series_tells_when_another_one_was_created(scrape: Scrape) -> None:
    assert "_created" not in used(scrape).text()


def test_the_queue_is_shown_by_pool_and_tier(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    assert scrape.samples("queue_depth_jobs") == {("images", "pro"): 3, ("images", "free"): 9}
    assert scrape.samples("queue_in_flight_jobs") == {("images",): 2}
    assert scrape.samples("queue_unknown") == {("images",): 0}
    assert scrape.samples("queue_signal_age_seconds") == {("images",): 0}


def test_a_wait_that_is_not_known_is_absent(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    assert scrape.samples("queue_oldest_wait_seconds") == {("images", "pro"): 4.5}


def test_of_an_unknown_queue_only_that_and_since_when_is_shown(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    scrape.metrics.ticked(report(pools={"images": pool_report(demand=Unknown("NOPERM", NOW - 50))}))
    assert scrape.samples("queue_unknown") == {("images",): 1}
    assert scrape.samples("queue_signal_age_seconds") == {("images",): 50}
    for name in ("queue_depth_jobs", "queue_oldest_wait_seconds", "queue_in_flight_jobs"):
        assert scrape.samples(name) == {}


def with_signal(signal: Signal, **changes: Any) -> PoolReport:
    of = pool_report(**changes)
    return replace(of, snapshot=replace(of.snapshot, signal=signal))


def test_the_age_of_a_signal_counts_from_the_last_good_reading(scrape: Scrape) -> None:
    signal = Signal(failures=1, good=Reading(at=NOW - 60, jobs=3, parts="waiting", slots=1))
    scrape.metrics.ticked(report(pools={"images": with_signal(signal, demand=Unknown("NOPERM", NOW - 50))}))
    assert scrape.samples("queue_signal_age_seconds") == {("images",): 60}


def test_a_fall_that_is_doubted_is_shown(scrape: Scrape) -> None:
    fall = Fall(at=NOW, within_s=10.0, before=1000, after=0, most=30, slots=3)
    for signal, shown in ((Signal(), 0), (Signal(fall=fall), 1)):
        scrape.metrics.ticked(report(pools={"images": with_signal(signal)}))
        assert scrape.samples("queue_fall_doubted") == {("images",): shown}


def test_who_is_let_in_and_what_a_job_would_wait_is_shown_by_pool_and_tier(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    assert scrape.samples("admission_open") == {("images", "pro"): 1.0, ("images", "free"): 0.0}
    assert scrape.samples("expected_wait_seconds") == {("images", "pro"): 12.0, ("images", "free"): 95.0}


def test_a_wait_without_end_is_infinite_and_one_that_is_not_known_absent(scrape: Scrape) -> None:
    endless = Admission(pool="images", tier="pro", expected_wait_s=math.inf)
    unknown = Admission(pool="images", tier="free")
    scrape.metrics.ticked(report(pools={"images": pool_report(admission=(endless, unknown))}))
    assert scrape.samples("expected_wait_seconds") == {("images", "pro"): math.inf}
    assert scrape.samples("admission_open") == {("images", "pro"): 1.0, ("images", "free"): 1.0}


def test_what_makes_a_queue_s_numbers_less_than_exact_is_a_series_each(scrape: Scrape) -> None:
    odd = replace(DEMAND, paused=True, advice={"clock_skew": "", "group_absent": ""})
    scrape.metrics.ticked(report(pools={"images": pool_report(demand=odd)}))
    assert scrape.samples("queue_warning") == {("images", "clock_skew"): 1, ("images", "group_absent"): 1}
    assert scrape.samples("queue_paused") == {("images",): 1}
    scrape.metrics.ticked(report())
    assert scrape.samples("queue_warning") == {}
    assert scrape.samples("queue_paused") == {("images",): 0}


def test_delayed_jobs_are_shown_where_the_queue_can_tell(scrape: Scrape) -> None:
    tiers = (replace(DEMAND.tiers[0], delayed=4), replace(DEMAND.tiers[1], delayed=None))
    scrape.metrics.ticked(report(pools={"images": pool_report(demand=replace(DEMAND, tiers=tiers))}))
    assert scrape.samples("queue_delayed_jobs") == {("images", "pro"): 4}


def test_in_flight_jobs_that_a_queue_hides_are_absent(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(pools={"images": pool_report(demand=replace(DEMAND, in_flight=None))}))
    assert scrape.samples("queue_in_flight_jobs") == {}


def test_every_phase_is_always_present_and_tombstones_do_not_count(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(machine("a"), machine("b"), machine("c", Phase.WARM), machine("d", Phase.GONE)))
    counts = scrape.samples("instances")
    assert {phase for _, _, phase in counts} == {phase.value for phase in Phase} - {"gone"}
    assert {key[2]: count for key, count in counts.items() if count} == {"hot": 2, "warm": 1}
    assert {key[:2] for key in counts} == {("images", "mock")}


def test_a_provider_without_machines_has_zeros(scrape: Scrape) -> None:
    places = (*POOL.placements, Placement(provider="other", max_usd_per_hour=1.0))
    scrape.metrics.ticked(report(pools={"images": pool_report(pool=replace(POOL, placements=places))}))
    assert scrape.samples("instances")["images", "other", "hot"] == 0


def test_series_of_a_pool_end_with_it(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(machine()))
    scrape.metrics.ticked(report(machine(), leads=False, pools={}, instances={}, listings={}))
    for name in ("instances", "queue_depth_jobs", "desired_hot_instances", "usd_per_hour", "listing_age_seconds"):
        assert scrape.samples(name) == {}


def test_names_that_are_not_configured_share_one_label(scrape: Scrape) -> None:
    strays = [machine(f"s{n}", pool=f"typo-{n}", provider=f"cloud-{n}") for n in range(5)]
    scrape.metrics.ticked(report(*strays))
    assert scrape.samples("instances")[UNCONFIGURED, UNCONFIGURED, "hot"] == 5
    assert scrape.samples("usd_per_hour")[UNCONFIGURED,] == pytest.approx(2.0)
    assert "typo" not in scrape.text()
    assert "cloud-" not in scrape.text()


def test_wishes_money_and_budgets_are_shown_by_pool(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(machine("a"), machine("b", Phase.WARM, burn_usd_per_hour=0.01)))
    expected = {
        "desired_hot_instances": 2,
        "desired_warm_instances": 1,
        "usd_per_hour": 0.41,
        "usd_today": 1.75,
        "budget_warn_usd_per_day": 20,
        "budget_stop_usd_per_day": 30,
        "month_to_date_usd": 0,
    }
    for name, value in expected.items():
        assert scrape.samples(name) == {("images",): pytest.approx(value)}, name


def test_a_forecast_and_caps_are_shown_where_there_are_any(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    names = ["month_forecast_usd", "budget_stop_usd_per_hour", "budget_warn_usd_per_month"]
    names.append("fleet_budget_stop_usd_per_day")
    assert not any(scrape.samples(name) for name in names)

    capped = replace(POOL, limits=Limits(usd_per_hour=Cap(warn=2, stop=3), usd_per_month=Cap(warn=400, stop=600)))
    pool = pool_report(pool=capped)
    pool = replace(pool, snapshot=replace(pool.snapshot, spent_month_usd=246.0, forecast_usd=360.0))
    scrape.metrics.ticked(report(pools={"images": pool}, limits=FleetLimits(usd_per_day=Cap(warn=40, stop=50))))
    assert [scrape.samples(name) for name in ("month_to_date_usd", *names)] == [
        {("images",): 246.0},
        {("images",): 360.0},
        {("images",): 3.0},
        {("images",): 400.0},
        {(): 50.0},
    ]


def test_what_pools_cost_that_left_the_configuration_is_shown_for_the_fleets_caps(scrape: Scrape) -> None:
    books = {day_of(NOW): DayLedger(day=day_of(NOW), booked_until=NOW, pools={"former": Spent(running_usd=4.0)})}
    scrape.metrics.ticked(report(books=books))
    assert scrape.samples("usd_today") == {("images",): 1.75, ("_unconfigured",): 4.0}
    assert scrape.samples("month_to_date_usd") == {("images",): 0.0, ("_unconfigured",): 4.0}


def test_how_long_a_job_should_wait_is_shown_though_the_queue_cannot_be_read(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(pools={"images": pool_report(demand=Unknown("NOPERM", NOW - 50))}))
    assert scrape.samples("wait_target_seconds") == {("images", "pro"): 30, ("images", "free"): 300}


def test_stuck_machines_are_counted_by_phase_and_with_what_they_cost(scrape: Scrape) -> None:
    stray = machine("s", Phase.RELEASING, pool="typo", alarmed=True, burn_usd_per_hour=0.1)
    scrape.metrics.ticked(report(machine("a", Phase.DRAINING, alarmed=True), machine("b"), stray))
    counts = scrape.samples("stuck_instances")
    assert {key: count for key, count in counts.items() if count} == {
        ("images", "draining"): 1,
        (UNCONFIGURED, "releasing"): 1,
    }
    assert len(counts) == 16, "8 phases that wait, of the pool and of the stray"
    assert scrape.samples("stuck_usd_per_hour") == {("images",): 0.4, (UNCONFIGURED,): 0.1}


def test_stopped_machines_that_do_not_come_back_are_counted_with_what_they_have_cost(scrape: Scrape) -> None:
    warm = machine("a", Phase.WARM, refusals=3, usd_spent=1.0, burn_usd_per_hour=0.1)
    scrape.metrics.ticked(report(warm, machine("b", Phase.WARM, refusals=2)))
    assert scrape.samples("lost_standby_instances") == {("images",): 1}
    assert scrape.samples("lost_standby_usd") == {("images",): pytest.approx(1.1)}


def test_what_idle_gpus_cost_is_told_apart(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(machine("a", gpu_use=Use.IDLE), machine("b"), machine("c")))
    burning = {("images", "normal"): 0.8, ("images", "low"): 0, ("images", "idle"): 0.4}
    assert scrape.samples("gpu_use_usd_per_hour") == pytest.approx(burning)


def test_what_machines_cost_is_told_by_provider_and_zero_where_none_is(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(machine("a"), machine("b"), listings={"mock": listing(), "other": listing()}))
    assert scrape.samples("provider_usd_per_hour") == {("mock",): 0.8, ("other",): 0.0}


def test_each_daemon_says_of_each_pool_whether_it_leads_it(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(leaders={"images": "me", "llm": "you"}))
    assert scrape.samples("pool_leader") == {("images",): 1, ("llm",): 0}
    scrape.led.clear()
    scrape.metrics.ticked(report(leads=False, pools={}, leaders={"images": "you", "llm": ""}))
    assert scrape.samples("pool_leader") == {("images",): 0, ("llm",): 0}


def test_a_daemon_whose_lease_may_be_anothers_does_not_say_that_it_leads_though_its_ticks_fail(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(leaders={"images": "me"}))
    assert scrape.samples("leader") == {(): 1}
    scrape.led.clear()
    scrape.metrics.failed("Redis cannot be reached", NOW + 30.0)
    assert scrape.samples("leader") == {(): 0}
    assert scrape.samples("pool_leader") == {("images",): 0}


def test_money_adds_up_over_midnight_and_over_failed_ticks(scrape: Scrape) -> None:
    start = (NOW // DAY) * DAY + DAY - 3600.0
    hot = machine(created_at=start, booked_at=start)
    totals = []
    for hours in (0, 0.5, 3, 3, 50):
        scrape.metrics.ticked(report(hot, at=start + hours * 3600))
        totals.append(scrape.samples("usd_total")["images",])
    assert totals == pytest.approx([0, 0.2, 1.2, 1.2, 20.0])


def test_money_spent_before_the_lead_was_taken_is_not_counted_again(scrape: Scrape) -> None:
    hot = machine()
    scrape.metrics.ticked(report(hot))
    scrape.metrics.ticked(report(hot, at=NOW + 3600))
    scrape.metrics.ticked(report(at=NOW + 7200, leads=False, pools={}))
    scrape.metrics.ticked(report(hot, at=NOW + 10800))
    scrape.metrics.ticked(report(hot, at=NOW + 14400))
    assert scrape.samples("usd_total") == {("images",): pytest.approx(0.8)}


def test_a_machine_rented_since_counts_from_its_first_cent_and_one_gone_to_its_last(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    hot = machine(created_at=NOW, booked_at=NOW)
    scrape.metrics.ticked(report(hot, at=NOW + 3600))
    gone = replace(hot.booked(NOW + 5400), phase=Phase.GONE, burn_usd_per_hour=0.0)
    scrape.metrics.ticked(report(gone, at=NOW + 7200))
    scrape.metrics.ticked(report(at=NOW + 99999))
    assert scrape.samples("usd_total") == {("images",): pytest.approx(0.6)}


def test_money_never_falls_when_the_clock_does(scrape: Scrape) -> None:
    for seconds in (0, 3600, 1800, 3600, 7200):
        scrape.metrics.ticked(report(machine(), at=NOW + seconds))
    assert scrape.samples("usd_total") == {("images",): pytest.approx(0.8)}


def test_calls_count_by_provider_action_and_result(scrape: Scrape) -> None:
    scrape.metrics.called("mock", outcome())
    scrape.metrics.called("mock", outcome(Action.RESUME, Result.NO_CAPACITY))
    scrape.metrics.called("mock", outcome(Action.RESUME, Result.NO_CAPACITY))
    calls = {("mock", "rent", "ok"): 1, ("mock", "resume", "no_capacity"): 2}
    assert scrape.samples("provider_calls_total") == calls
    assert scrape.samples("actions_total") == {key[1:]: count for key, count in calls.items()}


def test_an_action_that_calls_nobody_counts_when_it_is_decided(scrape: Scrape) -> None:
    for action in (Action.DRAIN, Action.UNDRAIN, Action.STOP):
        command = Command(action=action, pool="images", instance="m1", reason="")
        scrape.metrics.noted(command_entry(command, NOW))
    assert scrape.samples("actions_total") == {("drain", "ok"): 1, ("undrain", "ok"): 1}


def test_start_times_from_half_a_minute_to_two_hours_are_told_apart(scrape: Scrape) -> None:
    scrape.metrics.came_up("mock-spot", 45.0, resumed=True)
    scrape.metrics.came_up("mock-spot", 6000.0, resumed=False)
    resumes, setups = scrape.samples("resume_seconds_bucket"), scrape.samples("setup_seconds_bucket")
    assert resumes["mock-spot", "30.0"] == 0
    assert resumes["mock-spot", "60.0"] == 1
    assert setups["mock-spot", "5400.0"] == 0
    assert setups["mock-spot", "7200.0"] == 1


def test_ticks_count_by_outcome_from_the_start(scrape: Scrape) -> None:
    assert scrape.samples("ticks_total") == {("good",): 0, ("failed",): 0}
    scrape.metrics.ticked(report())
    scrape.metrics.failed("Redis did not answer in time", NOW + 10)
    assert scrape.samples("ticks_total") == {("good",): 1, ("failed",): 1}
    assert scrape.samples("tick_duration_seconds_count") == {(): 1}
    assert scrape.samples("last_good_tick_timestamp_seconds") == {(): NOW}


def test_before_the_first_tick_nothing_is_claimed(scrape: Scrape) -> None:
    scrape.led.clear()
    names = {name for name, family in scrape.families().items() if family.samples}
    assert names == {
        "autoscaler_ticks",
        "autoscaler_alarms",
        "autoscaler_leader",
        "autoscaler_build_info",
        "autoscaler_tick_duration_seconds",
    }
    assert scrape.samples("leader") == {(): 0}


def test_ages_grow_while_ticks_fail(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    scrape.metrics.failed("away", NOW + 120)
    assert scrape.samples("queue_signal_age_seconds") == {("images",): 120}
    assert scrape.samples("listing_age_seconds") == {("mock",): 124}


def test_accounts_show_what_their_providers_tell(scrape: Scrape) -> None:
    told = Account(balance_usd=12.5, billed_today_usd=0.0, billed_yesterday_usd=3.25)
    scrape.metrics.ticked(report(accounts={"mock": told, "vastai": Account()}))
    assert scrape.samples("provider_balance_usd") == {("mock",): 12.5}
    assert scrape.samples("provider_billed_usd") == {("mock", "today"): 0.0, ("mock", "yesterday"): 3.25}


def test_a_listing_that_failed_has_no_age(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(listings={"mock": listing(), "vastai": Unknown("AuthFailed", NOW)}))
    assert scrape.samples("listing_age_seconds") == {("mock",): 4}
    assert scrape.samples("listing_unknown") == {("mock",): 0, ("vastai",): 1}


@pytest.mark.parametrize(("pool", "flag"), [("", 1), ("images", 1), ("another", 0)])
def test_a_pause_of_the_fleet_or_of_the_pool_is_a_flag_of_the_pool(scrape: Scrape, pool: str, flag: int) -> None:
    scrape.metrics.ticked(report(orders=paused("ann", pool)))
    assert scrape.samples("pool_paused") == {("images",): flag}
    scrape.metrics.ticked(report())
    assert scrape.samples("pool_paused") == {("images",): 0}


def test_who_leads_is_a_flag_and_who_does_not_tells_of_no_pause(scrape: Scrape) -> None:
    scrape.metrics.ticked(report(orders=paused("ann")))
    assert scrape.samples("leader") == {(): 1}
    scrape.led.clear()
    scrape.metrics.ticked(report(leads=False, pools={}))
    assert (scrape.samples("leader"), scrape.samples("pool_paused")) == ({(): 0}, {})


def test_alarms_count(scrape: Scrape) -> None:
    scrape.metrics.noted(alarm_entry(machine(), NOW))
    assert scrape.samples("alarms_total") == {(): 1}


def test_machines_that_went_while_they_served_count_by_pool_and_provider(scrape: Scrape) -> None:
    lost = machine(phase=Phase.LOST)
    loss = loss_entry(machine(), lost, 1, NOW)
    assert loss is not None
    scrape.metrics.noted(loss)
    assert scrape.samples("lost_machines_total") == {}
    for _ in range(2):
        scrape.metrics.ticked(report(lost))
    assert scrape.samples("lost_machines_total") == {("images", "mock"): 1}


def test_machines_count_by_health_and_by_the_use_of_their_gpu(scrape: Scrape) -> None:
    sick = machine("a", ailment="its worker has fallen silent", gpu_use=Use.LOW)
    scrape.metrics.ticked(report(sick, machine("b"), machine("c", Phase.LOST), machine("d", Phase.WARM)))
    healths = {"healthy": 1, "degraded": 1, "down": 1}
    assert scrape.samples("health_instances") == {("images", health): count for health, count in healths.items()}
    uses = {"normal": 1, "low": 1, "idle": 0}
    assert scrape.samples("gpu_use_instances") == {("images", use): count for use, count in uses.items()}


def test_what_went_wrong_is_counted_from_zero(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    assert scrape.samples("lost_machines_total") == {("images", "mock"): 0}
    assert scrape.samples("diagnoses_total") == {(each.value,): 0 for each in Diagnosis}


def test_diagnoses_count_by_their_code(scrape: Scrape) -> None:
    for diagnosis in (Diagnosis.CRASH_LOOP, Diagnosis.CRASH_LOOP, Diagnosis.SLOW_PULL):
        scrape.metrics.noted(diagnosis_entry(machine(), diagnosis, NOW))
    assert scrape.samples("diagnoses_total") == {("crash_loop",): 2, ("slow_pull",): 1}


def test_an_image_that_is_given_up_is_a_flag(scrape: Scrape) -> None:
    scrape.metrics.ticked(report())
    assert scrape.samples("image_given_up") == {("images",): 0}
    crashed = replace(pool_report().snapshot, image=ImageHistory(crashed={"h1": NOW, "h2": NOW}))
    scrape.metrics.ticked(report(pools={"images": replace(pool_report(), snapshot=crashed)}))
    assert scrape.samples("image_given_up") == {("images",): 1}


def test_the_version_is_shown(scrape: Scrape) -> None:
    assert list(scrape.samples("build_info").values()) == [1]


def test_a_hostile_name_stays_one_label(scrape: Scrape) -> None:
    hostile = 'a"} 1\nautoscaler_leader 7\n\\'
    pools: Mapping[str, object] = {hostile: pool_report()}
    scrape.metrics.ticked(report(pools=pools))
    assert scrape.samples("queue_unknown") == {(hostile,): 0}
    assert scrape.samples("leader") == {(): 1}


def test_free_text_never_becomes_a_label(scrape: Scrape) -> None:
    text = "some words of a provider"
    scrape.metrics.ticked(report(machine(reason=text), orders=paused(text), listings={"mock": Unknown(text, NOW)}))
    scrape.metrics.failed(text, NOW)
    scrape.metrics.called("mock", replace(outcome(), detail=text))
    assert text not in scrape.text()
