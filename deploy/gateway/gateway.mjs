// The same gateway as gateway.py, for Node.js 18 and later: docs/gateway.md.
//
//   npm install redis
//   REDIS_URL=redis://localhost AUTOSCALER_FLEET=llamasketch node gateway.mjs

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";

const { AUTOSCALER_FLEET, REDIS_URL, POOL = "images", PORT = "8000" } = process.env;
const TIERS = (process.env.TIERS ?? "pro premium free").split(" "); // most urgent first
const MACHINE_URL = process.env.MACHINE_URL ?? "http://{address}/jobs"; // where a machine takes a job, until it is done
const FLEET = `autoscaler:{${AUTOSCALER_FLEET}}:`;
const taken = (tier) => `jobs:${tier}:taken`; // jobs at work: `in_flight_keys` in the daemon's configuration

const client = await createClient({ url: REDIS_URL }).on("error", console.error).connect();
const atWork = new Map(); // jobs on each machine; only this process sends any
const busyOn = (name) => atWork.get(name) ?? 0;

// `POST /jobs/TIER`: into the queue, unless the daemon says that the tier is to be refused.
async function accept(tier, job, answer) {
  const word = JSON.parse((await client.hGet(FLEET + "admission", `${POOL}/${tier}`)) ?? '{"accept": true}');
  if (!word.accept) {
    answer.writeHead(503, { "Retry-After": word.retry_after_s ?? 60, "Content-Type": "application/json" });
    return answer.end(JSON.stringify({ error: word.message }));
  }
  await client.rPush(`jobs:${tier}`, job);
  answer.writeHead(202, { "Content-Type": "application/json" });
  answer.end(JSON.stringify({ expected_wait_s: word.expected_wait_s ?? null }));
}

// The pool's machines, and by beats what this gateway does on each; one that drains has seen its last job.
async function machines() {
  const every = Object.entries(await client.hGetAll(FLEET + "endpoints")).map(([name, text]) => [name, JSON.parse(text)]);
  const ours = every.filter(([, each]) => each.pool === POOL);
  for (const [name, each] of ours) {
    const drained = each.phase === "draining" && busyOn(name) === 0;
    const beat = { busy: busyOn(name), drained, at: Date.now() / 1000 };
    await client.hSet(FLEET + "workers", name, JSON.stringify(beat));
  }
  return ours;
}

// The least busy machine with a free slot that may serve a tier; those set apart for it go first.
function freeFor(tier, known) {
  const able = known.filter(
    ([name, each]) => each.phase === "hot" && [null, tier].includes(each.tier) && busyOn(name) < each.slots,
  );
  const rank = ([name, each]) => (each.tier === tier ? 0 : 1) + busyOn(name) / each.slots / 2;
  return able.sort((one, other) => rank(one) - rank(other))[0];
}

// Have a machine do a job; one that could not be done goes back to the head of its queue.
async function send(job, tier, name, address) {
  try {
    const url = MACHINE_URL.replace("{address}", address);
    const answer = await fetch(url, { method: "POST", body: job, signal: AbortSignal.timeout(600_000) });
    if (!answer.ok) throw new Error(`${answer.status}`);
  } catch {
    await sleep(1000);
    await client.lPush(`jobs:${tier}`, job);
  } finally {
    atWork.set(name, busyOn(name) - 1);
    await client.lRem(taken(tier), 1, job);
  }
}

// Send jobs to machines, the most urgent first, and only to a free slot: what waits is what the daemon goes by.
async function dispatch() {
  for (const tier of TIERS) while (await client.lMove(taken(tier), `jobs:${tier}`, "RIGHT", "LEFT")); // of the last run
  for (let known = [], lookedAt = 0; ; ) {
    if (Date.now() - lookedAt > 2000) [known, lookedAt] = [await machines(), Date.now()]; // 15 s is the limit
    let sent = false;
    for (const tier of TIERS) {
      const machine = freeFor(tier, known);
      const job = machine && (await client.lMove(`jobs:${tier}`, taken(tier), "LEFT", "RIGHT"));
      if (!job) continue;
      const [name, { address }] = machine;
      atWork.set(name, busyOn(name) + 1);
      void send(job, tier, name, address);
      sent = true;
      break;
    }
    if (!sent) await sleep(100);
  }
}

createServer(async (request, answer) => {
  const tier = request.url.match(/^\/jobs\/([^/]+)$/)?.[1];
  if (request.method !== "POST" || !TIERS.includes(tier)) return answer.writeHead(404).end();
  const parts = [];
  for await (const part of request) parts.push(part);
  await accept(tier, Buffer.concat(parts).toString(), answer);
}).listen(Number(PORT), "127.0.0.1");

await dispatch(); // where it fails, so does the process; whoever runs it starts it again
