"""The report in a real browser: it draws, asks for nothing, and holds together when somebody looks closer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from autoscaler.core.journal import Kind
from autoscaler.core.spec import Tier
from autoscaler.sim.report.comparison import comparison_page
from autoscaler.sim.report.simulation import simulation_page
from autoscaler.sim.report.trial import Trial
from autoscaler.sim.summary import summarize
from tests.support.books import DAY_S, books, entry, job_log, phase, scenario_of
from tests.support.build import pool

WIDE_PX, NARROW_PX = 1280, 700
PATIENCE_MS = 60_000.0
HOSTILE = "<img src=x onerror='document.title=1'>"
LINE = "images: 2 HOT wanted, 1 up: 31 jobs wait"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("neither chromium nor google-chrome is installed")
    with sync_playwright() as playwright:
        # Its sandbox cannot be had by root, as whom tests in containers often run; it opens our own pages alone.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": WIDE_PX, "height": 900}) as context:
        yield context.new_page()


def opened(page: Page, path: Path) -> list[str]:
    """Open a file and wait for its charts; everything that it asked for or complained of."""
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached", timeout=PATIENCE_MS)
    return heard


def report_of(directory: Path, name: str = "pro", text: str = LINE) -> Path:
    """A report of one day, in which jobs wait that nobody serves."""
    own = pool(tiers=(Tier(name=name, wait_target=30.0), Tier(name="free", wait_target=300.0)))
    jobs = [
        (60.0 * n, n % 2, 60.0 * n + n % 90 if n % 50 else None, 60.0 * n + 99.0 if n % 50 else None)
        for n in range(1000)
    ]
    played = books(
        own,
        jobs={own.name: job_log([name, "free"], jobs)},
        entries=[
            entry(Kind.DECISION, 40_000.0, text, hot=2),
            entry(Kind.COMMAND, 40_001.0, text, action="rent"),
            entry(Kind.ALARM, 50_000.0, text),
        ],
        phases=[phase("booting", 0.0, 1800.0), phase("hot", 1800.0, DAY_S, placement=name)],
    )
    path = directory / "report.html"
    path.write_text(simulation_page(scenario_of(played), played, summarize(played)), encoding="utf-8")
    return path


def test_a_simulation_writes_a_report_that_opens_offline(page: Page, tmp_path: Path) -> None:
    trace = tmp_path / "jobs.csv"
    trace.write_text("t_s,exec_s,tier\n" + "".join(f"{n * 40},30,pro\n" for n in range(200)))

    report = tmp_path / "out" / "report.html"
    arguments = ["simulate", f"--trace={trace}", f"--out={report.parent}"]
    # The library that drives the browser has an event loop in this process, where a simulation would run its own.
    code = f"from autoscaler.cli import main; main({arguments})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(report) in done.stdout

    heard = opened(page, report)

    assert heard == [report.as_uri()], "it asks for itself alone, and complains of nothing"
    assert page.locator(".main-svg").count() > 0
    assert page.locator("figure").count() == page.locator("[role=img][aria-label]:has(.main-svg)").count()


def test_zooming_into_one_chart_zooms_all_that_share_its_time(page: Page, tmp_path: Path) -> None:
    opened(page, report_of(tmp_path))
    ranges = "[...document.querySelectorAll('.js-plotly-plot')].map((plot) => plot.layout.xaxis.range.join())"

    box = page.locator("#chart-0 .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 700, box["y"] + 40, steps=5)
    page.mouse.up()
    page.wait_for_function(f"new Set({ranges}.slice(0, -1)).size === 1 && !{ranges}[0].startsWith('2000-12-31')")

    *timed, waits = page.evaluate(ranges)
    assert len(timed) == 6
    assert waits not in timed, "the distribution of waits has another axis"


def test_pointing_at_a_decision_tells_why(page: Page, tmp_path: Path) -> None:
    opened(page, report_of(tmp_path))

    expect(pointed_at(page)).to_contain_text(LINE)


def pointed_at(page: Page) -> Locator:
    """What is told of the first decision."""
    strip = page.locator("figure", has_text="Decisions")
    strip.scroll_into_view_if_needed()
    strip.locator(".point").first.hover(force=True)
    return strip.locator(".hovertext").first


@pytest.mark.parametrize("width_px", [WIDE_PX, NARROW_PX])
def test_nothing_is_wider_than_the_window(page: Page, tmp_path: Path, width_px: int) -> None:
    page.set_viewport_size({"width": width_px, "height": 900})
    opened(page, report_of(tmp_path))

    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert all(
        width <= width_px
        for width in page.evaluate("[...document.querySelectorAll('.main-svg')].map((svg) => svg.clientWidth)")
    )


def test_what_comes_from_files_is_shown_as_it_is_written(page: Page, tmp_path: Path) -> None:
    opened(page, report_of(tmp_path, name=HOSTILE, text=HOSTILE))

    expect(pointed_at(page)).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.title() == "acme: a rehearsal"
    assert HOSTILE in page.locator("table").inner_text()


def test_no_button_sends_anything_anywhere(page: Page, tmp_path: Path) -> None:
    opened(page, report_of(tmp_path))
    titles = page.evaluate("[...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title)")

    assert {"Zoom", "Pan"} <= set(titles)
    assert not [title for title in titles if "hare" in title or "loud" in title]


def test_a_comparison_draws_its_frontier_offline(page: Page, tmp_path: Path) -> None:
    trials = [
        Trial(
            kind=kind,
            name=kind,
            title=kind,
            setting=f"n={n}",
            usd=100.0 * n,
            attainment=1.0 - 0.1 / n,
            attainment_by_tier={"pro": 1.0 - 0.1 / n},
        )
        for kind in ("policy", "peer", "bound")
        for n in (1, 2, 3)
    ]
    path = tmp_path / "compare.html"
    path.write_text(comparison_page("acme", "seed 1", {"jobs.csv": trials}), encoding="utf-8")

    assert opened(page, path) == [path.as_uri()]
    assert page.locator("figure .point").count() == 6
