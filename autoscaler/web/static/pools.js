// Each pool: its tiers against their targets, its machines against what is wanted, and why.

import { attribute, byId, h, keep, lines, say } from "./dom.js";
import { meter, setMeter } from "./meter.js";
import { count, duration, leaderName, tierState, usd } from "./words.js";

/** Draw the pools of a status, and those that another daemon leads. */
export function drawPools(status) {
  const own = new Set(status.pools.map((pool) => pool.name));
  const others = Object.entries(status.leaders).filter(([name]) => !own.has(name));
  const shown = [...status.pools, ...others.map(([name, leader]) => ({ name, leader }))];
  keep(byId("pools"), shown, {
    key: (pool) => `${"leader" in pool ? "led by another" : "ours"} ${pool.name}`,
    make: (pool) => ("leader" in pool ? h("article", { class: "pool away" }, h("h3"), h("p")) : make()),
    update: (card, pool) => ("leader" in pool ? updateAway(card, pool) : update(card, pool)),
  });
}

function updateAway(card, { name, leader }) {
  say(card.firstElementChild, name);
  say(card.lastElementChild, `led by ${leaderName(leader)}: that daemon's page shows it`);
}

function make() {
  const head = ["tier", "waiting", "oldest wait", "target", "", "a new job"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "article",
    { class: "pool" },
    h("h3"),
    h("p", { class: "quiet money" }),
    h("ul", { class: "trouble" }),
    h("table", { class: "tiers" }, h("thead", {}, h("tr", {}, ...head)), h("tbody")),
    h("dl", { class: "counts" }),
    h(
      "div",
      { class: "decision" },
      h("h4", {}, "Why"), h("ul", { class: "why" }),
      h("h4", {}, "Why not"), h("ul", { class: "why-not" }),
      h("h4", {}, "Under way"), h("ul", { class: "commands" }),
    ),
  );
}

function update(card, pool) {
  const part = (name) => card.querySelector(name);
  say(part("h3"), pool.name);
  say(part(".money"), money(pool));
  lines(part(".trouble"), "li", [...trouble(pool)]);
  const admission = new Map(pool.admission.map((each) => [each.tier, each]));
  keep(part(".tiers tbody"), pool.demand.tiers, {
    key: (tier) => tier.tier,
    make: makeTier,
    update: (row, tier) => updateTier(row, tier, admission.get(tier.tier)),
  });
  keep(part(".counts"), [...counts(pool)], {
    key: (each) => each[0],
    make: () => h("div", {}, h("dt"), h("dd"), h("dd", { class: "quiet" })),
    update: (element, texts) => texts.forEach((text, place) => say(element.children[place], text)),
  });
  const { why, why_not: whyNot } = pool.decision;
  told(part(".why"), [...why].sort((a, b) => isDetail(a) - isDetail(b)).map(reasonLine));
  told(part(".why-not"), whyNot.map(({ rule, text }) => `${rule}: ${text}`));
  told(part(".commands"), pool.commands.map(commandLine));
}

/** Texts as a list; without any, neither the list nor its headline is seen. */
function told(list, texts) {
  lines(list, "li", texts);
  list.hidden = list.previousElementSibling.hidden = texts.length === 0;
}

/** A limit's own words do not say what it limits. */
function reasonLine({ rule, text }) {
  return rule.startsWith("limits.") ? `${rule}: ${text}` : text;
}

/** Whether it is one rule's own word; what all policies want comes first. */
const isDetail = (reason) => Number(reason.rule !== "combine");

function commandLine({ action, instance, placement, reason, usd_per_hour: price }) {
  const about = instance ?? (placement ? `at ${placement}` : "");
  const costs = price === null ? "" : ` for ${usd(price, 3)} USD/h`;
  return `${action.replaceAll("_", " ")} ${about}${costs}: ${reason}`;
}

function money(pool) {
  const cap = pool.limits.usd_per_day_stop;
  const today = `${usd(pool.usd_today)}${cap === null ? "" : ` of ${cap}`} USD today`;
  return `${usd(pool.usd_per_hour)} USD/h · ${today}`;
}

function* trouble({ demand, image_given_up: givenUp }) {
  if (demand.unknown !== null) yield `the queue cannot be read: ${demand.unknown}`;
  else if (!demand.seen) yield "no key of this queue was ever seen: is its name right?";
  if (demand.paused) yield "the queue itself is paused";
  if (givenUp) yield "the image crashed in a loop on several hosts: none is rented with it";
  for (const [code, advice] of Object.entries(demand.advice)) yield `${code}: ${advice}`;
}

function* counts({ decision, phases, limits, up, demand }) {
  const coming = phases.planned + phases.renting + phases.booting + phases.resuming;
  const leaving = phases.draining + phases.stopping + phases.releasing;
  const few = Math.min(decision.standby, decision.warm);
  const kept = few === decision.warm ? `${few}` : `${few} to ${decision.warm}`;
  yield ["wanted", `${decision.hot}`, `${limits.hot.replace("..", " to ")} allowed`];
  yield ["up", `${up}`, coming || leaving ? `${coming} coming, ${leaving} going` : "none coming or going"];
  yield ["HOT", `${phases.hot}`, demand.in_flight === null ? "" : `${count(demand.in_flight, "job")} in flight`];
  yield ["WARM", `${phases.warm}`, `${kept} to be kept`];
  if (phases.lost) yield ["lost", `${phases.lost}`, "not listed any more"];
}

// --- one tier ---------------------------------------------------------------------------------------------------------

const TONES = { ok: "good", close: "warn", late: "bad" };

function makeTier() {
  const cells = ["number", "number", "quiet"].map((look) => h("td", { class: look }));
  const state = h("td", { class: "state" }, meter(), h("span"));
  return h("tr", {}, h("th", { scope: "row" }), ...cells, state, h("td"));
}

function updateTier(row, tier, admission) {
  const [name, waiting, oldest, target, state, next] = row.children;
  const [word, share] = tierState(tier);
  const later = tier.delayed ? ` +${tier.delayed} later` : "";
  say(name, tier.tier);
  say(waiting, `${tier.waiting_is_lower_bound ? "≥" : ""}${tier.waiting}${later}`);
  say(oldest, oldestWait(tier));
  say(target, tier.wait_target_s === null ? "" : `of ${duration(tier.wait_target_s)}`);
  setMeter(state.firstElementChild, share, TONES[word] ?? "plain");
  say(state.lastElementChild, word);
  state.className = `state ${TONES[word] ?? ""}`;
  say(next, nextJob(admission));
  attribute(next, "title", admission?.why ?? null);
  next.className = admission && !admission.accept ? "next refused" : "next";
}

function oldestWait(tier) {
  if (tier.oldest_wait_s === null) return tier.waiting === 0 ? "-" : "unknown";
  return `${tier.age_source === "estimated" ? "~" : ""}${duration(tier.oldest_wait_s)}`;
}

function nextJob(admission) {
  if (!admission) return "";
  const wait = admission.expected_wait_s;
  if (!admission.accept) return wait === null ? "refused" : `refused, ~${duration(wait)}`;
  if (wait === null) return "taken";
  return wait < 1 ? "starts at once" : `waits ~${duration(wait)}`;
}
