// How the page is changed. Words come from outside and reach it as text alone: nothing here parses markup.

const LONGEST = 800;

/** The element of this id. */
export const byId = (id) => document.getElementById(id);

/** A new element. Children are elements or texts; properties are attributes, or listeners where they are functions. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else attribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== "").map((child) => (child instanceof Node ? child : short(child))));
  return element;
}

/** Set an attribute, or take it away; an equal one is left alone. */
export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
}

/** Say something, where it is not said already: a selection survives, and nothing is laid out again. */
export function say(element, text) {
  const words = short(text);
  if (element.textContent !== words) element.textContent = words;
}

/** A text that is no longer than anybody reads. */
export function short(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** Make the children of `parent` those of `items`, in order; an item keeps its element, and with it focus and place. */
export function keep(parent, items, { key, make, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}

/** Lines of text as children, one element each. */
export function lines(parent, tag, texts) {
  keep(parent, texts.map((text, place) => ({ text, place })), {
    key: (line) => line.place,
    make: () => document.createElement(tag),
    update: (element, line) => say(element, line.text),
  });
}

/** Run `draw` for a value only when it is another one than before. */
export function onChange(draw) {
  let before;
  return (value) => {
    const now = JSON.stringify(value);
    if (now !== before) draw(value);
    before = now;
  };
}
