// Light, dark, or as the system has it. The choice is remembered by this browser.

const KEY = "autoscaler.theme";
const THEMES = ["auto", "light", "dark"];

let theme = remembered();

function remembered() {
  try {
    const found = localStorage.getItem(KEY);
    return THEMES.includes(found) ? found : "auto";
  } catch {
    return "auto"; // a browser may forbid storage
  }
}

/** The theme that was chosen. */
export const chosen = () => theme;

/** Take the next theme. */
export function next() {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // then it holds until the page is left
  }
  apply();
}

/** Call back whenever the colours have changed. */
export const onTheme = (call) => listeners.push(call);

const listeners = [];
const system = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const dark = theme === "dark" || (theme === "auto" && system.matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  for (const call of listeners) call();
}

system.addEventListener("change", apply);
apply();
