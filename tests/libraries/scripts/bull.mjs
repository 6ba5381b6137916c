// A producer and a worker of Bull: bull.mjs PACKAGE PORT

import { Gate, packages, serve } from "./bull_talk.mjs";

const [name, port] = process.argv.slice(2);
const Queue = packages(name);
const redis = { host: "127.0.0.1", port: Number(port) };
const gate = new Gate();

const queues = {};
const queue = (name) => (queues[name] ??= new Queue(name, { redis }));

// A job whose data say so fails at its first attempt; every other stands before the gate.
async function work(job) {
  if (job.data.fail && job.attemptsMade === 0) throw new Error("as told");
  await gate.passed;
}

await serve({
  add: async ({ queue: name, data = {}, ...opts }) => {
    const { id, timestamp } = await queue(name).add(data, opts);
    return { id, timestamp };
  },
  addLarge: async ({ queue: name, bytes, ...opts }) => (await queue(name).add({ image: "x".repeat(bytes) }, opts)).id,
  counts: async ({ queue: name }) => queue(name).getJobCounts(),
  priorities: async ({ queue: name, of }) => queue(name).getCountsPerPriority(of),
  pause: async ({ queue: name }) => queue(name).pause(),
  resume: async ({ queue: name }) => queue(name).resume(),
  promote: async ({ queue: name, id }) => (await queue(name).getJob(id)).promote(),
  job: async ({ queue: name, id }) => queue(name).client.hgetall(`bull:${name}:${id}`),
  work: async ({ queue: name, concurrency = 1 }) => {
    queue(name).process(concurrency, work);
    await queue(name).isReady();
  },
  finish: () => gate.open(),
});
