// Machines as a timeline: a bar for each, coloured and patterned by phase, newest at the top.

import { byId, say, short } from "./dom.js";
import { colour, layout, ms, plain } from "./plotly.js";
import { count, duration, moment, usd } from "./words.js";

const MOST = 24;
const FEWEST_ROWS = 7; // what is told of a bar needs that much room
const ROW_PX = 18;
const FRAME_PX = 34;
const WIDEST = 80;
const MOST_LINES = 7;

/** Colour and pattern of each phase, as the report of a simulation has them; half-way phases are striped. */
const LOOKS = {
  planned: ["idle", ""],
  renting: ["idle", "/"],
  booting: ["booting", "\\"],
  resuming: ["resuming", "/"],
  hot: ["hot", ""],
  draining: ["hot", "/"],
  stopping: ["warm", "/"],
  warm: ["warm", ""],
  releasing: ["releasing", "/"],
  lost: ["lost", "x"],
};

/** The chart of a pool's machines. */
export function phasesChart(history, pool) {
  const machines = history.machines(pool);
  const shown = byId("all-bars").hasAttribute("data-all") ? machines : machines.slice(0, MOST);
  const button = byId("all-bars");
  button.hidden = machines.length <= MOST;
  say(button, shown.length < machines.length ? `show all ${machines.length}` : `show ${MOST}`);
  const rows = Math.max(shown.length, FEWEST_ROWS);
  const look = layout(rows * ROW_PX + FRAME_PX, {
    barmode: "overlay",
    hovermode: "closest",
    margin: { l: 104, r: 10, t: 4, b: 24 },
  });
  look.yaxis = {
    ...look.yaxis,
    autorange: false,
    range: [rows - 0.5, -0.5],
    tickmode: "array",
    tickvals: shown.map((_, place) => place),
    ticktext: shown.map((machine) => plain(machine.id.slice(0, 14))),
    showgrid: false,
  };
  const data = traces(shown, history);
  const legend = data.map(({ name }) => ({ name, tone: LOOKS[name][0], mark: LOOKS[name][1] ? "striped" : "solid" }));
  return { data, layout: look, legend, says: `Phases of ${count(machines.length, "machine")}` };
}

function traces(machines, history) {
  const bars = machines.flatMap((machine, place) => machine.phases.map((span) => ({ machine, place, span })));
  return Object.entries(LOOKS).flatMap(([phase, [tone, shape]]) => {
    const own = bars.filter(({ span }) => span.phase === phase && (span.to ?? history.until) > history.from);
    const start = ({ span }) => Math.max(span.from, history.from);
    return own.length === 0 ? [] : [{
      type: "bar",
      orientation: "h",
      width: 0.75,
      name: phase,
      base: own.map((bar) => ms(start(bar))),
      x: own.map((bar) => ms((bar.span.to ?? history.until) - start(bar))),
      y: own.map(({ place }) => place),
      hovertext: own.map(({ machine, span }) => told(machine, span, history)),
      hoverinfo: "text",
      marker: {
        color: colour(tone),
        line: { color: colour(tone), width: 1 }, // which keeps what lasted seconds in sight of hours
        pattern: { shape, fillmode: "overlay", fgcolor: colour("surface"), fgopacity: 0.6, size: 5, solidity: 0.3 },
      },
    }];
  });
}

/** What a bar stands for: what the machine was, from when to when, at what price, and why. */
function told(machine, span, history) {
  const ended = span.to === null ? "now" : moment(span.to);
  const lasted = duration((span.to ?? history.until) - span.from);
  const what = [machine.gpu, machine.region, machine.provider].filter(Boolean).join(", ");
  const lines = [
    `${machine.id}: ${span.phase}`,
    `${moment(span.from)} to ${ended} UTC, ${lasted}`,
    `${what}; ${usd(span.usd_per_hour, 3)} USD/h`,
    history.reason(machine, span),
  ].flatMap(folded);
  const shown = lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES - 1), "…"] : lines;
  return shown.map(plain).join("<br>");
}

/** A text in lines that fit into the window. */
function folded(text) {
  const width = Math.min(WIDEST, Math.floor(innerWidth / 10));
  return short(text).match(new RegExp(`.{1,${width}}(\\s|$)|.{1,${width}}`, "gsu")) ?? [];
}
