// SPDX-License-Identifier: Apache-2.0
// The official client against `netbuild realtime-testbed` at NETBUILD_REALTIME_URL.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { io } from "socket.io-client";

const URL = process.env.NETBUILD_REALTIME_URL;
const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"], upgrade: ["polling", "websocket"] };

async function withClient(options, work, nsp = "/") {
  const socket = io(URL + nsp, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  try {
    await once(socket, "connect");
    await work(socket);
  } finally {
    socket.disconnect();
  }
}

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  test(`${name}: events, acknowledgements and bytes come back as they went`, () =>
    withClient({ transports }, async (socket) => {
      const value = { text: "žluťoučký 😀", list: [1, -2.5, null, true], nested: { bytes: Buffer.from([0, 1, 255]) } };
      assert.deepEqual(await socket.timeout(3000).emitWithAck("echo", value), value);
      const back = once(socket, "message-back");
      socket.emit("message", 1, "2", { 3: [true] }, Buffer.from("bytes"));
      assert.deepEqual(await back, [1, "2", { 3: [true] }, Buffer.from("bytes")]);
      assert.deepEqual(
        await new Promise((resolve) => socket.emit("message-with-ack", 1, Buffer.from([7]), (...all) => resolve(all))),
        [1, Buffer.from([7])],
      );
      const big = "x".repeat(600_000);
      assert.equal(await socket.timeout(3000).emitWithAck("echo", big), big);
    }));

  test(`${name}: rooms, except and a broadcast reach whom they should`, () =>
    withClient({ transports }, async (one) =>
      withClient({ transports }, async (two) => {
        assert.equal(await one.emitWithAck("join", "a"), "ok");
        assert.equal(await two.emitWithAck("join", "a"), "ok");
        assert.equal(await two.emitWithAck("join", "quiet"), "ok");
        assert.equal(await one.emitWithAck("fetch", "a"), 2);
        assert.deepEqual(await two.emitWithAck("rooms"), [two.id, "a", "quiet"]);
        const seen = [];
        two.on("m", (value) => seen.push(value));
        two.on("n", (value) => seen.push(value));
        const mine = once(one, "m");
        one.emit("pub", "a", { hello: 1 });
        assert.deepEqual((await mine)[0], { hello: 1 }); // an offset is after it
        const only = once(one, "n");
        assert.deepEqual(await one.emitWithAck("call", { op: "emit", rooms: ["a"], except: ["quiet"], args: ["n", 2] }), {
          ok: true, value: null });
        assert.equal((await only)[0], 2);
        assert.equal(await two.emitWithAck("echo", 3), 3);
        assert.deepEqual(seen, [{ hello: 1 }]);
        assert.equal(await two.emitWithAck("leave", "a"), "ok");
        assert.equal(await one.emitWithAck("fetch", "a"), 1);
      })));
}

test("upgrade: the client ends on a WebSocket and loses nothing on the way", () =>
  withClient({ transports: TRANSPORTS.upgrade }, async (socket) => {
    const received = [];
    socket.on("message-back", (number) => received.push(number));
    for (let i = 0; i < 200; ++i) {
      socket.emit("message", i);
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    while (socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade");
    assert.equal(await socket.timeout(3000).emitWithAck("echo", "end"), "end");
    assert.deepEqual(received, Array.from({ length: 200 }, (_, i) => i));
  }));

test("a namespace behind a middleware takes a good token only", async () => {
  await withClient({ auth: { token: "good" } }, async (socket) => {
    assert.equal(await socket.emitWithAck("echo", 1), 1);
  }, "/guarded");
  const refused = io(URL + "/guarded", { forceNew: true, auth: { token: "bad" } });
  const [error] = await once(refused, "connect_error");
  refused.disconnect();
  assert.equal(error.message, "unauthorized");
  assert.deepEqual(error.data, { code: "E_AUTH", hint: "token" });
});

test("acknowledgements overtake each other", () =>
  withClient({}, async (socket) => {
    const order = [];
    await Promise.all([
      socket.emitWithAck("delay", 120, "late").then((value) => order.push(value)),
      socket.emitWithAck("delay", 5, "early").then((value) => order.push(value)),
    ]);
    assert.deepEqual(order, ["early", "late"]);
  }));

test("a broadcast's answers are gathered, and a time-out gives those that came", () =>
  withClient({}, async (one) =>
    withClient({}, async (two) => {
      const rooms = ["asked"];
      await one.emitWithAck("join", "asked");
      await two.emitWithAck("join", "asked");
      one.on("q", (x, ack) => ack(`one-${x}`));
      two.on("q", (x, ack) => x === 1 && ack(`two-${x}`));
      const all = await one.emitWithAck("call", { op: "emitWithAck", rooms, flags: { timeout: 2000 }, args: ["q", 1] });
      assert.equal(all.ok, true);
      assert.deepEqual(all.value.sort(), ["one-1", "two-1"]);
      const some = await one.emitWithAck("call", { op: "emitWithAck", rooms, flags: { timeout: 100 }, args: ["q", 2] });
      assert.deepEqual([some.ok, some.error, some.value], [false, "timeout", ["one-2"]]);
    })));

test("fetchSockets tells rooms, data and handshake", () =>
  withClient({ auth: { who: "me" }, query: { q: "a b" }, transports: ["websocket"] }, async (socket) => {
    assert.equal(await socket.emitWithAck("data", { user: 7 }), "ok");
    const { ok, value } = await socket.emitWithAck("call", { op: "fetchSockets", rooms: [socket.id] });
    assert.equal(ok, true);
    assert.equal(value.length, 1);
    assert.deepEqual([value[0].id, value[0].data, value[0].rooms], [socket.id, { user: 7 }, [socket.id]]);
    const { handshake } = value[0];
    assert.deepEqual(Object.keys(handshake),
      ["headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth"]);
    assert.deepEqual([handshake.auth, handshake.query.q, handshake.secure], [{ who: "me" }, "a b", false]);
  }));

test("joins, leaves and disconnects of others take effect", () =>
  withClient({}, async (one) =>
    withClient({}, async (two) => {
      await two.emitWithAck("join", "pack");
      const call = (request) => one.emitWithAck("call", request);
      await call({ op: "socketsJoin", rooms: ["pack"], args: ["den", "lair"] });
      assert.deepEqual(await two.emitWithAck("rooms"), [two.id, "pack", "den", "lair"]);
      await call({ op: "socketsLeave", rooms: ["pack"], args: ["den"] });
      assert.deepEqual(await two.emitWithAck("rooms"), [two.id, "pack", "lair"]);
      await one.emitWithAck("join", "watch");
      const left = once(one, "left");
      const gone = once(two, "disconnect");
      const id = two.id;
      await call({ op: "disconnectSockets", rooms: ["pack"] });
      assert.deepEqual((await gone)[0], "io server disconnect");
      assert.deepEqual(await left, [id, "server namespace disconnect", [id, "pack", "lair"]]);
      assert.deepEqual(await call({ op: "serverCount" }), { ok: true, value: 1 });
    })));

test("a client whose transport is closed comes back by itself", () =>
  withClient({ transports: ["websocket"] }, async (socket) => {
    const first = socket.id;
    const disconnected = once(socket, "disconnect");
    socket.io.engine.close();
    await disconnected;
    await once(socket, "connect");
    assert.notEqual(socket.id, first);
    assert.equal(await socket.emitWithAck("echo", 1), 1);
  }));

test("connection state recovery gives back id, rooms, data and what was missed, again and again", () =>
  withClient({ transports: ["websocket"] }, async (other) =>
    withClient({ transports: ["websocket"] }, async (socket) => {
      const id = socket.id;
      await socket.emitWithAck("join", "news");
      await socket.emitWithAck("data", { mine: true });
      const seen = [];
      socket.on("m", (value) => seen.push(value));
      let next = 0;
      const publish = () => other.emit("pub", "news", next++);
      publish();
      while (seen.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
      for (let round = 0; round < 3; ++round) {
        const disconnected = once(socket, "disconnect");
        socket.io.engine.close();
        await disconnected;
        publish();
        publish();
        await other.emitWithAck("echo", 0);
        await once(socket, "connect");
        assert.equal(socket.recovered, true);
        assert.equal(socket.id, id);
        await socket.emitWithAck("echo", 0);
        assert.deepEqual(seen, Array.from({ length: next }, (_, i) => i));
      }
      const { value } = await other.emitWithAck("call", { op: "fetchSockets", rooms: ["news"] });
      assert.deepEqual(value.map((each) => [each.id, each.data]), [[id, { mine: true }]]);
    })));
