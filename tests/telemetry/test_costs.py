"""The counter of money by what it was for, as Prometheus gets to see it."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.core.ledger import Books, DayLedger, Spent, day_of
from autoscaler.core.purposes import Booting, Line, Purpose
from autoscaler.core.waste import Waste
from autoscaler.telemetry.metrics import Metrics
from tests.support.reports import NOW, report

TODAY = day_of(NOW)
BOOT, SERVING = (Line("mock-spot", "mock", "", purpose) for purpose in (Purpose.BOOT, Purpose.SERVING))


class Scrape:
    """A daemon's metrics, and the money in them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, frozenset)

    def tick(self, books: Books, **changes: Any) -> None:
        self.metrics.ticked(report(books=books, **changes))

    def usd(self, **labels: str) -> float | None:
        every = {"pool": "images", "placement": "mock-spot", "tier": "_shared", "for": "serving"} | labels
        return self.registry.get_sample_value("autoscaler_cost_usd_total", every)

    def series(self) -> int:
        return sum(
            sample.name == "autoscaler_cost_usd_total" for each in self.registry.collect() for sample in each.samples
        )


def day(lines: dict[Line, float], number: int = TODAY, **changes: Any) -> dict[int, DayLedger]:
    spent = Spent(running_usd=sum(lines.values()), lines=lines, **changes)
    return {number: DayLedger(day=number, booked_until=NOW, pools={"images": spent})}


def test_what_is_booked_while_it_leads_is_counted_and_what_was_before_is_not() -> None:
    scrape = Scrape()
    scrape.tick(day({SERVING: 5.0}))
    assert scrape.usd() is None
    scrape.tick(day({SERVING: 5.5}))
    scrape.tick(day({SERVING: 6.5}))
    assert scrape.usd() == pytest.approx(1.5)
    scrape.tick({}, leads=False, pools={}, instances={})
    scrape.tick(day({SERVING: 9.0}))
    scrape.tick(day({SERVING: 9.25}))
    assert scrape.usd() == pytest.approx(1.75), "another daemon counted what it booked"


def test_midnight_loses_nothing_of_the_day_before() -> None:
    scrape = Scrape()
    scrape.tick(day({SERVING: 5.0}))
    scrape.tick(day({SERVING: 5.5}) | day({SERVING: 0.25}, TODAY + 1))
    assert scrape.usd() == pytest.approx(0.75)


def test_a_boot_is_counted_when_it_has_ended_and_no_series_ever_falls() -> None:
    scrape = Scrape()
    booting = {"aaaa": Booting("mock-spot", "mock", 0.5)}
    under_way = Spent(running_usd=1.5, lines={BOOT: 0.5, SERVING: 1.0}, booting=booting)
    scrape.tick(day({SERVING: 1.0}))
    scrape.tick({TODAY: DayLedger(day=TODAY, booked_until=NOW, pools={"images": under_way})})
    assert scrape.usd(**{"for": "boot"}) is None
    came_up, failed = under_way.boot_over("aaaa", None), under_way.boot_over("aaaa", Waste.FAILED)
    scrape.tick({TODAY: DayLedger(day=TODAY, booked_until=NOW, pools={"images": failed})})
    assert (scrape.usd(**{"for": "boot"}), scrape.usd(**{"for": "failed_boot"})) == (None, 0.5)
    other = Scrape()
    other.tick({TODAY: DayLedger(day=TODAY, booked_until=NOW, pools={"images": under_way})})
    other.tick({TODAY: DayLedger(day=TODAY, booked_until=NOW, pools={"images": came_up})})
    assert other.usd(**{"for": "boot"}) == 0.5


def test_labels_are_names_of_the_configuration_whatever_the_books_hold() -> None:
    scrape = Scrape()
    scrape.tick({TODAY: DayLedger(day=TODAY, booked_until=NOW)})
    strange = [Line(f"place-{n}", "mock", f"tier-{n}", Purpose.SERVING) for n in range(100)]
    books = day(dict.fromkeys(strange, 0.01) | {SERVING._replace(tier="pro"): 2.0})
    books[TODAY] = books[TODAY].with_pool("removed", Spent(running_usd=1.0, lines={SERVING: 1.0}))
    scrape.tick(books)
    assert scrape.usd(tier="pro") == 2.0
    assert scrape.usd(placement="_unconfigured", tier="_unconfigured") == pytest.approx(1.0)
    assert scrape.usd(pool="_unconfigured", placement="_unconfigured") == 1.0
    assert scrape.series() == 3


def test_series_of_what_is_no_longer_configured_go() -> None:
    scrape = Scrape()
    scrape.tick(day({SERVING: 0.0}))
    scrape.tick(day({SERVING: 1.0}))
    assert scrape.series() == 1
    scrape.metrics.forget(placements=["mock-spot"])
    assert scrape.series() == 0
