"""What is told: what lasts and when it ends, once, whoever leads."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.journal import Entry, Kind
from autoscaler.runtime.concerns import Concern, Name, Severity
from autoscaler.runtime.documents import fields_of
from autoscaler.runtime.told import Told, read_told
from autoscaler.telemetry.notify_news import Change, News, Watch, newest, news_of
from tests.support.news import concern, news
from tests.support.reports import NOW

AFTER_S, REMIND_S = 30.0, 3600.0
WARNING, CRITICAL = concern(), concern(severity=Severity.CRITICAL)


def a_watch() -> Watch:
    return Watch(after_s=AFTER_S, remind_s=REMIND_S)


def no_cost(_about: Concern | Told) -> None:
    return None


def looks(watch: Watch, at: float, *found: Concern, usd: float | None = None) -> list[Change]:
    return [each.change for each in watch.look(found, NOW + at, lambda _: usd)]


def test_a_warning_is_told_once_it_has_lasted() -> None:
    watch = a_watch()

    assert looks(watch, 0.0, WARNING) == []
    assert looks(watch, 29.0, WARNING) == []
    assert looks(watch, 30.0, WARNING) == [Change.BEGUN]
    assert looks(watch, 40.0, WARNING) == []


def test_what_is_critical_is_told_at_once() -> None:
    assert looks(a_watch(), 0.0, CRITICAL) == [Change.BEGUN]


def test_a_failed_tick_and_a_lead_between_two_hands_must_last_though_they_are_critical() -> None:
    for name in (Name.TICK_FAILING, Name.NO_LEADER):
        watch, passing = a_watch(), concern(name, Severity.CRITICAL)

        assert looks(watch, 0.0, passing) == []
        assert looks(watch, 10.0) == []
        assert looks(watch, 20.0, passing) == []
        assert looks(watch, 50.0, passing) == [Change.BEGUN]


def test_what_was_away_before_it_was_told_begins_anew() -> None:
    watch = a_watch()

    assert [change for at in range(0, 600, 20) for change in looks(watch, at, *[WARNING][: at // 20 % 2])] == []


def test_what_flaps_after_it_was_told_neither_ends_nor_begins_again() -> None:
    watch = a_watch()
    looks(watch, 0.0, CRITICAL)

    assert [change for at in range(10, 600, 10) for change in looks(watch, at, *[CRITICAL][: at // 10 % 2])] == []


def test_a_worse_severity_is_told_at_once_and_a_better_one_is_not() -> None:
    watch = a_watch()
    looks(watch, 0.0, WARNING)
    looks(watch, 30.0, WARNING)

    assert looks(watch, 40.0, CRITICAL) == [Change.WORSE]
    assert looks(watch, 50.0, WARNING) == []
    assert looks(watch, 60.0, CRITICAL) == []


def test_it_is_told_again_while_it_lasts() -> None:
    watch = a_watch()
    looks(watch, 0.0, CRITICAL)

    assert looks(watch, REMIND_S - 1, CRITICAL) == []
    assert looks(watch, REMIND_S, CRITICAL) == [Change.LASTS]
    assert looks(watch, 2 * REMIND_S - 1, CRITICAL) == []
    assert looks(watch, 2 * REMIND_S, CRITICAL) == [Change.LASTS]


def test_an_end_says_how_long_it_lasted_and_what_that_cost_with_the_worst_severity_that_was_told() -> None:
    watch = a_watch()
    looks(watch, 0.0, WARNING, usd=1.0)
    looks(watch, 30.0, WARNING, usd=1.1)
    looks(watch, 60.0, CRITICAL, usd=1.2)
    looks(watch, 720.0, usd=1.4)
    (end,) = watch.look([], NOW + 750.0, lambda _: 1.35)

    assert end.change is Change.ENDED
    assert end.severity is Severity.CRITICAL
    assert end.text == f"after 12m, which cost 0.35 USD: {WARNING.text}"
    assert watch.told == {}


def test_only_what_was_told_ends() -> None:
    watch = a_watch()
    looks(watch, 0.0, WARNING)

    assert [change for at in range(10, 200, 10) for change in looks(watch, at)] == []


def test_the_next_leader_tells_nothing_twice_and_knows_since_when() -> None:
    first, second = a_watch(), a_watch()
    looks(first, 0.0, CRITICAL, usd=1.0)
    stored = json.dumps([*first.told.values()], default=fields_of)
    second.recall(read_told(json.loads(stored)))

    assert looks(second, 60.0, CRITICAL) == []
    assert looks(second, 120.0) == []
    (end,) = second.look([], NOW + 150.0, lambda _: 1.5)
    assert end.text.startswith("after 2m, which cost 0.50 USD")


def test_what_another_daemon_speaks_for_by_now_does_not_end_here() -> None:
    watch = a_watch()
    looks(watch, 0.0, CRITICAL, concern(Name.QUEUE_UNKNOWN, Severity.CRITICAL, pool="speech"))
    watch.forget(lambda pool: pool == "images")
    looks(watch, 10.0)

    assert [each.pool for each in watch.look([], NOW + 60.0, no_cost)] == ["images"]


def test_a_clock_that_was_set_back_silences_nothing_for_longer_than_a_rule_says() -> None:
    watch = a_watch()
    looks(watch, 0.0, WARNING)
    looks(watch, -86400.0, WARNING)

    assert looks(watch, -86400.0 + AFTER_S, WARNING) == [Change.BEGUN]


@given(st.lists(st.booleans(), max_size=60))
def test_beginnings_and_ends_alternate_however_it_comes_and_goes(seen: list[bool]) -> None:
    watch = a_watch()
    told = [change for tick, here in enumerate(seen) for change in looks(watch, tick * 10.0, *[WARNING][: int(here)])]

    assert told == [Change.BEGUN, Change.ENDED] * (len(told) // 2) + [Change.BEGUN] * (len(told) % 2)


def test_of_the_journal_alarms_losses_and_orders_are_told_and_nothing_else() -> None:
    told = {kind: news_of(Entry(at=NOW, kind=kind, text="x")) for kind in Kind}

    assert {kind: each.change for kind, each in told.items() if each} == {
        Kind.ALARM: Change.EVENT,
        Kind.LOSS: Change.EVENT,
        Kind.OPERATOR: Change.ORDER,
    }


def test_what_began_and_ended_before_anything_was_sent_is_one_line() -> None:
    begun, worse, ended = (news(change=change) for change in (Change.BEGUN, Change.WORSE, Change.ENDED))
    other: News = news("gpu_unused")

    assert [each.change for each in newest([begun, other, ended])] == [Change.ENDED, Change.BEGUN]
    assert [each.change for each in newest([begun, worse])] == [Change.BEGUN]
    assert [each.change for each in newest([ended, begun])] == [Change.BEGUN]


def test_two_events_of_one_machine_are_two() -> None:
    one = news("loss", change=Change.EVENT, subject="m1")
    another = news("loss", change=Change.EVENT, subject="m1", at=NOW + 1.0)

    assert len(newest([one, another])) == 2
