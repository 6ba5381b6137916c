// What needs a person, the most severe first, each with the command that mends it.

import { byId, h, keep, say } from "./dom.js";

const COPIED_MS = 1500;

let known = null;

/** Draw the concerns of a status, and tell those who listen of the new ones. */
export function drawConcerns(status) {
  const { concerns } = status;
  const list = byId("concern-list");
  list.classList.toggle("none", concerns.length === 0);
  const shown = concerns.length ? concerns : [{ severity: "none", name: "", text: allWell(status), command: "" }];
  keep(list, shown, { key, make, update });

  const keys = new Set(concerns.map(key));
  const fresh = concerns.filter((concern) => known && !known.has(key(concern)));
  if (fresh.length) say(byId("announced"), fresh.map((each) => `${each.severity}: ${each.text}`).join(". "));
  known = keys;
}

function allWell(status) {
  if (status.at === null) return "The first tick has not ended yet.";
  return status.leads ? "Nothing needs you." : "This daemon stands by; the one that leads knows more.";
}

const key = (concern) => JSON.stringify([concern.severity, concern.name, concern.pool, concern.subject]);

function make({ severity, name, command }) {
  const copy = h("button", { type: "button", class: "copy" }, "copy");
  const line = h("code", {}, command);
  copy.addEventListener("click", () => copyText(line, copy));
  return h(
    "li",
    { class: severity },
    severity === "none" ? "" : h("strong", {}, severity),
    h("p"),
    name && h("code", { class: "name", title: "its alert, and its section in docs/runbook.md" }, name),
    command ? h("span", { class: "command" }, line, copy) : "",
  );
}

function update(element, { text, command }) {
  say(element.querySelector("p"), text);
  const line = element.querySelector(".command code");
  if (line) say(line, command);
}

/** Copy what a command says. Without TLS browsers give no clipboard, so the words are selected and copied as by hand. */
async function copyText(line, button) {
  try {
    await navigator.clipboard.writeText(line.textContent);
  } catch {
    getSelection().selectAllChildren(line);
    document.execCommand("copy");
  }
  say(button, "copied");
  setTimeout(() => say(button, "copy"), COPIED_MS);
}
