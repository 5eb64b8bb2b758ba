// SPDX-License-Identifier: Apache-2.0
// The official client against `netbuild serve` at NETBUILD_REALTIME_URL, whose engine is the simulator; tokens come from
// NETBUILD_TOKENS ({acme, cedar-foods, all}, access tokens), and the API's events are what must have come.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { io } from "socket.io-client";

const URL = process.env.NETBUILD_REALTIME_URL;
const TOKENS = JSON.parse(process.env.NETBUILD_TOKENS);
const position = (text) => text.split("-").map(Number);
const after = (a, b) => position(a)[0] - position(b)[0] || position(a)[1] - position(b)[1];

function client(token, options = {}) {
  return io(URL, { forceNew: true, auth: token ? { token } : {}, transports: ["websocket"], reconnectionDelay: 5,
    reconnectionDelayMax: 20, randomizationFactor: 0, ...options });
}

async function withClient(token, work, options) {
  const socket = client(token, options);
  try {
    await once(socket, "connect");
    await work(socket);
  } finally {
    socket.disconnect();
  }
}

const subscribe = (socket, room, ...more) => socket.timeout(10000).emitWithAck("subscribe", room, ...more);

async function get(path, token = TOKENS.all) {
  const answer = await fetch(URL + path, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

/** Events of the engine by HTTP, after `from` up to `to` inclusive. */
async function told(room, from, to, token = TOKENS.all) {
  const answer = await fetch(`${URL}/v1/events?room=${encodeURIComponent(room)}&from=${from}`, {
    headers: { Authorization: `Bearer ${token}` } });
  const found = [];
  let text = "";
  for await (const bytes of answer.body) {
    text += Buffer.from(bytes).toString();
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const line = text.slice(0, end).split("\n").find((each) => each.startsWith("data: "));
      text = text.slice(end + 2);
      if (!line) continue;
      const event = JSON.parse(line.slice(6));
      if (event.source !== "engine") continue;
      if (after(event.position, to) <= 0) found.push(event);
      if (after(event.position, to) >= 0) return found;
    }
  }
  return found;
}

test("who has no token, or a bad one, is refused with a code", async () => {
  for (const token of [undefined, "nonsense"]) {
    const socket = client(token);
    const [error] = await once(socket, "connect_error");
    assert.equal(error.message, "unauthorized");
    assert.equal(error.data.code, "unauthorized");
    socket.disconnect();
  }
});

test("a token in the handshake's Authorization header will do", () =>
  withClient(undefined, async (socket) => assert.ok((await subscribe(socket, "domain:acme")).ok),
    { extraHeaders: { Authorization: `Bearer ${TOKENS.acme}` } }));

test("rooms of other domains are not there", () =>
  withClient(TOKENS.acme, async (socket) => {
    const other = (await get("/v1/executions?limit=1&domainId=cedar-foods")).items[0];
    for (const room of ["domain:cedar-foods", `execution:${other.executionId}`, `execution:${other.processInstanceId}`,
      "execution:nothing", "conversation:nothing", "user:somebody"])
      assert.deepEqual(await subscribe(socket, room), {
        ok: false, error: { code: "not_found", message: `no such object: room ${room}` } });
    assert.equal((await subscribe(socket, "nonsense")).error.code, "invalid_argument");
  }));

for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]])
  test(`${transports}: events of a domain come in order, each with its Position, and of no other domain`, () =>
    withClient(TOKENS.acme, async (socket) => {
      const answer = await subscribe(socket, "domain:acme");
      assert.ok(answer.ok, JSON.stringify(answer));
      assert.match(answer.position.engine, /^\d+-\d+$/);
      const events = [];
      await new Promise((resolve) => socket.onAny((name, payload, offset) => {
        if (payload.source !== "engine") return; // task snapshots come from the other stream
        events.push({ name, payload, offset });
        if (events.length >= 10) resolve();
      }));
      socket.offAny();
      assert.ok(events.every(({ payload }) => payload.domainId === "acme"));
      assert.ok(events.every(({ payload, offset }) => offset.includes(payload.position)));
      const positions = events.map(({ payload }) => payload.position);
      assert.deepEqual(positions, [...new Set(positions)].sort(after));
    }, { transports }));

test("an execution's room has its events, by business key and by process instance id", () =>
  withClient(TOKENS.all, async (socket) => {
    const events = [];
    socket.onAny((name, payload) => payload.source === "engine" && events.push({ name, ...payload }));
    const task = (await get("/v1/tasks?limit=1")).items[0];
    const one = (await get(`/v1/executions/${task.processInstanceId}?by=processInstanceId`));
    assert.ok((await subscribe(socket, `execution:${one.executionId}`)).ok);
    assert.ok((await subscribe(socket, `execution:${one.processInstanceId}`)).ok);
    while (events.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(events.every((event) => event.executionId === one.executionId), JSON.stringify(events[0]));
    const positions = events.map((event) => event.position);
    assert.deepEqual(positions, [...new Set(positions)]);
  }));

test("over forced drops at any point nothing is lost or doubled, and the order is kept", async () => {
  const socket = client(TOKENS.acme);
  await once(socket, "connect");
  const start = await subscribe(socket, "domain:acme");
  assert.ok(start.ok);
  const seen = [];
  socket.onAny((name, payload) => {
    if (name === "gap") assert.fail(`gap: ${JSON.stringify(payload)}`);
    if (payload.source === "engine") seen.push(payload.position);
  });
  const drops = Number(process.env.NETBUILD_DROPS ?? 60);
  for (let drop = 0; drop < drops; ++drop) {
    const wanted = seen.length + (drop % 7);
    while (seen.length < wanted) await new Promise((resolve) => setTimeout(resolve, 1));
    const connected = once(socket, "connect");
    socket.io.engine.close(); // the transport, as a lost network does
    await connected;
    assert.ok(socket.recovered, `drop ${drop} was recovered`);
  }
  const until = seen.length + 20;
  while (seen.length < until) await new Promise((resolve) => setTimeout(resolve, 5));
  socket.disconnect();
  const last = seen.filter((each) => position(each)[0] > 0).at(-1);
  const expected = (await told("domain:acme", start.position.engine, last)).map((event) => event.position);
  assert.deepEqual(seen, expected);
});

test("a subscription with an offset begins there", () =>
  withClient(TOKENS.acme, async (socket) => {
    const seen = [];
    socket.onAny((name, payload) => payload.source === "engine" && seen.push(payload.position));
    const answer = await subscribe(socket, "domain:acme", { offset: "0-0" });
    assert.ok(answer.ok, JSON.stringify(answer));
    const given = [...seen]; // the rest goes on coming
    assert.ok(given.length > 50, `${given.length} events`);
    const expected = await told("domain:acme", "0-0", given.at(-1));
    assert.deepEqual(given, expected.map((event) => event.position));
  }));

test("own data's events come to the conversation's room", () =>
  withClient(TOKENS.acme, async (socket) => {
    const post = async (path, body) => {
      const answer = await fetch(URL + path, { method: "POST", body: JSON.stringify(body),
        headers: { Authorization: `Bearer ${TOKENS.acme}`, "Content-Type": "application/json" } });
      assert.equal(answer.status, 201, await answer.clone().text());
      return (await answer.json()).id;
    };
    const conversation = await post("/v1/conversations", { domainId: "acme" });
    assert.ok((await subscribe(socket, `conversation:${conversation}`)).ok);
    const created = once(socket, "message:created");
    const message = await post(`/v1/conversations/${conversation}/messages`, { role: "user", text: "x" });
    const [payload, offset] = await created;
    assert.equal(payload.messageId, message);
    assert.equal(payload.conversationId, conversation);
    assert.ok(offset.includes(`documents="${payload.position}"`), offset);
  }));
