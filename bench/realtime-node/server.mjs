// SPDX-License-Identifier: Apache-2.0
// The peer: Node's Socket.IO server with the handlers of `netbuild realtime-testbed`.
// Arguments: PORT, and REDIS_URL for a node of a cluster.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { Server } from "socket.io";
import { createClient } from "redis";

const { createAdapter } = createRequire(import.meta.url)("@socket.io/redis-adapter");
const [port, redis] = process.argv.slice(2);
const client = async () => {
  const made = createClient({ url: redis });
  made.on("error", (error) => console.error(String(error)));
  await made.connect();
  return made;
};
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  ...(redis ? { adapter: createAdapter(await client(), await client()) } : {}),
});
io.on("connection", (socket) => {
  socket.emit("auth", socket.handshake.auth);
  socket.on("join", async (room, ack) => {
    await socket.join(room);
    ack("ok");
  });
  socket.on("leave", async (room, ack) => {
    await socket.leave(room);
    ack("ok");
  });
  socket.on("echo", (data, ack) => ack(data));
  socket.on("pub", (room, data) => io.to(room).emit("m", data));
  socket.on("fetch", async (room, ack) => ack((await io.in(room).fetchSockets()).length));
});
http.listen(Number(port), "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${port}`));
