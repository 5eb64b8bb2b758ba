// SPDX-License-Identifier: Apache-2.0
// Official clients of `netbuild serve` that lose their connections and come back, to any node: does what it reads, one
// JSON object a line, and writes what the clients get.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const connected = (socket) =>
  new Promise((done, failed) => {
    socket.once("connect", done);
    socket.once("connect_error", failed);
  });
const clients = new Map();
const operations = {
  async add({ sid, url, room }) {
    const socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false });
    clients.set(sid, socket);
    socket.onAny((event, ...data) => say({ got: sid, data: [event, ...data] }));
    socket.on("disconnect", (reason) => say({ disconnected: sid, reason }));
    await connected(socket);
    return socket.emitWithAck("subscribe", room);
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
    socket.io.uri = at;
    const back = connected(socket);
    socket.connect();
    await back;
    return socket.recovered;
  },
};
createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const request = JSON.parse(line);
    try {
      say({ id: request.id, ok: true, value: (await operations[request.op](request)) ?? null });
    } catch (error) {
      say({ id: request.id, ok: false, error: String(error) });
    }
  })
  .on("close", () => process.exit(0));
say({ started: true });
