// SPDX-License-Identifier: Apache-2.0
// A real Socket.IO server in the cluster under test: does what it reads, one JSON object a line,
// and writes what its clients get. Arguments: ADAPTER REDIS_URL... ; more than one URL: a Redis Cluster.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { Server } from "socket.io";
import { io as connect } from "socket.io-client";
import { createClient, createCluster } from "redis";
import { Emitter } from "@socket.io/redis-emitter";

const require = createRequire(import.meta.url);
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const { createAdapter: createStreamsAdapter } = require("@socket.io/redis-streams-adapter");

const [adapter, mode, specific, ...urls] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const client = async () => {
  const made = urls.length > 1 ? createCluster({ rootNodes: urls.map((url) => ({ url })) }) : createClient({ url: urls[0] });
  made.on("error", (error) => say({ redis: String(error) }));
  await made.connect();
  return made;
};
const pub = await client();
const factory = {
  redis: async () => createAdapter(pub, await client(), { publishOnSpecificResponseChannel: specific === "1" }),
  sharded: async () => createShardedAdapter(pub, await client(), { subscriptionMode: mode }),
  streams: async () => createStreamsAdapter(pub),
}[adapter];
const http = createServer();
const server = new Server(http, {
  adapter: await factory(),
  ...(adapter === "streams" ? { connectionStateRecovery: { maxDisconnectionDuration: 60000 } } : {}),
});
const emitter = urls.length === 1 ? new Emitter(pub) : undefined;
server.on("hello", (...args) => {
  const ack = args.at(-1);
  if (typeof ack === "function") {
    say({ server: ["hello", ...args.slice(0, -1)] });
    ack("hi-from-node");
  } else say({ server: ["hello", ...args] });
});
await new Promise((done) => http.listen(0, "127.0.0.1", done));
const clients = new Map();

const shown = (value) =>
  Buffer.isBuffer(value) || value instanceof ArrayBuffer ? { bytes: Buffer.from(value).toString("hex") } : value;
const to = (from, request) => {
  let target = from;
  for (const room of request.rooms ?? []) target = target.to(room);
  for (const room of request.except ?? []) target = target.except(room);
  return target;
};
const args = (request) => [...(request.args ?? []), ...(request.binary ? [Buffer.from([1, 2, 255])] : [])];
const operations = {
  async add({ sid, names }) {
    const socket = connect(`http://127.0.0.1:${http.address().port}`, { transports: ["websocket"], forceNew: true });
    const accepted = new Promise((done) => server.once("connection", done));
    await new Promise((done) => socket.once("connect", done));
    const there = await accepted;
    there.data = { user: sid };
    await there.join(names);
    clients.set(sid, socket);
    socket.onAny((event, ...data) => {
      const ack = data.at(-1);
      if (typeof ack === "function") return sid.startsWith("mute") || ack(`answer of ${sid} to ${data[0]}`);
      say({ got: sid, data: [event, ...data.map(shown)] });
    });
    socket.on("disconnect", (reason) => say({ disconnected: sid, reason }));
    return there.id;
  },
  emit: (request) => void to(server, request).emit(...args(request)),
  emitWithAck: (request) => to(server, request).timeout(request.timeout).emitWithAck(...args(request)),
  fetchSockets: async (request) =>
    (await to(server, request).fetchSockets()).map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, handshake })),
  socketsJoin: (request) => void to(server, request).socketsJoin(request.names),
  socketsLeave: (request) => void to(server, request).socketsLeave(request.names),
  disconnectSockets: (request) => void to(server, request).disconnectSockets(Boolean(request.close)),
  serverSideEmit: (request) => void server.serverSideEmit(...args(request)),
  serverSideEmitWithAck: (request) => server.serverSideEmitWithAck(...args(request)),
  serverCount: () => server.of("/").adapter.serverCount(),
  allRooms: async () => [...(await server.of("/").adapter.allRooms())],
  url: () => `http://127.0.0.1:${http.address().port}`,
  uid: () => server.of("/").adapter.uid,
  emitterEmit: (request) => void to(emitter, request).emit(...args(request)),
  emitterJoin: (request) => void to(emitter, request).socketsJoin(request.names),
  emitterLeave: (request) => void to(emitter, request).socketsLeave(request.names),
  emitterDisconnect: (request) => void to(emitter, request).disconnectSockets(Boolean(request.close)),
  emitterServerSideEmit: (request) => void emitter.serverSideEmit(...args(request)),
};
createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const request = JSON.parse(line);
    try {
      say({ id: request.id, ok: true, value: (await operations[request.op](request)) ?? null });
    } catch (error) {
      say({ id: request.id, ok: false, error: String(error), value: error.responses ?? null });
    }
  })
  .on("close", () => process.exit(0));
say({ started: true });
