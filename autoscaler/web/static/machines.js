// All machines as a table that can be sorted and filtered; on a narrow screen each row is a card.

import { attribute, byId, h, keep, say } from "./dom.js";
import { count, duration, machineReason, machineState, usd } from "./words.js";

const MOST = 50;
const UP = new Set(["hot", "draining"]);

const place = (machine) => [machine.region, machine.provider, machine.buy.replaceAll("_", " ")].filter(Boolean).join(" · ");
const load = (machine) => `${machine.busy ?? "?"}/${machine.slots}`;

/** Name, words, what it is sorted by, and whether it is a number. */
const COLUMNS = [
  ["machine", (machine) => `${machine.id}${machine.primary ? "*" : ""}`, (machine) => machine.id],
  ["pool", (machine) => machine.pool],
  ["phase", machineState],
  ["since", (machine) => duration(machine.since_s), (machine) => machine.since_s, true],
  ["busy", (machine) => (UP.has(machine.phase) ? load(machine) : "-"), (machine) => machine.busy ?? -1, true],
  ["GPU", (machine) => machine.gpu],
  ["where", place],
  ["USD/h", (machine) => usd(machine.usd_per_hour, 3), (machine) => machine.usd_per_hour, true],
  ["spent", (machine) => usd(machine.usd_spent), (machine) => machine.usd_spent, true],
  ["reason", machineReason],
].map(([name, words, value = words, numeric = false]) => ({ name, words, value, numeric }));

/** The table; `redraw` is called when a person asks for another view of the same machines. */
export class Machines {
  #column = null; // as the daemon tells them: by pool, oldest first
  #ascending = true;
  #all = false;

  constructor(redraw) {
    const headings = COLUMNS.map((column) => {
      const button = h("button", { type: "button", click: () => this.#sort(column, redraw) }, column.name);
      return h("th", { scope: "col", class: column.numeric ? "number" : null }, button);
    });
    byId("machines").tHead.rows[0].append(...headings);
    const sorter = byId("machine-sort");
    sorter.append(h("option", { value: "" }, "age"), ...COLUMNS.map(({ name }) => h("option", {}, name)));
    sorter.addEventListener("change", () => {
      this.#column = null;
      this.#sort(COLUMNS.find(({ name }) => name === sorter.value) ?? null, redraw);
    });
    byId("machine-filter").addEventListener("input", redraw);
    byId("all-machines").addEventListener("click", () => {
      this.#all = !this.#all;
      redraw();
    });
  }

  #sort(column, redraw) {
    this.#ascending = column !== this.#column || !this.#ascending;
    this.#column = column;
    byId("machine-sort").value = column?.name ?? "";
    redraw();
  }

  /** Draw the machines of a status. */
  draw(status) {
    const machines = status.instances;
    const found = this.#sorted(machines.filter(matching(byId("machine-filter").value)));
    const shown = this.#all ? found : found.slice(0, MOST);
    this.#drawHead(status.pools.length > 1);
    keep(byId("machines").tBodies[0], shown, { key: (machine) => machine.id, make: makeRow, update: updateRow });
    const total = count(machines.length, "machine");
    say(byId("machine-count"), found.length === machines.length ? total : `${found.length} of ${total}`);
    const more = byId("all-machines");
    more.hidden = found.length <= MOST;
    say(more, this.#all ? `show ${MOST}` : `show all ${found.length}`);
  }

  #drawHead(several) {
    byId("machines").classList.toggle("one-pool", !several);
    for (const [at, heading] of [...byId("machines").tHead.rows[0].cells].entries()) {
      const direction = this.#ascending ? "ascending" : "descending";
      attribute(heading, "aria-sort", COLUMNS[at] === this.#column ? direction : null);
    }
  }

  #sorted(machines) {
    if (!this.#column) return machines;
    const { value } = this.#column;
    const sign = this.#ascending ? 1 : -1;
    const order = new Intl.Collator("en", { numeric: true });
    return machines.toSorted((a, b) => sign * compare(value(a), value(b), order));
  }
}

function compare(a, b, order) {
  return typeof a === "number" ? a - b : order.compare(a, b);
}

/** Whether a machine has all words of a filter, in any of its columns. */
function matching(filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return (machine) => {
    const text = COLUMNS.map((column) => column.words(machine)).join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

function makeRow() {
  const cells = COLUMNS.map(({ name, numeric }) => {
    const words = name === "phase" ? [h("i", { class: "swatch", "aria-hidden": "true" }), h("span")] : [];
    return h("td", { "data-name": name, class: numeric ? "number" : name }, ...words);
  });
  return h("tr", {}, ...cells);
}

function updateRow(row, machine) {
  const state = machineState(machine);
  for (const [at, { name, words }] of COLUMNS.entries()) {
    const cell = row.cells[at];
    say(name === "phase" ? cell.lastElementChild : cell, words(machine));
  }
  attribute(row, "data-phase", machine.phase);
  attribute(row, "data-state", state);
}
