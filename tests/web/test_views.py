"""The one JSON form of a fleet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.decision import NO_CEILING
from autoscaler.core.demand import Unknown
from autoscaler.core.diagnosis import Diagnosis, ImageHistory
from autoscaler.core.ledger import DayLedger, Spent, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import MachineSpec, Pool
from autoscaler.core.utilisation import Use
from autoscaler.runtime.report import Account
from autoscaler.web.views import Board
from tests.support.reports import DECISION, FLEET, NOW, listing, machine, pool_report, report

LATER = NOW + 60.0


@pytest.fixture
def board() -> Board:
    return Board(FLEET)


def shape(value: object) -> object:
    """The keys of a JSON value at every depth; of a list, those of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return None


def keys(names: str) -> dict[str, None]:
    return dict.fromkeys(names.split())


def only(view: Mapping[str, Any], name: str) -> dict[str, Any]:
    [item] = view[name]
    return {**item}


def test_the_form_is_stable(board: Board) -> None:
    board.ticked(report(machine(ailment="its fan howls")))
    reasons = [keys("rule text")]
    plan = {
        "up": None,
        "decision": {
            **keys("hot warm standby ceiling"),
            "needs": [keys("tier hot")],
            "why": reasons,
            "why_not": reasons,
        },
        "commands": [keys("action instance placement reason usd_per_hour")],
    }
    tier = keys("tier waiting waiting_is_lower_bound delayed next_due_at oldest_wait_s age_source wait_target_s")
    demand = keys("unknown waiting in_flight in_flight_kind oldest_wait_s paused seen")
    instance = keys(
        "id pool placement provider provider_id phase serving phase_since since_s reason gpu region host buy busy "
        "slots usd_per_hour usd_spent address tier health ailment diagnosis gpu_use adopted primary"
    )
    caps = keys(" ".join(f"usd_per_{each}_warn usd_per_{each}_stop" for each in ("hour", "day", "month")))
    pool: dict[str, Any] = {
        "name": None,
        **plan,
        "demand": {**demand, "warnings": [], "advice": {}, "tiers": [tier]},
        "admission": [keys("pool tier accept expected_wait_s retry_after_s message why")],
        "phases": keys("planned renting booting hot draining stopping warm resuming releasing lost"),
        "limits": {**keys("hot warm"), **caps},
        **keys("image_given_up usd_today usd_month usd_month_forecast usd_per_hour"),
    }
    assert shape(board.status(LATER)) == {
        **keys("fleet version at age_s leads error clock"),
        "leaders": {},
        "orders": [],
        "concerns": [keys("name severity text command pool subject")],
        **keys("usd_per_hour usd_today usd_month usd_month_forecast"),
        "limits": caps,
        "pools": [pool],
        "instances": [instance],
        "providers": [keys("name unknown listing_age_s machines balance_usd")],
    }
    assert shape(board.plan()) == {"at": None, "pools": [{"name": None, **plan}]}
    assert shape(board.instances(LATER)) == {"instances": [instance]}


def test_before_the_first_tick_nothing_is_claimed(board: Board) -> None:
    status = board.status(NOW)
    assert (status["fleet"], status["clock"], status["leads"]) == (FLEET, NOW, False)
    assert (status["at"], status["age_s"], status["error"]) == (None, None, None)
    assert (status["pools"], status["instances"], status["providers"]) == ([], [], [])
    assert board.plan() == {"at": None, "pools": []}
    assert board.instances(NOW) == {"instances": []}


def test_a_failed_tick_leaves_the_last_good_one_and_says_why(board: Board) -> None:
    board.ticked(report(machine()))
    board.failed("Redis did not answer in time", NOW + 10)
    status = board.status(LATER)
    assert (status["at"], status["age_s"]) == (NOW, 60.0)
    assert status["error"] == "Redis did not answer in time"
    assert len(status["instances"]) == 1


def test_a_good_tick_takes_the_error_away(board: Board) -> None:
    board.failed("Redis did not answer in time", NOW)
    board.ticked(report())
    assert board.status(LATER)["error"] is None


def test_of_an_unknown_queue_no_number_is_shown(board: Board) -> None:
    board.ticked(report(pools={"images": pool_report(demand=Unknown("NOPERM", NOW))}))
    demand = only(board.status(LATER), "pools")["demand"]
    assert demand["unknown"] == "NOPERM"
    assert {demand[name] for name in ("waiting", "in_flight", "oldest_wait_s", "paused", "seen")} == {None}
    assert demand["tiers"] == []


def test_each_tier_bears_its_wait_target(board: Board) -> None:
    board.ticked(report())
    tiers = only(board.status(LATER), "pools")["demand"]["tiers"]
    assert [(tier["tier"], tier["waiting"], tier["wait_target_s"]) for tier in tiers] == [
        ("pro", 3, 30.0),
        ("free", 9, 300.0),
    ]


def test_machines_are_sorted_by_pool_and_age_and_tombstones_left_out(board: Board) -> None:
    board.ticked(
        report(
            machine("young", created_at=NOW - 5),
            machine("old", created_at=NOW - 50),
            machine("dead", Phase.GONE),
            machine("other", pool="audio"),
        )
    )
    assert [instance["id"] for instance in board.instances(LATER)["instances"]] == ["other", "old", "young"]


@pytest.mark.parametrize(
    ("phase", "busy", "serving"),
    [
        (Phase.HOT, {"m1": 1}, True),
        (Phase.HOT, {"m1": 0}, False),
        (Phase.HOT, {}, False),
        (Phase.DRAINING, {"m1": 1}, False),
    ],
)
def test_serving_is_hot_with_known_work(board: Board, phase: Phase, busy: dict[str, int], serving: bool) -> None:
    record = machine("m1", phase)
    board.ticked(report(record, pools={"images": pool_report(record, busy=busy)}))
    shown = only(board.instances(LATER), "instances")
    assert (shown["serving"], shown["busy"]) == (serving, busy.get("m1"))


def test_a_machine_bears_what_was_found_out_about_it(board: Board) -> None:
    board.ticked(
        report(
            machine("ailing", ailment="its worker has fallen silent", gpu_use=Use.LOW, created_at=NOW - 3),
            machine("late", Phase.BOOTING, diagnosis=Diagnosis.SLOW_PULL, created_at=NOW - 2),
            machine("apart", tier="pro", created_at=NOW - 1),
            machine("gone", Phase.LOST),
        )
    )
    found = {
        shown["id"]: (shown["health"], shown["ailment"], shown["diagnosis"], shown["gpu_use"], shown["tier"])
        for shown in board.instances(LATER)["instances"]
    }
    assert found == {
        "ailing": ("degraded", "its worker has fallen silent", None, "low", None),
        "late": ("healthy", "", "slow_pull", "normal", None),
        "apart": ("healthy", "", None, "normal", "pro"),
        "gone": ("down", "", None, "normal", None),
    }


def test_a_decision_bears_what_each_tier_needs_and_a_ceiling_only_where_there_is_one(board: Board) -> None:
    open_ended = replace(DECISION, ceiling=NO_CEILING, needs=())
    pools = {"images": pool_report(), "audio": replace(pool_report(), decision=open_ended)}
    board.ticked(report(pools=pools))
    shown = [pool["decision"] for pool in board.plan()["pools"]]
    assert [(each["ceiling"], each["standby"], each["needs"]) for each in shown] == [
        (4, 1, [{"tier": "pro", "hot": 1}, {"tier": "free", "hot": 2}]),
        (None, 1, []),
    ]


def test_an_image_that_was_given_up_is_told_of(board: Board) -> None:
    crashed = ImageHistory(crashed={"h1": NOW, "h2": NOW})
    known = pool_report()
    board.ticked(report(pools={"images": replace(known, snapshot=replace(known.snapshot, image=crashed))}))
    assert only(board.status(LATER), "pools")["image_given_up"] is True


def test_ages_and_money_run_on_between_ticks(board: Board) -> None:
    board.ticked(report(machine()))
    shown = only(board.instances(NOW + 3600), "instances")
    assert shown["since_s"] == 7200
    assert shown["usd_per_hour"] == 0.4
    assert shown["usd_spent"] == pytest.approx(0.8)


def test_only_the_oldest_hot_machine_is_primary(board: Board) -> None:
    board.ticked(report(machine("a", created_at=NOW - 9), machine("b", created_at=NOW - 99), machine("c", Phase.WARM)))
    shown = board.instances(LATER)["instances"]
    assert [instance["id"] for instance in shown if instance["primary"]] == ["b"]


def test_a_pool_counts_its_own_machines_and_the_fleet_all(board: Board) -> None:
    records = [machine("a"), machine("b", Phase.WARM, burn_usd_per_hour=0.01), machine("s", pool="typo")]
    board.ticked(report(*records, pools={"images": pool_report(*records[:2])}))
    status = board.status(LATER)
    pool = only(status, "pools")
    assert {phase: count for phase, count in pool["phases"].items() if count} == {"hot": 1, "warm": 1}
    assert pool["usd_per_hour"] == pytest.approx(0.41)
    assert status["usd_per_hour"] == pytest.approx(0.81)
    assert (pool["usd_today"], status["usd_today"]) == (1.75, 1.75)


def test_what_a_pool_cost_that_left_the_configuration_counts_for_the_fleet(board: Board) -> None:
    books = {day_of(NOW): DayLedger(day=day_of(NOW), booked_until=NOW, pools={"former": Spent(running_usd=4.0)})}
    board.ticked(report(books=books))
    status = board.status(LATER)
    assert (status["usd_today"], status["usd_month"]) == (5.75, 4.0)


def test_up_is_what_the_decision_was_held_against(board: Board) -> None:
    hot, planned = machine("a"), machine("new", Phase.PLANNED)
    board.ticked(report(hot, planned, pools={"images": pool_report(hot)}))
    pool = only(board.status(LATER), "pools")
    assert (pool["up"], pool["decision"]["hot"], len(pool["commands"])) == (1, 2, 1)
    assert pool["phases"]["planned"] == 1


def test_a_command_to_rent_bears_its_price(board: Board) -> None:
    board.ticked(report())
    [command] = only(board.plan(), "pools")["commands"]
    assert (command["action"], command["instance"], command["placement"]) == ("rent", None, "mock-spot")
    assert command["usd_per_hour"] == 0.41


def test_a_provider_shows_its_listings_age_its_balance_and_our_machines_only(board: Board) -> None:
    listings = {"mock": listing("a", "b"), "vastai": Unknown("AuthFailed", NOW)}
    board.ticked(report(listings=listings, accounts={"mock": Account(balance_usd=12.5)}))
    assert board.status(LATER)["providers"] == [
        {"name": "mock", "unknown": None, "listing_age_s": 64.0, "machines": 2, "balance_usd": 12.5},
        {"name": "vastai", "unknown": "AuthFailed", "listing_age_s": None, "machines": None, "balance_usd": None},
    ]


def test_every_view_is_json(board: Board) -> None:
    bare = Pool(name="bare", tiers=(), machine=MachineSpec(image="", gpus=()), placements=())
    pools = {"images": pool_report(), "bare": pool_report(pool=bare, demand=Unknown("away", NOW), commands=())}
    board.ticked(replace(report(*(machine(f"m-{phase}", phase) for phase in Phase)), pools=pools))
    for view in (board.status(LATER), board.plan(), board.instances(LATER)):
        assert json.loads(json.dumps(view, allow_nan=False)) == view
