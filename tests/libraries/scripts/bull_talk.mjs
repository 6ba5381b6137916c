// Lets a script be told what to do by lines of JSON on standard input, as talk.py does for Python.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";

// The packages of the environment that runs the script.
export const packages = createRequire(process.env.ENVIRONMENT);

// Do what each line says until there are no more; `deeds` are functions by name.
export async function serve(deeds) {
  const answer = (said) => process.stdout.write(JSON.stringify(said) + "\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: deed, ...what } = JSON.parse(line);
    try {
      answer({ gives: (await deeds[deed](what)) ?? null });
    } catch (error) {
      answer({ failed: String(error.stack) });
    }
  }
  process.exit(0);
}

// Jobs stand before it until it is opened.
export class Gate {
  constructor() {
    this.passed = new Promise((resolve) => (this.open = resolve));
  }
}
