"""The dashboard as a person meets it in a browser, and what it asked for and complained of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route

Json = dict[str, Any]

WIDE_PX, PHONE_PX = 1440, 390
PATIENCE_MS = 60_000.0
CHARTS = ("depth", "wait", "machines", "usd", "phases")

# The contrast of a text with what lies behind it, by WCAG 2.2: for each text that can be seen its words, and the ratio
# that it has of the ratio that it needs.
_CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = ([r, g, b, a = 1], ground) => [r, g, b].map((value, at) => value * a + ground[at] * (1 - a));
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const weights = [0.2126, 0.7152, 0.0722];
  const luminance = (colour) => colour.reduce((sum, value, at) => sum + weights[at] * linear(value), 0);
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? ground(element.parentElement) : over(colour, ground(element.parentElement));
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: element, textContent } = walker.currentNode;
    const words = textContent.trim();
    if (!words || !element.checkVisibility() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const behind = ground(element);
    const front = over(parse(element instanceof SVGElement ? style.fill : style.color), behind);
    const [dark, light] = [luminance(front), luminance(behind)].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    found.push([words.slice(0, 40), (light + 0.05) / (dark + 0.05) / (large ? 3 : 4.5)]);
  }
  return found;
}"""


class Dashboard:
    """The page at a daemon's URL."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        """What the console got: errors, warnings, refusals of the page's policy."""
        self.requests: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    def open(self) -> None:
        """Open it, and wait until it shows what it was told."""
        self.page.goto(self.url)
        self.page.wait_for_selector("#concern-list li")

    def draw_charts(self) -> None:
        """Scroll to each chart, and wait until it is drawn."""
        for name in CHARTS:
            plot = self.page.locator(f"#chart-{name} .plot")
            plot.scroll_into_view_if_needed()
            self.page.wait_for_selector(f"#chart-{name} .plot[data-drawn] .main-svg", state="attached")

    def answer(self, change: Callable[[Json], Json], times: int | None = None) -> None:
        """From now on tell it a status that is changed so, once with each connection; the journal is empty."""
        told = 0

        def events(route: Route) -> None:
            nonlocal told
            told += 1
            if times is not None and told > times:
                route.continue_()
                return
            status = change(self.page.request.get(f"{self.url}/api/v1/status").json())
            body = f"event: status\ndata: {json.dumps(status)}\n\n"
            route.fulfill(body=body, content_type="text/event-stream")

        self.page.route("**/api/v1/events", events)

    def answer_json(self, path: str, change: Callable[[Any], Any]) -> None:
        """From now on let it hear another answer of the API at a path."""

        def changed(route: Route) -> None:
            route.fulfill(json=change(route.fetch().json()))

        self.page.route(f"**{path}*", changed)

    def overflow_px(self) -> int:
        """How much wider than the window the page is."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def too_faint(self) -> list[str]:
        """The texts that have too little contrast for WCAG AA."""
        found = self.page.evaluate(_CONTRASTS)
        assert len(found) > 30, "it looked at the whole page"
        return [f"{words}: {share:.2f} of what it needs" for words, share in found if share < 1.0]
