// A producer and a worker of BullMQ: bullmq.mjs PORT PACKAGE

import { Gate, packages, serve } from "./bull_talk.mjs";

const [port, name] = process.argv.slice(2);
const { FlowProducer, Queue, Worker } = packages(name);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };

const queues = {};
const queue = (name) => (queues[name] ??= new Queue(name, { connection }));
const gate = new Gate();
const failed = new Set();
let worker;
let drained = false;

// A job called `fail` fails once; every other stands before the gate.
async function work(job) {
  if (job.name === "fail" && !failed.has(job.id)) {
    failed.add(job.id);
    throw new Error("as told");
  }
  await gate.passed;
}

await serve({
  add: async ({ queue: name, job = "job", bytes = 0, ...opts }) => {
    const { id, timestamp } = await queue(name).add(job, { image: "x".repeat(bytes) }, opts);
    return { id, timestamp };
  },
  addFlow: async ({ parent, child }) => {
    const children = [{ name: "child", queueName: child, data: {} }];
    await new FlowProducer({ connection }).add({ name: "parent", queueName: parent, data: {}, children });
  },
  counts: async ({ queue: name }) => queue(name).getJobCounts(),
  priorities: async ({ queue: name, of }) => queue(name).getCountsPerPriority(of),
  pause: async ({ queue: name }) => queue(name).pause(),
  resume: async ({ queue: name }) => queue(name).resume(),
  promote: async ({ queue: name, id }) => (await queue(name).getJob(id)).promote(),
  work: async ({ queue: name, concurrency = 1 }) => {
    worker = new Worker(name, work, { connection, concurrency });
    await worker.waitUntilReady();
  },
  drain: () => void worker.pause().then(() => (drained = true)),
  drained: () => drained,
  finish: () => gate.open(),
});
