"""What the loops of several pools report is told as the one report of a round."""

from __future__ import annotations

from autoscaler.core.demand import Unknown
from autoscaler.core.market import Listing
from autoscaler.runtime.gather import Gathered, merged
from autoscaler.runtime.report import Account, TickReport
from tests.support.build import NOW, instance


class Ear:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def ticked(self, report: TickReport) -> None:
        self.told.append(sorted(report.instances))

    def failed(self, reason: str, now: float) -> None:
        self.told.append(reason)


def a_report(name: str, **changes: object) -> TickReport:
    fields = {"leads": True, "leaders": {name: "me"}, "instances": {name: instance(id=name)}} | changes
    return TickReport(at=NOW, duration_s=0.1, **fields)  # type: ignore[arg-type]


def test_a_round_is_told_once_and_a_pool_whose_tick_failed_keeps_its_newest_good_one() -> None:
    ear = Ear()
    gathered = Gathered(ear)  # type: ignore[arg-type]
    a, b = gathered.of("a"), gathered.of("b")
    a.ticked(a_report("a"))
    b.ticked(a_report("b"))
    gathered.over()
    a.ticked(a_report("a"))
    b.failed("its records cannot be read", NOW)
    gathered.over()
    assert ear.told == [["a", "b"], ["a", "b"], "b: its records cannot be read"]


def test_one_reason_is_told_once_for_all_pools_and_without_names_where_there_is_one_loop() -> None:
    ear = Ear()
    gathered = Gathered(ear)  # type: ignore[arg-type]
    for name in "ab":
        gathered.of(name).failed("Redis is away", NOW)
    gathered.over()
    gathered = Gathered(ear)  # type: ignore[arg-type]
    gathered.of("").failed("Redis is away", NOW)
    gathered.over()
    assert ear.told == ["a, b: Redis is away", "Redis is away"]


def test_a_pool_that_another_daemon_leads_shows_its_leader_and_nothing_else() -> None:
    other = TickReport(at=NOW, duration_s=0.0, leads=False, leaders={"b": "another"})
    together = merged([a_report("a"), other])
    assert (together.leads, together.leaders) == (True, {"a": "me", "b": "another"})
    assert set(together.instances) == {"a"}


def test_a_listing_that_any_loop_has_counts_and_bills_of_all_pools_add_up_where_all_are_known() -> None:
    listing = Listing(machines=(), asked_at=NOW)
    first = a_report(
        "a", listings={"mock": Unknown("away", NOW)}, accounts={"mock": Account(balance_usd=9.0, billed_today_usd=1.0)}
    )
    second = a_report("b", listings={"mock": listing}, accounts={"mock": Account(billed_today_usd=2.0)})
    together = merged([first, second])
    assert together.listings == {"mock": listing}
    assert together.accounts == {"mock": Account(balance_usd=9.0, billed_today_usd=3.0)}


def test_a_round_tells_only_what_it_found() -> None:
    ear = Ear()
    gathered = Gathered(ear)  # type: ignore[arg-type]
    a, b = gathered.of("a"), gathered.of("b")
    a.ticked(a_report("a"))
    b.ticked(a_report("b"))
    gathered.over()
    gathered.keep({"b"})
    b.failed("Redis is away", NOW)
    gathered.over()
    b.ticked(a_report("b"))
    gathered.over()
    assert ear.told == [["a", "b"], "b: Redis is away", ["b"]]


def test_the_records_of_a_loop_that_leads_no_more_are_another_daemons() -> None:
    lost = a_report("b", leads=False)
    assert set(merged([a_report("a"), lost]).instances) == {"a"}
