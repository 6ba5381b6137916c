"""The terminal view: what an operator must be able to read off it, at any width."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from autoscaler.cli.view import render
from autoscaler.cli.view.fleet import money_lines
from autoscaler.cli.view.words import harmless, sparkline
from tests.support.api import JOURNAL, NOW, Json, a_concern, a_machine, a_pool, a_status, an_entry, an_order


def drawn(status: Json, journal: list[Json] | None = None, *, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(render(status, JOURNAL if journal is None else journal, width=width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line_with(text: str, view: str) -> str:
    [line] = [line for line in view.splitlines() if text in line]
    return line


def with_demand(**changes: Any) -> Json:
    pool = a_pool()
    return a_status(pools=[{**pool, "demand": {**pool["demand"], **changes}}])


def test_the_first_line_names_the_fleet_its_standing_and_its_money() -> None:
    first = drawn(a_status()).splitlines()[0]
    assert first.split("  ") == [
        "attic",
        "leads",
        "0.82 USD/h",
        "3.40 of 30 USD today",
        "month ~123 USD",
        "11:06:40 UTC",
        "tick 3s ago",
        "0.1.0",
    ]


def test_a_daemon_that_stands_by_says_who_leads_and_makes_nothing_up() -> None:
    standing_by = a_status(leads=False, pools=[], instances=[], usd_per_hour=0.0, usd_today=0.0)
    lines = drawn({**standing_by, "usd_month_forecast": None}, journal=[]).splitlines()
    assert lines[0].split("  ") == ["attic", "stands by", "11:06:40 UTC", "tick 3s ago", "0.1.0"]
    assert [line.strip() for line in lines[1:] if line.strip()] == ["images: led by process 4711 on night"]


def test_pools_that_are_led_elsewhere_are_named_with_their_leader_or_as_led_by_nobody() -> None:
    leaders = {"images": "day:1:x", "a": "night:2:y:z", "b": "night:2:y:z", "c": "", "d": "spread"}
    view = drawn(a_status(leaders=leaders))
    assert "  a, b: led by process 2 on night" in view
    assert "  c: led by nobody" in view
    assert "  d: led by a daemon with `spread: true`" in view
    assert "images: led by" not in view


def test_each_tier_shows_depth_and_oldest_wait_against_its_target_with_a_word() -> None:
    view = drawn(a_status())
    assert line_with("  pro ", view).endswith("3 waiting       3s of 30s  ok")
    assert line_with("  premium ", view).endswith("9 waiting   1m 40s of 2m  warn")
    assert line_with("  free ", view).endswith("21 waiting  12m 34s of 5m  late")


def test_the_bar_shows_how_much_of_the_wait_target_is_used_up() -> None:
    view = drawn(a_status())
    full = line_with("  free ", view).count("█")
    assert full > 20
    assert "░" not in line_with("  free ", view)
    assert line_with("  pro ", view).count("█") == round(full * 0.1)


def test_a_tier_that_is_refused_is_called_so_with_what_a_new_job_would_wait() -> None:
    [pro] = a_pool()["admission"]
    free = {**pro, "tier": "free", "accept": False, "expected_wait_s": 95.0, "retry_after_s": 80}
    view = drawn(a_status(pools=[a_pool(admission=[pro, free])]))
    assert line_with("  free ", view).endswith("late  refused  next ~1m 35s")
    assert line_with("  pro ", view).endswith("ok")


def test_a_machine_set_apart_says_for_whom() -> None:
    view = drawn(a_status(instances=[a_machine("cccc", tier="enterprise")]))
    assert "for enterprise: ready after 12m of booting" in line_with("cccc  ", view)


def test_a_machine_that_is_degraded_is_called_so_with_what_ails_it() -> None:
    ailing = a_machine("cccc", serving=True, health="degraded", ailment="its worker has fallen silent")
    line = line_with("cccc  ", drawn(a_status(instances=[ailing])))
    assert "! degraded" in line
    assert "its worker has fallen silent; ready after 12m" in line
    narrow = drawn(a_status(instances=[ailing]), width=60)
    assert "! degraded" in line_with("cccc  ", narrow)
    draining = {**ailing, "phase": "draining", "serving": False}
    assert "◑ draining" in line_with("cccc  ", drawn(a_status(instances=[draining])))


@pytest.mark.parametrize(
    ("phase", "changes", "said"),
    [
        ("booting", {"diagnosis": "slow_pull"}, "slow pull; "),
        ("hot", {"gpu_use": "low"}, "its GPU is used little; "),
        ("hot", {"gpu_use": "idle"}, "its GPU is as good as idle; "),
        ("hot", {"diagnosis": "slow_pull"}, ""),
        ("warm", {"gpu_use": "idle"}, ""),
        ("hot", {}, ""),
    ],
)
def test_only_what_is_out_of_the_ordinary_is_said_of_a_machine(phase: str, changes: Json, said: str) -> None:
    view = drawn(a_status(instances=[a_machine("cccc", phase, **changes)]), width=160)
    assert line_with("cccc  ", view).partition("1.23 ")[2].rstrip() == f"{said}ready after 12m of booting"


def test_what_needs_a_person_comes_first_with_the_command_that_mends_it() -> None:
    concerns = [a_concern("bbbb has been draining for 3h", severity="critical"), a_concern("look", command="")]
    lines = drawn(a_status(concerns=concerns)).splitlines()
    assert lines[1].rstrip() == "!! bbbb has been draining for 3h  → autoscaler drain bbbb"
    assert lines[2].rstrip() == "! look"


def test_a_long_concern_is_cut_so_that_its_command_is_whole() -> None:
    line = line_with("so long", drawn(a_status(concerns=[a_concern("so long a story " * 20)]), width=80))
    assert line.endswith("…  → autoscaler drain bbbb")
    assert cell_len(line) <= 80


def test_wanted_and_actual_machines_stand_side_by_side() -> None:
    assert "HOT 2, 2 up → 3 wanted (1..4)  WARM 0 → 1..2 (0..2)" in drawn(a_status())


def test_what_is_done_and_why_and_what_is_not_is_said_in_words() -> None:
    view = drawn(a_status())
    assert "now  rent: 3 machines wanted, 2 up: RTX 4090 in US at 0.412 USD/h" in view
    assert "why  33 jobs wait, more than 30, and no standby is left: rent" in view
    assert "not  stop: 33 jobs wait; it takes fewer than 3 for 30m" in view


def test_what_all_policies_want_comes_before_their_details() -> None:
    told = [
        ("wait_target.need", "pro needs it"),
        ("retention.keep", "worth it"),
        ("combine", "needs 2, keeps 3: 3 HOT"),
    ]
    why = [{"rule": rule, "text": text} for rule, text in told]
    view = drawn(a_status(pools=[a_pool(decision={**a_pool()["decision"], "why": why})]))
    assert [line for line in view.splitlines() if line.startswith("  why  ")] == [
        "  why  needs 2, keeps 3: 3 HOT",
        "  why  pro needs it",
    ]


def test_each_machine_has_a_line() -> None:
    view = drawn(a_status())
    cells = line_with("bbbb  ", view).split()
    assert cells[:12] == ["bbbb", "●", "hot", "2m", "05s", "RTX", "4090", "CA", "on", "demand", "?/1", "0.412"]
    assert "▶ serving" in line_with("aaaa*", view)
    assert "1.23 ready after 12m of booting" in line_with("aaaa*", view)


def test_the_primary_is_marked() -> None:
    assert "aaaa*" in drawn(a_status())
    assert "bbbb*" not in drawn(a_status())


@pytest.mark.parametrize("phase", ["planned", "booting", "draining", "warm", "resuming", "releasing", "lost"])
def test_every_phase_has_its_name_and_a_sign(phase: str) -> None:
    words = line_with("cccc  ", drawn(a_status(instances=[a_machine("cccc", phase)]))).split()
    assert words[2] == phase
    assert len(words[1]) == 1


def test_the_journal_ends_with_the_newest_entry() -> None:
    lines = drawn(a_status()).splitlines()
    assert lines[-1] == "11:06:38  rent cccc: ok"
    assert lines[-2].startswith("11:06:37  images: 3 HOT wanted")


def test_an_unknown_demand_is_never_shown_as_an_empty_queue() -> None:
    demand: Json = {"unknown": "Redis cannot be reached", "waiting": None, "in_flight": None, "seen": None, "tiers": []}
    view = drawn(with_demand(**demand, paused=None, oldest_wait_s=None))
    assert "! the queue cannot be read: Redis cannot be reached" in view
    assert "waiting" not in view


def test_a_wait_that_is_not_known_is_not_called_well() -> None:
    tier = {**a_pool()["demand"]["tiers"][0], "oldest_wait_s": None, "waiting_is_lower_bound": True, "delayed": 4}
    line = line_with("  pro ", drawn(with_demand(tiers=[tier])))
    assert line.endswith("≥3 waiting  unknown of 30s  ?  +4 due later")


def test_an_empty_tier_is_well() -> None:
    tier = {**a_pool()["demand"]["tiers"][0], "oldest_wait_s": None, "waiting": 0}
    assert line_with("  pro ", drawn(with_demand(tiers=[tier]))).endswith("0 waiting        - of 30s  ok")


def test_a_queue_that_was_never_seen_and_warnings_are_pointed_out() -> None:
    view = drawn(with_demand(seen=False, advice={"clock_skew": "let them keep time"}, paused=True))
    assert "no key of this queue was ever seen" in view
    assert "! clock_skew: let them keep time" in view
    assert "the queue itself is paused" in view


def test_a_paused_fleet_says_who_paused_it_and_what_ends_it() -> None:
    view = drawn(a_status(orders=[an_order("pause", by="alice")]))
    assert view.startswith("attic  PAUSED")
    assert "pause by alice" in view


def test_an_order_says_until_when_it_stands() -> None:
    order = an_order("floor:images", by="alice") | {"until": NOW + 60.0}
    assert "! floor:images by alice  until 11-18 11:07:40 UTC" in drawn(a_status(orders=[order]))


def test_a_failing_tick_is_said_with_the_age_of_the_last_good_one() -> None:
    view = drawn(a_status(error="Redis cannot be reached", age_s=400.0))
    assert view.startswith("attic  FAILING")
    assert "tick 6m 40s ago" in view


def test_a_daemon_that_does_not_lead_stands_by() -> None:
    assert drawn(a_status(leads=False)).startswith("attic  stands by")


def test_an_empty_fleet_before_its_first_tick_is_shown_as_such() -> None:
    empty: Json = {"pools": [], "instances": [], "providers": [], "usd_today": 0.0}
    view = drawn(a_status(at=None, age_s=None, leads=False, leaders={}, **empty), [])
    assert view.startswith("attic  starting")
    assert "no tick yet" in view
    assert "COLD" not in view
    assert "No machines: all is COLD." in drawn(a_status(**empty), [])


@pytest.mark.parametrize(("usd", "said"), [(19.9, "today  "), (20.0, "today: warn"), (30.0, "today: stop")])
def test_money_near_its_bounds_is_called_out(usd: float, said: str) -> None:
    assert said in drawn(a_status(usd_today=usd)).splitlines()[0]


def test_money_is_held_against_the_whole_fleets_cap_where_that_is_less() -> None:
    for fleet, shown in (25.0, "3.40 of 25 USD today"), (70.0, "3.40 of 60 USD today"):
        limits = {**a_status()["limits"], "usd_per_day_warn": 3.0, "usd_per_day_stop": fleet}
        view = drawn(a_status(pools=[a_pool(), a_pool("chat")], limits=limits))
        assert view.splitlines()[0].split("  ")[3] == f"{shown}: warn"


def test_several_pools_have_their_own_money_and_column() -> None:
    pools = [a_pool(), a_pool("chat", usd_per_hour=0.1, usd_today=25.0)]
    view = drawn(a_status(pools=pools, instances=[a_machine("aaaa"), a_machine("dddd", pool="chat")]))
    assert "0.10 USD/h  25.00 of 30 USD today: warn  month ~123 USD" in line_with("chat  HOT", view)
    assert " chat " in line_with("dddd", view)
    assert view.splitlines()[0].split("  ")[3] == "3.40 of 60 USD today"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    view = drawn(a_status(pools=[a_pool(), a_pool("chat")]), width=width)
    assert max(cell_len(line) for line in view.splitlines()) <= width


@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_matters_stays_on_narrow_terminals(width: int) -> None:
    view = drawn(a_status(), width=width)
    assert "0.82 USD/h" in view
    assert line_with("  free ", view).endswith("late")
    assert "▶ serving" in line_with("aaaa*", view)
    assert "0.412" in line_with("aaaa*", view)
    assert "HOT 2, 2 up → 3 wanted (1..4)" in view


def test_colour_is_left_out_where_it_is_not_wanted() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, _environ={"NO_COLOR": "1", "TERM": "xterm"})
    console.print(render(a_status(), JOURNAL, width=80))
    assert isinstance(console.file, io.StringIO)
    view = console.file.getvalue()
    assert "\x1b[" in view
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", view)


def test_a_strangers_words_are_no_markup_and_move_no_cursor() -> None:
    told = "[bold]x[/bold] [link=http://evil]\x1b[2J\x9b31m\x07\r\n\u202egpj.exe"
    hostile = harmless(a_status(instances=[a_machine(told, reason=told, gpu=told)], concerns=[a_concern(told)]))
    entries = harmless([an_entry("notice", told, 1.0)])
    view = drawn(hostile, entries, width=200)
    assert "[bold]x[/bold] [link=http://evil]" in view
    assert not set(view) & set("\x1b\x9b\x07\r\u202e")
    assert len(view.splitlines()) == len(
        drawn(a_status(instances=[a_machine("a")], concerns=[a_concern("b")]), entries).splitlines()
    )


@given(
    st.recursive(st.text() | st.none() | st.floats(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
)
def test_nothing_that_is_shown_can_move_the_cursor(answer: Any) -> None:
    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for pair in value.items() for each in pair for text in texts(each)]
        return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]

    assert all(text.isprintable() for text in texts(harmless(answer)))


def test_only_colours_that_any_background_bears_are_used() -> None:
    statuses = [a_status(concerns=[a_concern("x", severity=each) for each in ("critical", "warning", "info")])]
    statuses += [a_status(instances=[a_machine(phase, phase)]) for phase in a_pool()["phases"]]
    for status in statuses:
        console = Console(width=160)
        names = {
            segment.style.color.name
            for segments in console.render_lines(render(status, JOURNAL, width=160))
            for segment in segments
            if segment.style and segment.style.color
        }
        assert names <= {"red", "green", "yellow", "blue", "magenta", "cyan"}


@pytest.mark.parametrize(
    ("values", "drawn_as"), [([], ""), ([0.0, 0.0], "▁▁"), ([0.0, 7.0, None, 14.0], "▁▅ █"), ([1.0] * 9, "█████")]
)
def test_a_sparkline_ends_with_the_newest_and_leaves_a_gap_for_the_unknown(
    values: list[float | None], drawn_as: str
) -> None:
    assert sparkline(values, 5) == drawn_as


def test_money_is_a_bar_for_each_cap_with_a_mark_where_it_warns() -> None:
    limits = {**a_status()["limits"], "usd_per_month_warn": 100.0, "usd_per_month_stop": 200.0}
    today, month = (each.plain for each in money_lines(a_status(limits=limits)))
    assert today.endswith("3.40 of 30 USD, warns at 20")
    assert (today.count("█"), today.index("│")) == (3, 13 + 20)
    assert month.endswith("61.00 of 200 USD, warns at 100")
    assert month.count("█") == 9
