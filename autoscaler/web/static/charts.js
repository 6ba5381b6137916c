// The charts of one pool over time. Each is drawn when it is seen and something in it has changed.

import { byId, h, keep, say } from "./dom.js";
import { phasesChart } from "./phases.js";
import { CONFIG, colour, layout, ms, plain, plotly } from "./plotly.js";
import { onTheme } from "./theme.js";
import { duration } from "./words.js";

const HEIGHT = 190;
const STEPS_S = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

const DRAWN = {
  "chart-depth": depthChart,
  "chart-wait": waitChart,
  "chart-machines": machinesChart,
  "chart-usd": usdChart,
  "chart-phases": phasesChart,
};

const POINTER = matchMedia("(hover: hover)"); // a finger points at the last thing it touched for ever
const plotOf = (id) => byId(id).querySelector(".plot");

/** Draws what a history knows of a pool. */
export class Charts {
  #history;
  #stale = new Set();
  #seen = new Set();
  #busy = false;

  constructor(history) {
    this.#history = history;
    const watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#seen[isIntersecting ? "add" : "delete"](target.id);
      this.#drawSeen();
    }, { rootMargin: "200px" });
    for (const id of Object.keys(DRAWN)) {
      watch.observe(byId(id));
      byId(id).addEventListener("pointerleave", () => this.#drawSeen());
    }
    this.#chooser.addEventListener("change", () => this.draw());
    byId("all-bars").addEventListener("click", () => {
      byId("all-bars").toggleAttribute("data-all");
      this.draw();
    });
    onTheme(() => this.draw());
  }

  get #chooser() {
    return byId("chart-pool").querySelector("select");
  }

  /** The history has changed. */
  draw() {
    const { pools } = this.#history;
    byId("chart-pool").hidden = pools.length < 2;
    keep(this.#chooser, pools, {
      key: (name) => name,
      make: (name) => h("option", { value: name }),
      update: (option, name) => say(option, name),
    });
    for (const id of Object.keys(DRAWN)) this.#stale.add(id);
    this.#drawSeen();
  }

  async #drawSeen() {
    if (this.#busy || !this.#history.until) return;
    this.#busy = true;
    try {
      const library = await plotly().catch(() => null);
      for (let id = library && this.#next(); id; id = this.#next()) {
        this.#stale.delete(id);
        await this.#drawOne(library, id);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** The next chart to draw. One that is pointed at holds still while somebody reads it. */
  #next() {
    const read = (id) => POINTER.matches && plotOf(id).matches("[data-drawn]:hover");
    return Object.keys(DRAWN).find((id) => this.#stale.has(id) && this.#seen.has(id) && !read(id));
  }

  async #drawOne(library, id) {
    const pool = this.#chooser.value;
    const { data, layout: look, legend = [], says } = DRAWN[id](this.#history, pool);
    const plot = plotOf(id);
    const { from, until } = this.#history;
    look.xaxis = { ...look.xaxis, range: [ms(from), ms(until)] };
    plot.setAttribute("aria-label", says);
    drawLegend(byId(id).querySelector(".legend"), legend);
    await library.react(plot, data, look, CONFIG);
    plot.dataset.drawn = String(until);
  }
}

/** What the colours mean; the library's own legend would take a third of so small a chart. */
function drawLegend(list, items) {
  keep(list, items, {
    key: ({ name }) => name,
    make: () => h("li", {}, h("i"), h("span")),
    update: (element, { name, tone, mark }) => {
      const [sample, words] = element.children;
      sample.className = mark;
      sample.style.color = `var(--${tone})`;
      say(words, name);
    },
  });
}

// --- each chart: its traces, its layout, and what it says in words ----------------------------------------------------

function line(points, name, tone, value, more = {}) {
  return {
    type: "scatter",
    mode: "lines",
    name: plain(name),
    x: points.map((point) => ms(point.at)),
    y: points.map(value),
    line: { color: colour(tone), width: 1.75, shape: "hv" },
    connectgaps: false,
    ...more,
  };
}

const SERIES = 6;
const series = (place) => `series-${place % SERIES}`;
const newest = (points, value) => (points.length ? value(points.at(-1)) ?? "unknown" : "unknown");

function depthChart(history, pool) {
  const points = history.points(pool);
  const tiers = [...history.targets(pool).keys()];
  const waiting = (tier) => (point) => point.tiers.get(tier)?.waiting ?? null;
  return {
    data: tiers.map((tier, place) => line(points, tier, series(place), waiting(tier))),
    layout: layout(HEIGHT),
    legend: tiers.map((name, place) => ({ name, tone: series(place), mark: "line" })),
    says: `Jobs that wait: ${tiers.map((tier) => `${tier} ${newest(points, waiting(tier))}`).join(", ")}`,
  };
}

function waitChart(history, pool) {
  const points = history.points(pool);
  const targets = [...history.targets(pool)];
  const lines = targets.flatMap(([tier, target], place) => [
    line(points, tier, series(place), oldestWait(tier), {
      text: points.map((point) => duration(oldestWait(tier)(point) ?? 0)),
      hovertemplate: "%{text}",
    }),
    {
      x: [ms(history.from), ms(history.until)],
      y: [target, target],
      mode: "lines",
      line: { color: colour(series(place)), width: 1.25, dash: "dot" },
      hoverinfo: "skip",
    },
  ]);
  const longest = Math.max(1, ...lines.flatMap(({ y }) => Math.max(...y)));
  const look = layout(HEIGHT);
  look.yaxis = { ...look.yaxis, ...durationTicks(longest), range: [0, longest * 1.08] };
  const legend = targets.map(([name], place) => ({ name, tone: series(place), mark: "line" }));
  const said = targets.map(([tier]) => `${tier} ${newest(points, (point) => duration(oldestWait(tier)(point) ?? 0))}`);
  return { data: lines, layout: look, legend, says: `Oldest wait: ${said.join(", ")}` };
}

/** How long the oldest job of a tier had waited at a point; null where that is not known. */
function oldestWait(tier) {
  return (point) => {
    const found = point.tiers.get(tier);
    return found?.waiting === 0 ? 0 : (found?.oldest_wait_s ?? null);
  };
}

function durationTicks(longest) {
  const step = STEPS_S.find((each) => longest / each <= 5) ?? STEPS_S.at(-1);
  const ticks = Array.from({ length: Math.floor(longest / step) + 1 }, (_, place) => place * step);
  return { tickmode: "array", tickvals: ticks, ticktext: ticks.map(duration) };
}

function machinesChart(history, pool) {
  const points = history.points(pool);
  return {
    data: [
      line(points, "up", "hot", (point) => point.up, { fill: "tozeroy", fillcolor: colour("hot-pale") }),
      line(points, "wanted", "ink", (point) => point.wanted, { line: { color: colour("ink"), width: 1.5, dash: "dash", shape: "hv" } }),
    ],
    layout: layout(HEIGHT),
    legend: [{ name: "up", tone: "hot", mark: "solid" }, { name: "wanted", tone: "ink", mark: "line" }],
    says: `Machines: ${newest(points, (point) => point.wanted)} wanted, ${newest(points, (point) => point.up)} up`,
  };
}

function usdChart(history, pool) {
  const points = history.points(pool);
  const usd = (point) => point.usd_per_hour;
  const look = layout(HEIGHT);
  look.yaxis.tickformat = ".2f";
  const area = { fill: "tozeroy", fillcolor: colour("accent-pale"), hovertemplate: "%{y:.3f} USD/h<extra></extra>" };
  return {
    data: [line(points, "USD/h", "accent", usd, area)],
    layout: look,
    says: `USD per hour: ${newest(points, (point) => usd(point)?.toFixed(2))}`,
  };
}
