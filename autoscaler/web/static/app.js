// The page: hears what the daemon says, keeps it, and draws what has changed, once a frame. A hidden tab has no frames.

import { Charts } from "./charts.js";
import { drawConcerns } from "./concerns.js";
import { attribute, byId, h, onChange, say } from "./dom.js";
import { drawHeader, drawTitle } from "./header.js";
import { History } from "./history.js";
import { Journal } from "./journal.js";
import { goTo, listenForKeys } from "./keys.js";
import { Machines } from "./machines.js";
import { drawOrders } from "./orders.js";
import { drawPools } from "./pools.js";
import { listen } from "./stream.js";
import * as theme from "./theme.js";
import { moment } from "./words.js";

const RANGES_H = [1, 6, 24];
const ENTRIES = 300;
const RETRY_MS = 5000;

let status = null;
let heardAt = 0;
let lostFor = null; // seconds until the next try, while there is no connection
let frame = 0;
let again = 0;
let leaving = false;

const history = new History();
const charts = new Charts(history);
const machines = new Machines(redraw);
const journal = new Journal(redraw);
const drawCharts = onChange(() => charts.draw());
const drawStatus = onChange((said) => {
  drawConcerns(said);
  drawOrders(said);
  drawPools(said);
});

function redraw() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    drawLink();
    journal.draw();
    drawCharts([history.until, history.hours]);
    if (!status) return;
    drawAge();
    drawStatus(status);
    machines.draw(status);
  });
}

function drawAge() {
  if (status) drawHeader(status, (performance.now() - heardAt) / 1000);
}

function drawLink() {
  const lost = lostFor !== null;
  document.documentElement.classList.toggle("lost", lost);
  say(byId("link"), lost ? "lost" : status ? "live" : "connecting");
  const banner = byId("stale");
  const again = lostFor ? `trying again in ${lostFor} s` : "trying again";
  const asOf = status ? ` What is shown is as of ${moment(status.clock)} UTC.` : "";
  if (lost) say(banner, `Connection lost, ${again}.${asOf}`);
  banner.hidden = !lost;
}

// --- what is heard ----------------------------------------------------------------------------------------------------

function takeStatus(said) {
  if (status && status.version !== said.version) {
    if (!leaving) location.reload(); // the page of another version is another page
    leaving = true; // asked again, a reload would begin anew
    return;
  }
  status = said;
  heardAt = performance.now();
  lostFor = null;
  history.add(said);
  drawTitle(said, false);
  redraw();
}

function takeJournal({ entries }) {
  journal.add(entries);
  history.explain(entries);
  redraw();
}

function takeAll() {
  loadHistory(history.hours);
  loadJournal();
}

async function loadHistory(hours) {
  clearTimeout(again);
  try {
    await history.load(hours);
    say(byId("history-note"), "times are UTC");
  } catch {
    say(byId("history-note"), "what was before cannot be had; trying again");
    again = setTimeout(loadHistory, RETRY_MS, hours);
  }
  redraw();
}

async function loadJournal() {
  try {
    const answer = await fetch(`/api/v1/journal?count=${ENTRIES}`);
    if (answer.ok) takeJournal(await answer.json());
  } catch {
    // the connection is lost again, and with the next one it is asked for anew
  }
}

listen("/api/v1/events", {
  names: ["status", "journal"],
  heard: (name, said) => (name === "status" ? takeStatus : takeJournal)(said),
  opened: takeAll,
  lost: (seconds) => {
    lostFor = seconds;
    if (status) drawTitle(status, true);
    redraw();
  },
});
setInterval(drawAge, 1000);

// --- what a person asks for -------------------------------------------------------------------------------------------

function chooseRange(hours) {
  for (const button of byId("ranges").children) {
    attribute(button, "aria-pressed", String(button.dataset.hours === String(hours)));
  }
  loadHistory(hours);
}

for (const hours of RANGES_H) {
  const pressed = String(hours === history.hours);
  const look = { type: "button", "data-hours": hours, "aria-pressed": pressed, click: () => chooseRange(hours) };
  byId("ranges").append(h("button", look, `${hours}h`));
}

function nextTheme() {
  theme.next();
  sayTheme();
}

function sayTheme() {
  say(byId("theme"), `theme: ${theme.chosen()}`);
}

sayTheme();
byId("theme").addEventListener("click", nextTheme);

listenForKeys([
  { key: "c", text: "what needs you", run: () => goTo("concerns") },
  { key: "m", text: "filter the machines", run: () => goTo("machine-filter") },
  { key: "j", text: "filter the journal", run: () => goTo("journal-filter") },
  ...RANGES_H.map((hours, place) => ({
    key: String(place + 1),
    text: `the last ${hours}h`,
    run: () => chooseRange(hours),
  })),
  { key: "t", text: "theme: as the system, light, dark", run: nextTheme },
]);
