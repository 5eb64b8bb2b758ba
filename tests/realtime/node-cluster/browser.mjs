// SPDX-License-Identifier: Apache-2.0
// Official clients of one server that has the testbed's handlers, at the URL of the argument: does
// what it reads, one JSON object a line, and writes what the clients get. What a server is to do it
// is told by a client of another namespace, so that nothing of that is seen by those under test.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const options = { transports: ["websocket"], forceNew: true, reconnection: false };
const connected = (socket) =>
  new Promise((done, failed) => {
    socket.once("connect", done);
    socket.once("connect_error", failed);
  });
const asker = io(`${url}/custom`, options);
await connected(asker);
const clients = new Map();
const shown = (value) => (Buffer.isBuffer(value) ? { bytes: value.toString("hex") } : value);

const here = {
  async add({ sid, names = [] }) {
    const socket = io(url, options);
    clients.set(sid, socket);
    socket.onAny((event, ...data) => {
      const ack = data.at(-1);
      if (typeof ack === "function") return ack(`answer of ${sid} to ${data[0]}`);
      if (event === "hello") say({ server: ["hello", ...data] });
      say({ got: sid, data: [event, ...data.map(shown)] });
    });
    socket.on("disconnect", (reason) => say({ disconnected: sid, reason }));
    await connected(socket);
    await socket.emitWithAck("data", { user: sid });
    for (const name of names) await socket.emitWithAck("join", name);
    return socket.id;
  },
  /** As a network does it: the server is not told. */
  async drop({ sid }) {
    const socket = clients.get(sid);
    const gone = new Promise((done) => socket.once("disconnect", done));
    socket.io.engine.transport.ws.terminate();
    return gone;
  },
  async resume({ sid, at }) {
    const socket = clients.get(sid);
    socket.io.uri = at ?? url;
    const back = connected(socket);
    socket.connect();
    await back;
    return { recovered: socket.recovered, id: socket.id };
  },
  rooms: ({ sid }) => clients.get(sid).emitWithAck("rooms"),
  close: ({ sid }) => void clients.get(sid).disconnect(),
};

async function there({ id, op, names, timeout, binary, args, ...request }) {
  const flags = timeout ? { timeout } : {};
  const all = names ?? (args || binary ? [...(args ?? []), ...(binary ? [Buffer.from([1, 2, 255])] : [])] : undefined);
  const answer = await asker.emitWithAck("call", { op, nsp: "/", flags, ...request, ...(all ? { args: all } : {}) });
  say({ id, ...answer });
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const request = JSON.parse(line);
    const { id, op } = request;
    try {
      if (!here[op]) await there(request);
      else say({ id, ok: true, value: (await here[op](request)) ?? null });
    } catch (error) {
      say({ id, ok: false, error: String(error) });
    }
  })
  .on("close", () => process.exit(0));
say({ started: true });
