// What operators have ordered, and until when it stands.

import { byId, lines } from "./dom.js";

/** Draw the orders of a status; nothing where none stands. */
export function drawOrders({ orders }) {
  byId("orders").hidden = orders.length === 0;
  lines(byId("order-list"), "li", orders.map(({ text, until }) => (until === null ? text : `${text}, until ${day(until)} UTC`)));
}

function day(epoch) {
  return new Date(epoch * 1000).toISOString().slice(5, 19).replace("T", " ");
}
