// What happened, newest first.

import { attribute, byId, h, keep, say } from "./dom.js";
import { moment } from "./words.js";

const KEPT = 1000;
const SHOWN = 100;
const LOUD = new Set(["alarm", "loss"]);

/** The journal; `redraw` is called when a person asks for another part of it. */
export class Journal {
  #entries = new Map(); // what tells an entry from others → the entry, newest first

  constructor(redraw) {
    for (const id of ["journal-kind", "journal-pool", "journal-filter"]) byId(id).addEventListener("input", redraw);
  }

  /** Add entries in any order; those that are known already change nothing. */
  add(entries) {
    const fresh = entries.map((entry) => [identity(entry), entry]).filter(([name]) => !this.#entries.has(name));
    if (fresh.length === 0) return;
    const all = [...fresh, ...this.#entries].sort(([, a], [, b]) => b.at - a.at);
    this.#entries = new Map(all.slice(0, KEPT));
  }

  /** Draw what is asked for. */
  draw() {
    const entries = [...this.#entries.values()];
    const pools = offer(byId("journal-pool"), entries.map((entry) => entry.pool));
    byId("journal-pools").hidden = pools < 2;
    offer(byId("journal-kind"), entries.map((entry) => entry.kind));
    const kind = byId("journal-kind").value;
    const pool = byId("journal-pool").value;
    const words = byId("journal-filter").value.toLowerCase();
    const found = entries.filter(
      (entry) =>
        (!kind || entry.kind === kind) &&
        (!pool || entry.pool === pool) &&
        (!words || `${entry.text} ${entry.instance}`.toLowerCase().includes(words)),
    );
    const shown = found.length ? found.slice(0, SHOWN) : [{ kind: "", text: "Nothing of that kind yet." }];
    keep(byId("journal"), shown, { key: identity, make, update });
  }
}

const identity = (entry) => JSON.stringify([entry.at, entry.kind, entry.instance, entry.text.slice(0, 200)]);

/** Offer these choices besides `all`; how many there are. */
function offer(select, names) {
  const choices = [...new Set(names)].filter(Boolean).sort();
  const options = [{ value: "", text: "all" }, ...choices.map((name) => ({ value: name, text: name.replaceAll("_", " ") }))];
  keep(select, options, {
    key: ({ value }) => value,
    make: ({ value }) => h("option", { value }),
    update: (option, { text }) => say(option, text),
  });
  return choices.length;
}

function make(entry) {
  const at = entry.at === undefined ? "" : h("time", { datetime: new Date(entry.at * 1000).toISOString() }, moment(entry.at));
  const why = entry.why_not?.length ? h("p", { class: "quiet" }, `not: ${entry.why_not.map((each) => each.text).join("; ")}`) : "";
  return h("li", {}, at, h("span", { class: "kind" }, entry.kind.replaceAll("_", " ")), h("div", {}, h("p", {}, entry.text), why));
}

function update(element, entry) {
  attribute(element, "class", LOUD.has(entry.kind) ? "loud" : null);
}
