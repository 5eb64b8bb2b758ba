// SPDX-License-Identifier: Apache-2.0
// BullMQ as its makers document it. Arguments: the port, jobs, concurrency of the worker, pick-ups.
// Prints one JSON object.
import { Queue, Worker } from "bullmq";
import Redis from "ioredis";

const [port, jobs, concurrency, pickups] = process.argv.slice(2).map(Number);
const connect = () => new Redis({ port, host: "127.0.0.1", maxRetriesPerRequest: null, enableAutoPipelining: true });
const options = { removeOnComplete: true, removeOnFail: true };
const queue = new Queue("peer", { connection: connect(), defaultJobOptions: options });
await queue.waitUntilReady();
const payload = { user: "u-1", text: "x".repeat(100) };

// Added as fast as it can: the better of single adds, many in flight, and of addBulk.
async function singles(count) {
  const began = performance.now();
  const inFlight = 200;
  let left = count;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await queue.add("job", payload);
  }));
  return count / ((performance.now() - began) / 1000);
}
async function bulks(count) {
  const began = performance.now();
  for (let at = 0; at < count; at += 500)
    await queue.addBulk(Array.from({ length: Math.min(500, count - at) }, () => ({ name: "job", data: payload })));
  return count / ((performance.now() - began) / 1000);
}
await singles(Math.min(2000, jobs));
const add_single = await singles(jobs);
const add_bulk = await bulks(jobs);

let done = 0;
let all;
const drained = new Promise((resolve) => { all = resolve; });
const waiting = await queue.getWaitingCount();
const began = performance.now();
const worker = new Worker("peer", async () => { if (++done === waiting) all(); }, { connection: connect(), concurrency });
await drained;
const process_rate = waiting / ((performance.now() - began) / 1000);

// Pick-up: from add() to the handler, one job at a time on an idle queue.
await worker.close();
const picked = [];
let resolvePicked;
const idle = new Worker("peer", async () => { resolvePicked(performance.now()); }, { connection: connect(), concurrency: 1 });
await idle.waitUntilReady();
for (let i = 0; i < pickups; ++i) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const handled = new Promise((resolve) => { resolvePicked = resolve; });
  const at = performance.now();
  await queue.add("job", payload);
  picked.push((await handled) - at);
}
picked.sort((a, b) => a - b);
console.log(JSON.stringify({ add_rate: Math.max(add_single, add_bulk), add_single, add_bulk, process_rate,
                             pickup_p50_ms: picked[Math.floor(picked.length / 2)],
                             pickup_p99_ms: picked[Math.floor(picked.length * 0.99)] }));
process.exit(0);
