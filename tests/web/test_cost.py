"""The books over HTTP, and as `autoscaler cost` shows them: the real API, a board that a test feeds."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result

from autoscaler.cli.cost import cost
from autoscaler.core.ledger import DAY_S, DayLedger, Spent, Wasted, Work, day_name, day_of
from autoscaler.core.purposes import Line, Purpose
from autoscaler.core.spec import Cap, FleetLimits, Limits
from autoscaler.core.waste import Waste
from tests.support.api import run_command
from tests.support.reports import NOW, POOL, machine, pool_report, report
from tests.support.served import Daemon, served
from tests.web.test_openapi import check

TODAY = day_of(NOW)
SPOT = ("mock-spot", "mock")
PAGE = Spent(
    running_usd=4.0,
    stopped_usd=0.25,
    lines={
        Line(*SPOT, "pro", Purpose.SERVING): 1.0,
        Line(*SPOT, "", Purpose.SERVING): 1.0,
        Line(*SPOT, "", Purpose.IDLE): 1.5,
        Line(*SPOT, "", Purpose.FAILED_BOOT): 0.5,
        Line(*SPOT, "", Purpose.STOPPED): 0.25,
    },
    wasted={Waste.SLOW_PULL: Wasted(times=1, usd=0.5)},
    tiers={"pro": Work(jobs=50, work_s=750.0, told=50), "free": Work(jobs=65, work_s=250.0, told=65)},
    classes={"sdxl-1024": Work(jobs=90, work_s=500.0, told=90)},
    downloads={"mock": 0.2},
)
BOOKS = {
    TODAY - 1: DayLedger(
        day=TODAY - 1, booked_until=TODAY * DAY_S, pools={"images": PAGE, "gone": Spent(running_usd=1.0)}
    ),
    TODAY: DayLedger(day=TODAY, booked_until=NOW, pools={"images": PAGE}, bills={"mock": 4.1}),
}


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served() as made:
        pool = replace(POOL, limits=Limits(usd_per_day=Cap(warn=3.0, stop=30.0)))
        limits = FleetLimits(usd_per_month=Cap(warn=300.0, stop=400.0))
        pools = {"images": pool_report(machine(), pool=pool)}
        made.board.ticked(report(machine(), books=BOOKS, pools=pools, limits=limits))
        yield made


async def run(daemon: Daemon, *arguments: str) -> Result:
    """`autoscaler cost` in a thread, as it brings its own event loop."""
    return await asyncio.to_thread(run_command, cost, "--url", daemon.url, *arguments)


# --- the API ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?lines=true", "?pool=images", "?pool=gone&lines=true", "?from=1970-01-01"])
async def test_each_answer_is_as_described(daemon: Daemon, query: str) -> None:
    _, document = await daemon.json("/api/v1/openapi.json")
    for _ in ("while it leads", "before the first tick"):
        status, answer = await daemon.json(f"/api/v1/cost{query}")
        assert status == 200
        check(document, "/api/v1/cost", "get", status, answer)
        daemon.board.report = None


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("?from=yesterday", "from: 'yesterday' given; "),
        ("?from=2026-11-22&to=2026-11-20", "from: 2026-11-22 given; expected a day not after 2026-11-20"),
        ("?pool=nope", "pool: there is none of that name; there are images, gone"),
        ("?day=2026-11-20", "day: there is no such field"),
    ],
)
async def test_a_question_without_sense_is_refused_with_its_reason(daemon: Daemon, query: str, problem: str) -> None:
    _, document = await daemon.json("/api/v1/openapi.json")
    status, answer = await daemon.json(f"/api/v1/cost{query}")
    assert status == 400
    assert answer["problems"][0].startswith(problem)
    check(document, "/api/v1/cost", "get", status, answer)


async def test_the_month_is_told_unless_other_days_are_asked_for(daemon: Daemon) -> None:
    _, month = await daemon.json("/api/v1/cost")
    assert (month["first_day"], month["last_day"]) == (f"{day_name(TODAY)[:7]}-01", day_name(TODAY))
    assert (month["usd"], month["usd_month"], month["usd_today"]) == (9.5, 9.5, 4.25)
    _, day = await daemon.json(f"/api/v1/cost?from={day_name(TODAY)}")
    assert (day["usd"], day["usd_month"]) == (4.25, 9.5)
    _, none = await daemon.json("/api/v1/cost?from=2001-01-01&to=2001-12-31")
    assert (none["usd"], none["books_since"]) == (0.0, day_name(TODAY - 1))


@pytest.mark.parametrize(
    ("query", "usd", "first"),
    [
        ("from=0001-01-01&to=9999-12-31", 9.5, "0001-01-01"),
        ("to=9999-12-31", 0.0, "9999-12-01"),
        ("to=0001-01-05", 0.0, "0001-01-01"),
    ],
)
async def test_days_that_are_far_away_are_days(daemon: Daemon, query: str, usd: float, first: str) -> None:
    status, answer = await daemon.json(f"/api/v1/cost?{query}")
    assert (status, answer["usd"], answer["first_day"]) == (200, usd, first)


async def test_lines_add_up_to_what_was_spent(daemon: Daemon) -> None:
    _, answer = await daemon.json("/api/v1/cost?lines=true")
    assert sum(line["usd"] for line in answer["lines"]) == pytest.approx(answer["usd"])
    assert {line["purpose"] for line in answer["lines"]} == {
        *("serving", "idle", "failed_boot", "stopped", "not_itemised")
    }
    _, without = await daemon.json("/api/v1/cost")
    assert without["lines"] == []


# --- the command ------------------------------------------------------------------------------------------------------


async def test_the_command_shows_caps_placements_tiers_classes_waste_and_bills(daemon: Daemon) -> None:
    result = await run(daemon, "--from", day_name(TODAY))
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "today 4.25 USD" in lines
    assert any(line.startswith("this month 9.50 USD of 400.00 at most, warned from 300.00; ") for line in lines)
    assert "images 4.25 USD today of 30.00 at most, warned from 3.00" in lines
    assert "pool placement USD serving idle failed boots stopped disks" in lines
    assert "images mock-spot 4.25 2.00 1.50 0.50 0.25" in lines
    assert "images pro 2.62 1.00 50 0.0525" in lines, "0.75 of 2.00 served, less its own 1.00: half of what is shared"
    assert "images free 1.62 - 65 0.0250" in lines
    assert "images sdxl-1024 2.12 90 0.0236" in lines
    assert "1.50 images machines that were HOT without a job: 43% of what HOT machines cost" in lines
    assert "0.50 images 1 boot whose image was still being pulled at the deadline" in lines
    assert any(line.startswith("Next: `autoscaler hindsight FILE`") for line in lines)
    assert f"{day_name(TODAY)} mock 4.25 4.10 -0.15 the day is not over: bills run behind" in lines


async def test_a_pool_that_is_gone_is_still_in_the_books(daemon: Daemon) -> None:
    result = await run(daemon, "--pool", "gone")
    assert "gone  (not itemised)  1.00" in result.output
    assert "gone: 1.00 USD are no tier's" not in result.output, "there is no tier to speak of"


async def test_csv_is_one_row_for_each_line_of_the_books(daemon: Daemon) -> None:
    result = await run(daemon, "--csv")
    found = list(csv.DictReader(io.StringIO(result.output)))
    assert [*found[0]] == ["day", "pool", "placement", "provider", "tier", "purpose", "usd"]
    assert sum(float(row["usd"]) for row in found) == pytest.approx(9.5)
    assert len({tuple(row.values())[:-1] for row in found}) == len(found) == 11


async def test_bad_input_is_a_line_and_exit_code_2(daemon: Daemon) -> None:
    for arguments, problem in [
        (("--pool", "nope"), "error: pool: there is none of that name"),
        (("--from", "2026-11-22", "--to", "2026-11-01"), "error: from: 2026-11-22 given"),
        (("--json", "--csv"), "error: --json and --csv"),
        (("--from", "soon"), "Invalid value for '--from'"),
    ]:
        result = await run(daemon, *arguments)
        assert result.exit_code == 2
        assert problem in result.output


async def test_a_daemon_that_does_not_lead_says_so_and_writes_no_empty_file(daemon: Daemon) -> None:
    daemon.board.ticked(report(leads=False, pools={}, instances={}, leaders={"images": "b:7:x"}))
    assert "another daemon leads" in (await run(daemon)).output
    result = await run(daemon, "--csv", "--pool", "images")
    assert (result.exit_code, result.output.startswith("error: this daemon keeps no books")) == (2, True)


async def test_what_another_daemon_keeps_the_books_of_is_named_and_never_shown_as_no_cost(daemon: Daemon) -> None:
    daemon.board.ticked(report(leaders={"images": "me", "llm": "b:7:x"}))
    for arguments in ((), ("--csv",)):
        assert "without llm, led by another daemon" in (await run(daemon, *arguments)).output
        assert "llm" not in (await run(daemon, "--pool", "images", *arguments)).output
    assert (await run(daemon, "--pool", "llm")).output.startswith("This daemon keeps no books of llm, led by another")
    result = await run(daemon, "--pool", "llm", "--csv")
    assert (result.exit_code, result.output.startswith("error: this daemon keeps no books of llm")) == (2, True)


async def test_hostile_names_stay_text(daemon: Daemon) -> None:
    lines = {Line("\x1b]0;mock\n-spot", "\x1b[2Jmock", "", Purpose.SERVING): 4.25}
    spent = replace(PAGE, lines=lines, classes={"[bold]\x1b[31mx": Work(jobs=1, work_s=1.0, told=1)})
    books: dict[int, Any] = {TODAY: DayLedger(day=TODAY, booked_until=NOW, pools={"images": spent})}
    daemon.board.ticked(report(machine(), books=books))
    for arguments in ((), ("--csv",), ("--pool", "\x1b[2J")):
        assert not {*(await run(daemon, *arguments)).output} & {"\x1b", "\x07"}
    assert "[bold] [31mx" in (await run(daemon)).output
    assert len([*csv.reader(io.StringIO((await run(daemon, "--csv")).output))]) == 2
