// What the fleet is, how it stands, and what it costs.

import { attribute, byId, h, keep, say } from "./dom.js";
import { meter, setMeter } from "./meter.js";
import { duration, leaderName, moment, usd } from "./words.js";

const LATE_S = 60;

/** Draw the header from a status; `heardAgoS` is how long ago it came, in seconds. */
export function drawHeader(status, heardAgoS) {
  say(byId("fleet"), status.fleet);
  say(byId("version"), `gpu-autoscaler ${status.version}`);
  const [word, tone] = standing(status);
  say(byId("standing"), word);
  byId("standing").className = `pill ${tone}`;
  keep(byId("figures"), figures(status, heardAgoS), {
    key: (figure) => figure.name,
    make: makeFigure,
    update: updateFigure,
  });
}

/** The window's title: how many concerns are critical comes first, for whoever looks at another tab. */
export function drawTitle(status, lost) {
  const critical = status.concerns.filter((concern) => concern.severity === "critical").length;
  document.title = `${lost ? "lost: " : critical ? `(${critical}) ` : ""}${status.fleet}: autoscaler`;
}

function standing(status) {
  if (status.error) return ["failing", "bad"];
  if (status.orders.some((order) => order.name === "pause")) return ["paused", "warn"];
  if (status.at === null) return ["starting", "warn"];
  if (status.leads) return ["leads", "good"];
  const leaders = [...new Set(Object.values(status.leaders).map(leaderName))];
  return [leaders.length ? `stands by; ${leaders.join(", ")} leads` : "stands by", "warn"];
}

function* figures(status, heardAgoS) {
  yield { name: "per hour", value: `${usd(status.usd_per_hour)} USD` };
  const [warn, stop] = ["warn", "stop"].map((part) => dayCap(status, part));
  const tone = status.usd_today >= stop ? "bad" : status.usd_today >= warn ? "warn" : "";
  yield {
    name: "today",
    value: stop === Infinity ? `${usd(status.usd_today)} USD` : `${usd(status.usd_today)} of ${stop} USD`,
    tone,
    bar: stop === Infinity ? null : { share: stop ? status.usd_today / stop : 1, tick: stop ? warn / stop : 1 },
  };
  yield { name: "this month", value: `${usd(status.usd_month)} USD` };
  if (status.usd_month_forecast !== null) {
    yield { name: "month's forecast", value: `~${status.usd_month_forecast.toFixed(0)} USD` };
  }
  const age = status.age_s === null ? "none yet" : `${duration(status.age_s + heardAgoS)} ago`;
  const late = status.age_s + heardAgoS > LATE_S;
  yield { name: "newest tick", value: age, tone: late ? "bad" : "", title: status.at === null ? "" : `${moment(status.at)} UTC` };
}

/** What the day may cost: the whole fleet's cap, or all pools' together where that is less. */
function dayCap(status, part) {
  const name = `usd_per_day_${part}`;
  const pools = status.pools.map((pool) => pool.limits[name] ?? Infinity);
  return Math.min(status.limits[name] ?? Infinity, pools.length ? pools.reduce((a, b) => a + b) : Infinity);
}

function makeFigure() {
  return h("div", {}, h("dt"), h("dd"));
}

function updateFigure(element, { name, value, title = "", tone = "", bar = null }) {
  const [term, words] = element.children;
  say(term, name);
  say(words, value);
  words.className = tone;
  attribute(words, "title", title || null);
  if (bar && element.children.length === 2) element.append(meter());
  if (bar) setMeter(element.lastElementChild, bar.share, tone || "plain", bar.tick);
}
