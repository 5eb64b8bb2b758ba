// SPDX-License-Identifier: Apache-2.0
// rate-limiter-flexible as its makers document it, on ioredis with automatic pipelining.
// Arguments: the port, how many are in flight, seconds, keys. Prints one JSON object.
import Redis from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

const [port, inFlight, seconds, keys] = process.argv.slice(2).map(Number);
const client = new Redis({ port, host: "127.0.0.1", enableAutoPipelining: true, lazyConnect: true });
await client.connect();
const limiter = new RateLimiterRedis({ storeClient: client, keyPrefix: "peer", points: 1_000_000, duration: 60 });

async function run(forSeconds) {
  let done = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  const end = began + forSeconds * 1000;
  const worker = async (id) => {
    for (let i = id; performance.now() < end; i += inFlight) {
      await limiter.consume(`key${i % keys}`);
      ++done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, id) => worker(id)));
  const took = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return { rate: done / (took / 1000), cpu_us: (user + system) / done };
}

await run(Math.min(1, seconds)); // warm
const measured = await run(seconds);

// What it answers itself: a key that is blocked in memory.
const blocking = new RateLimiterRedis({ storeClient: client, keyPrefix: "peerblock", points: 1, duration: 60,
                                        inMemoryBlockOnConsumed: 1, inMemoryBlockDuration: 60 });
for (let i = 0; i < 3; ++i) await blocking.consume("one").catch(() => {});
let local = 0;
const began = performance.now();
while (performance.now() - began < seconds * 500) {
  for (let i = 0; i < 1000; ++i) {
    await blocking.consume("one").catch(() => {});
    ++local;
  }
}
console.log(JSON.stringify({ ...measured, local_rate: local / ((performance.now() - began) / 1000) }));
client.disconnect();
