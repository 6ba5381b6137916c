// What can be done from the keyboard. A letter means nothing while something is being typed.

import { byId, h } from "./dom.js";

/** Listen for keys. Each of `actions` has its `key`, its `text` and what it does, `run`. */
export function listenForKeys(actions) {
  const dialog = byId("keys");
  const help = { key: "?", text: "this list", run: () => dialog.showModal() };
  const every = [...actions, help];
  const list = every.map(({ key, text }) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)));
  byId("key-list").append(...list, h("div", {}, h("dt", {}, h("kbd", {}, "Esc")), h("dd", {}, "leave a field, close this list")));
  byId("help").addEventListener("click", help.run);

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = every.find(({ key }) => key === event.key);
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}

/** Bring an element into view and give it the focus. */
export function goTo(id) {
  const element = byId(id);
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "center" });
}
