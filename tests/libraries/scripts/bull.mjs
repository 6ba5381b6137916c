// A producer and a worker of Bull: bull.mjs PORT

import { Gate, packages, serve } from "./bull_talk.mjs";

const [port] = process.argv.slice(2);
const Queue = packages("bull4");

const queues = {};
const queue = (name) => (queues[name] ??= new Queue(name, { redis: { host: "127.0.0.1", port: Number(port) } }));
const gate = new Gate();
let drained = false;

// A job called `fail` fails once; every other stands before the gate.
async function work(job) {
  if (job.name === "fail" && job.attemptsMade === 0) throw new Error("as told");
  await gate.passed;
}

await serve({
  add: async ({ queue: name, job = "job", bytes = 0, ...opts }) => {
    const { id, timestamp } = await queue(name).add(job, { image: "x".repeat(bytes) }, opts);
    return { id, timestamp };
  },
  counts: async ({ queue: name }) => queue(name).getJobCounts(),
  priorities: async ({ queue: name, of }) => queue(name).getCountsPerPriority(of),
  pause: async ({ queue: name }) => queue(name).pause(),
  resume: async ({ queue: name }) => queue(name).resume(),
  promote: async ({ queue: name, id }) => (await queue(name).getJob(id)).promote(),
  work: async ({ queue: name, concurrency = 1 }) => {
    queue(name).process("*", concurrency, work);
    await queue(name).isReady();
  },
  drain: ({ queue: name }) => void queue(name).pause(true).then(() => (drained = true)),
  drained: () => drained,
  finish: () => gate.open(),
});
