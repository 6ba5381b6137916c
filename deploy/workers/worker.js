// A worker that says itself what it does, and obeys the drain mark: docs/workers.md. It serves a Redis list.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const Redis = require("ioredis");

const LEASE_S = 120; // after so long without its worker a job is taken by another

const client = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null }); // waits till it is back
client.defineCommand("take", { numberOfKeys: 2, lua: readFileSync(join(__dirname, "take.lua"), "utf8") });
const fleet = `autoscaler:{${process.env.AUTOSCALER_FLEET}}:`;
const me = process.env.AUTOSCALER_INSTANCE;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** Say what this machine does, and then look whether it carries the drain mark. */
async function beat(busy, drained = false) {
  await client.hset(`${fleet}workers`, me, JSON.stringify({ busy, drained, at: Date.now() }));
  return (await client.exists(`${fleet}drain:${me}`)) === 1;
}

/** Put the end of the job's lease off. */
async function keep(job) {
  const [now] = await client.time();
  await client.zadd("jobs:processing", "XX", Number(now) + LEASE_S, job);
}

/** Yours, and asynchronous, so that it can beat meanwhile. Here a job is the number of seconds that it takes. */
async function work(job) {
  await pause(1000 * Number(job));
}

async function main() {
  let drained = false;
  for (;;) {
    const marked = await beat(0, drained);
    const mayPull = !marked && !drained; // whoever has said that it pulls no more takes that back first
    drained = marked;
    const job = mayPull ? await client.take("jobs", "jobs:processing", LEASE_S) : null;
    if (job === null) {
      await pause(1000);
      continue;
    }
    await beat(1);
    const beating = setInterval(() => Promise.all([beat(1), keep(job)]).catch(console.error), 5000);
    await work(job);
    clearInterval(beating);
    await client.zrem("jobs:processing", job);
  }
}

main();
