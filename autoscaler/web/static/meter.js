// A bar that shows a share of something. It is never alone: words beside it say the same.

import { h } from "./dom.js";

/** An empty bar. */
export function meter() {
  return h("span", { class: "meter", "aria-hidden": "true" }, h("i"), h("b"));
}

/** Fill a meter; `tick` marks where the state would change, 0..1. */
export function setMeter(element, share, tone, tick = null) {
  const [fill, mark] = element.children;
  element.className = `meter ${tone}`;
  fill.style.width = `${Math.round(Math.min(1, share) * 100)}%`;
  mark.hidden = tick === null || tick >= 1;
  if (tick !== null) mark.style.left = `${Math.round(tick * 100)}%`;
}
