"""The dashboard in a real browser: it shows what is so, asks nobody else, and can be used by everybody."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, autoscaler
from tests.support.dashboard import PHONE_PX, WIDE_PX, Dashboard
from tests.support.real_time import until

TOLD_WITHIN_MS = 300.0
FOCUSABLE = "a[href], button, input, select, [tabindex='0']"


def test_it_draws_everything_without_a_complaint_and_asks_this_daemon_alone(dashboard: Dashboard) -> None:
    dashboard.open()
    dashboard.draw_charts()

    expect(dashboard.page.locator("#fleet")).to_have_text(FLEET)
    expect(dashboard.page.locator("#standing")).to_have_text("leads")
    expect(dashboard.page.locator(".tiers tbody tr")).to_have_count(3)
    expect(dashboard.page.locator("#machines tbody tr")).to_have_count(1)
    expect(dashboard.page.locator("#journal")).to_contain_text("HOT wanted")
    assert dashboard.complaints == []
    assert {url for url in dashboard.requests if not url.startswith(dashboard.url + "/")} == set()


def test_it_shows_a_queue_that_grows_and_a_target_that_is_missed(dashboard: Dashboard, client: Any) -> None:
    dashboard.open()
    waiting = dashboard.page.locator(".tiers tbody tr", has_text="premium").locator("td").first
    expect(waiting).to_have_text("0")

    client.rpush("jobs:premium", *range(7))
    expect(waiting).to_have_text("7")
    client.delete("jobs:premium")
    expect(waiting).to_have_text("0")


def test_a_concern_stands_first_with_the_command_that_mends_it(
    dashboard: Dashboard, client: Any, daemon: DaemonProcess
) -> None:
    dashboard.open()
    dashboard.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    client.set("jobs:pro", "not a list")
    concern = dashboard.page.locator("#concern-list li.critical", has_text="its queue cannot be read")
    expect(concern).to_be_visible()
    expect(dashboard.page.locator("#announced")).to_contain_text("critical: images")
    expect(dashboard.page).to_have_title(f"(1) {FLEET}: autoscaler")

    concern.get_by_role("button", name="copy").click()
    expect(concern.get_by_role("button")).to_have_text("copied")
    copied = dashboard.page.evaluate("navigator.clipboard.readText()")
    assert copied == concern.locator(".command code").text_content() != ""

    client.delete("jobs:pro")
    expect(dashboard.page.locator("#concern-list li.critical")).to_have_count(0)
    assert daemon.process.poll() is None


def test_an_order_is_shown_for_as_long_as_it_stands(dashboard: Dashboard, daemon: DaemonProcess) -> None:
    dashboard.open()
    orders = dashboard.page.locator("#orders")
    expect(orders).to_be_hidden()
    autoscaler("floor", "1", daemon.file, "--for", "2h", "--by", "<b>ada</b>")
    expect(orders.locator("li")).to_have_text(
        re.compile(r"^floor 1 by <b>ada</b>, for 2h, until \d\d-\d\d [\d:]{8} UTC$")
    )
    autoscaler("withdraw", "floor", daemon.file)
    expect(orders).to_be_hidden()


def test_it_outlives_a_restart_of_the_daemon_and_says_so_meanwhile(dashboard: Dashboard, daemon: DaemonProcess) -> None:
    dashboard.open()
    daemon.kill()
    banner = dashboard.page.locator("#stale")
    expect(banner).to_contain_text("Connection lost, trying again")
    expect(banner).to_contain_text("What is shown is as of")
    expect(dashboard.page).to_have_title(f"lost: {FLEET}: autoscaler")
    expect(dashboard.page.locator("#machines tbody tr")).to_have_count(1)

    daemon.start()
    daemon.wait_ready()
    expect(dashboard.page.locator("#link")).to_have_text("live")
    expect(banner).to_be_hidden()
    ticked_at = daemon.ask("/api/v1/status")[1]["at"]
    until(lambda: daemon.ask("/api/v1/status")[1]["at"] > ticked_at, "it ticked on")
    expect(dashboard.page.locator("#standing")).to_have_text("leads")


def test_it_loads_itself_again_when_the_daemon_is_of_another_version(dashboard: Dashboard) -> None:
    dashboard.answer(lambda status: {**status, "version": "9.9.9"}, times=1)
    dashboard.page.goto(dashboard.url)
    expect(dashboard.page.locator("#version")).to_have_text("gpu-autoscaler 9.9.9")
    with dashboard.page.expect_request(dashboard.url + "/"):
        pass  # the next connection finds the daemon as it is
    expect(dashboard.page.locator("#version")).to_have_text(f"gpu-autoscaler {version('gpu-autoscaler')}")
    assert dashboard.requests.count(dashboard.url + "/") == 2


def test_pointing_at_a_machines_bar_tells_what_it_is_and_why(dashboard: Dashboard, daemon: DaemonProcess) -> None:
    dashboard.open()
    dashboard.draw_charts()
    [machine] = daemon.ask("/api/v1/instances")[1]["instances"]
    point_at_a_bar(dashboard)
    told = dashboard.page.locator("#chart-phases .hovertext")
    for words in (machine["id"], machine["gpu"], machine["region"], f"{machine['usd_per_hour']:.3f} USD/h", "ready,"):
        expect(told).to_contain_text(words)


# --- everybody --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(
    dashboard: Dashboard, theme: Literal["light", "dark"]
) -> None:
    dashboard.page.emulate_media(color_scheme=theme)
    dashboard.answer(troubled)
    dashboard.open()
    dashboard.draw_charts()
    expect(dashboard.page.locator("html")).to_have_attribute("data-theme", theme)
    assert dashboard.too_faint() == []


def troubled(status: dict[str, Any]) -> dict[str, Any]:
    """A status with everything in it that has a colour of its own."""
    [pool] = status["pools"]
    named = {"name": "queue_unknown", "pool": "images", "subject": "", "command": "autoscaler why"}
    status["concerns"] = [
        {**named, "severity": severity, "text": f"something {severity}"} for severity in ("critical", "warning", "info")
    ]
    tier = {
        "waiting": 3,
        "waiting_is_lower_bound": True,
        "delayed": 2,
        "age_source": "estimated",
        "wait_target_s": 300.0,
    }
    waits_s = {"pro": 1.0, "premium": 260.0, "free": 900.0}
    tiers = [{**tier, "tier": name, "oldest_wait_s": wait_s} for name, wait_s in waits_s.items()]
    pool["demand"] |= {"tiers": tiers, "advice": {"age_lower_bound": "nothing to do"}}
    pool["admission"][2] |= {"accept": False, "expected_wait_s": 400.0}
    [machine] = status["instances"]
    machine |= {"gpu": "RTX PRO 6000 WS", "region": "us-california-2", "since_s": 3e6, "usd_spent": 12345.6}
    status["instances"] = [{**machine, "id": f"{phase}-8vwnp6dk", "phase": phase} for phase in pool["phases"]]
    return status | {"error": "Redis is away", "usd_today": 29.0}


def test_a_theme_that_was_chosen_is_remembered(dashboard: Dashboard) -> None:
    dashboard.page.emulate_media(color_scheme="dark")
    dashboard.open()
    html, button = dashboard.page.locator("html"), dashboard.page.locator("#theme")
    expect(html).to_have_attribute("data-theme", "dark")
    button.click()
    expect(button).to_have_text("theme: light")
    expect(html).to_have_attribute("data-theme", "light")
    dashboard.open()
    expect(html).to_have_attribute("data-theme", "light")


def test_the_keyboard_alone_reaches_everything_and_the_focus_is_seen(dashboard: Dashboard) -> None:
    dashboard.answer(troubled)
    dashboard.open()
    dashboard.draw_charts()
    page = dashboard.page
    page.evaluate("window.scrollTo(0, 0); document.activeElement.blur(); window.reached = []")
    there = page.evaluate(f"[...document.querySelectorAll({FOCUSABLE!r})].filter((e) => e.checkVisibility()).length")
    for _ in range(there):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            "[document.activeElement.outerHTML.slice(0, 80), getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert seen[1] == "solid", f"no focus is seen on {seen[0]}"
        page.evaluate("window.reached.push(document.activeElement)")
    assert page.evaluate("new Set(reached).size") == there > 15
    follows = "reached[at].compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING"
    assert page.evaluate(f"reached.slice(1).every((each, at) => {follows})"), "from top to bottom"


def test_letters_are_shortcuts_save_where_something_is_typed(dashboard: Dashboard) -> None:
    dashboard.open()
    page = dashboard.page
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("filter the machines")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="1h", exact=True)).to_have_attribute("aria-pressed", "true")

    page.keyboard.press("m")
    expect(page.locator("#machine-filter")).to_be_focused()
    page.keyboard.type("tmj?")
    expect(page.locator("#machine-filter")).to_have_value("tmj?")
    expect(page.locator("#machine-count")).to_have_text("0 of 1 machine")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#journal-filter")).to_be_focused()


@pytest.mark.parametrize("width_px", [PHONE_PX, 768, 1101, WIDE_PX])
def test_nothing_is_wider_than_the_window(dashboard: Dashboard, width_px: int) -> None:
    dashboard.page.set_viewport_size({"width": width_px, "height": 844})
    dashboard.answer(troubled)
    dashboard.open()
    dashboard.draw_charts()
    assert dashboard.overflow_px() == 0


# --- strangers' words, and many machines ------------------------------------------------------------------------------

HOSTILE = (
    "<img src=x onerror='document.title=1'></script><script>alert(1)</script><b>bold</b> javascript:alert(2) "
    "\u202etxet desrever\u202c $\\alert(3)$ %{y} " + "W" * 10_000
)
CLOSED = {"phase", "severity", "kind", "action", "version", "buy", "health", "gpu_use", "age_source", "rule"}
"""Fields that only our own words can be in."""


def hostile(value: Any, field: str = "") -> Any:
    """The same answer with a stranger's words wherever there may be any."""
    match value:
        case dict():
            return {name: hostile(each, name) for name, each in value.items()}
        case list():
            return [hostile(each, field) for each in value]
        case str() if field not in CLOSED:
            return HOSTILE
        case _:
            return value


def point_at_a_bar(dashboard: Dashboard) -> None:
    """Point at the longest bar of the timeline, until it says something: it may just have been drawn anew."""
    until(lambda: _is_told(dashboard), "a bar says what it stands for")


def _is_told(dashboard: Dashboard) -> bool:
    dashboard.page.locator("#chart-phases .plot").hover(position={"x": 2, "y": 2})
    boxes = dashboard.page.evaluate(
        "[...document.querySelectorAll('#chart-phases .point path')].map((bar) => bar.getBoundingClientRect().toJSON())"
    )
    box = max(boxes, key=lambda box: float(box["width"]))
    dashboard.page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 1)
    dashboard.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    dashboard.page.wait_for_timeout(TOLD_WITHIN_MS)
    return dashboard.page.locator("#chart-phases .hovertext").count() > 0


def limits_apart(status: dict[str, Any]) -> dict[str, Any]:
    """Limits are `LOW..HIGH` and nothing else."""
    limits = [pool["limits"] for pool in status["pools"]]
    spoilt = hostile(troubled(status))
    for pool, own in zip(spoilt["pools"], limits, strict=True):
        pool["limits"] = own
    return dict(spoilt)


@pytest.mark.parametrize("width_px", [PHONE_PX, WIDE_PX])
def test_hostile_text_in_any_field_is_only_text(dashboard: Dashboard, width_px: int) -> None:
    page = dashboard.page
    page.set_viewport_size({"width": width_px, "height": 844})
    dashboard.answer(limits_apart)
    for path in ("/api/v1/timeline", "/api/v1/journal"):
        dashboard.answer_json(path, hostile)
    dashboard.open()
    dashboard.draw_charts()
    expect(page.locator("#journal li p").first).to_contain_text("<img src=x")

    point_at_a_bar(dashboard)
    expect(page.locator("#chart-phases .hovertext")).to_contain_text("<img src=x")

    assert page.locator("img, iframe, body script").count() == 0
    assert page.locator("b:not(.meter b)").count() == 0
    assert dashboard.overflow_px() == 0
    assert dashboard.complaints == []


def test_what_a_worker_complains_of_is_shown_as_it_is_written(
    dashboard: Dashboard, client: Any, daemon: DaemonProcess
) -> None:
    dashboard.open()
    [machine] = daemon.ask("/api/v1/instances")[1]["instances"]
    trouble = "<img src=x onerror='document.title=1'>"
    client.hset(Keys(FLEET).workers, machine["id"], f'{{"busy": 0, "slots": 1, "at": 1, "trouble": "{trouble}"}}')
    expect(dashboard.page.locator("#machines tbody")).to_contain_text(trouble)
    assert dashboard.page.locator("img").count() == 0
    client.hdel(Keys(FLEET).workers, machine["id"])
    expect(dashboard.page.locator("#machines tbody")).not_to_contain_text(trouble)  # nothing moves in the next test


def test_five_hundred_machines_are_shown_when_somebody_asks(dashboard: Dashboard) -> None:
    def grown(status: dict[str, Any]) -> dict[str, Any]:
        [machine] = status["instances"]
        return status | {"instances": [{**machine, "id": f"m{place:03}", "usd_spent": place} for place in range(500)]}

    page: Page = dashboard.page
    dashboard.answer(grown)
    dashboard.open()
    rows = page.locator("#machines tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="show all 500").click()
    expect(rows).to_have_count(500)
    page.get_by_role("button", name="spent").click()
    page.get_by_role("button", name="spent").click()
    expect(rows.first).to_contain_text("m499")
    expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "descending")
    page.locator("#machine-filter").fill("m07")
    expect(rows).to_have_count(10)
