// A worker that says itself what it does, and obeys the drain mark: docs/workers.md. It serves a Redis list.

const Redis = require("ioredis");

const client = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null }); // waits till it is back
const fleet = `autoscaler:{${process.env.AUTOSCALER_FLEET}}:`;
const me = process.env.AUTOSCALER_INSTANCE;
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

/** Say what this machine does, and then look whether it carries the drain mark. */
async function beat(busy, drained = false) {
  await client.hset(`${fleet}workers`, me, JSON.stringify({ busy, drained, at: Date.now() }));
  return (await client.exists(`${fleet}drain:${me}`)) === 1;
}

/** Yours, and asynchronous, so that it can beat meanwhile. Here a job is the number of seconds that it takes. */
async function work(job) {
  await pause(1000 * Number(job));
}

async function main() {
  let marked = false;
  for (;;) {
    marked = await beat(0, marked);
    const job = marked ? null : await client.lmove("jobs", "jobs:processing", "LEFT", "RIGHT");
    if (job === null) {
      await pause(1000);
      continue;
    }
    await beat(1);
    const beating = setInterval(() => beat(1).catch(console.error), 5000);
    await work(job);
    clearInterval(beating);
    await client.lrem("jobs:processing", 1, job);
  }
}

main();
