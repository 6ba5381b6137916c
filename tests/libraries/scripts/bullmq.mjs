// A producer and a worker of BullMQ: bullmq.mjs PACKAGE PORT

import { Gate, packages, serve } from "./bull_talk.mjs";

const [name, port] = process.argv.slice(2);
const { FlowProducer, Queue, Worker } = packages(name);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const prefix = "bull";

const queues = {};
const queue = (name) => (queues[name] ??= new Queue(name, { connection, prefix }));
const gate = new Gate();

// A job called `fail` fails at its first attempt; every other stands before the gate.
async function work(job) {
  if (job.name === "fail" && job.attemptsMade < 2 && !job.data.failed) {
    await job.update?.({ failed: true });
    await job.updateData?.({ failed: true });
    throw new Error("as told");
  }
  await gate.passed;
}

await serve({
  add: async ({ queue: name, job = "job", data = {}, ...opts }) => {
    const { id, timestamp } = await queue(name).add(job, data, opts);
    return { id, timestamp };
  },
  addLarge: async ({ queue: name, bytes, ...opts }) => (await queue(name).add("job", { image: "x".repeat(bytes) }, opts)).id,
  addFlow: async ({ parent, child }) => {
    await new FlowProducer({ connection, prefix }).add({
      ...{ name: "parent", queueName: parent, data: {} },
      children: [{ name: "child", queueName: child, data: {} }],
    });
  },
  repeat: async ({ queue: name, every }) => {
    if (queue(name).upsertJobScheduler) await queue(name).upsertJobScheduler("clock", { every });
    else await queue(name).add("job", {}, { repeat: { every } });
  },
  counts: async ({ queue: name }) => queue(name).getJobCounts(),
  priorities: async ({ queue: name, of }) => queue(name).getCountsPerPriority(of),
  pause: async ({ queue: name }) => queue(name).pause(),
  resume: async ({ queue: name }) => queue(name).resume(),
  promote: async ({ queue: name, id }) => (await queue(name).getJob(id)).promote(),
  job: async ({ queue: name, id }) => (await queue(name).client).hgetall(`${prefix}:${name}:${id}`),
  work: async ({ queue: name, ...opts }) => {
    await new Worker(name, work, { connection, prefix, ...opts }).waitUntilReady();
  },
  finish: () => gate.open(),
});
