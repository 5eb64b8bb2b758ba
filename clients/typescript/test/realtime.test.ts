// SPDX-License-Identifier: Apache-2.0
// Against a running server with traffic: tests/e2e/typescript_test.py starts it and says where it is.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { io } from "socket.io-client";

import { NetBuildClient, comparePositions } from "../src/index.js";
import type { EventName, PayloadOf, RoomGap } from "../src/index.js";
import { RealtimeClient, RealtimeError } from "../src/realtime.js";
import type { RealtimeOptions, RealtimeSocket } from "../src/realtime.js";
import { setting } from "./support.js";

const baseUrl = setting("NETBUILD_URL");
const token = setting("NETBUILD_TOKEN");
const acmeToken = setting("NETBUILD_ACME_TOKEN");
const api = new NetBuildClient({ baseUrl, token });
const socket = { transports: ["websocket"], reconnectionDelay: 5, reconnectionDelayMax: 20, randomizationFactor: 0 };

async function withClient(work: (client: RealtimeClient) => Promise<void>, options: Partial<RealtimeOptions> = {}): Promise<void> {
    const client = new RealtimeClient({ baseUrl, token: acmeToken, socket, ...options });
    try {
        await work(client);
    } finally {
        client.close();
    }
}

/** The engine's Positions as they come; a gap is a failure. */
function positionsOf(client: RealtimeClient): string[] {
    const positions: string[] = [];
    client.onAny((name, event) => {
        if (name === "gap") assert.fail(JSON.stringify(event));
        const { source, position } = event as PayloadOf<EventName>;
        if (source === "engine") positions.push(position);
    });
    return positions;
}

async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** The engine's Positions by HTTP, from the first to the last of these. */
async function expected(room: "domain:acme", positions: string[]): Promise<string[]> {
    const [first, last] = [positions[0], positions.at(-1)];
    assert.ok(first !== undefined && last !== undefined);
    const found: string[] = [];
    for await (const event of api.events({ from: "0-0", room })) {
        if (event.source !== "engine" || comparePositions(event.position, first) < 0) continue;
        found.push(event.position);
        if (comparePositions(event.position, last) >= 0) return found;
    }
    throw new Error("the stream has ended");
}

test("events are typed, and come with the offset behind them", { timeout: 60_000 }, () =>
    withClient(async (client) => {
        await client.subscribe("domain:acme");
        const [task, offset] = await new Promise<[PayloadOf<"task:created">, string]>((resolve) =>
            client.on("task:created", (...given) => resolve(given)),
        );
        const id: string = task.taskId;
        assert.equal((await api.listTasks({ processInstanceId: task.processInstanceId ?? "", status: "pending,in_progress,completed,cancelled" })).items
            .some((one) => one.taskId === id), true);
        assert.equal(task.domainId, "acme");
        assert.ok(offset.includes(task.position), offset);
        assert.ok(client.offset !== undefined);
    }),
);

test("the official client takes the types", { timeout: 60_000 }, async () => {
    const plain: RealtimeSocket = io(baseUrl, { ...socket, forceNew: true, auth: { token: acmeToken } });
    try {
        const answer = await plain.emitWithAck("subscribe", "domain:acme");
        assert.ok(answer.ok && answer.offset);
        assert.ok((await plain.timeout(10_000).emitWithAck("unsubscribe", "domain:acme")).ok);
        assert.ok((await plain.emitWithAck("subscribe", "domain:acme", { offset: answer.offset })).ok);
        plain.on("process:completed", (process, offset) => process.deleteReason ?? offset.length);
        // @ts-expect-error: no such event
        plain.on("process:begun", () => undefined);
        // @ts-expect-error: a process has no assignee
        plain.on("process:completed", (process) => process.assignee);
        // @ts-expect-error: a room is a string
        plain.emit("subscribe", 7, () => undefined);
    } finally {
        plain.disconnect();
    }
});

test("what may not be seen is refused, and who is refused is told so", { timeout: 60_000 }, async () => {
    await withClient(async (client) => {
        await assert.rejects(client.subscribe("domain:cedar-foods"), { name: "RealtimeError", code: "not_found" });
        await client.subscribe("domain:acme");
    });
    await withClient((client) => assert.rejects(client.subscribe("domain:acme"), { code: "unauthorized" }), { token: "no-token" });
});

test("lost connections lose and double nothing", { timeout: 60_000 }, () =>
    withClient(async (client) => {
        const positions = positionsOf(client);
        await client.subscribe("domain:acme");
        for (let drop = 0; drop < 25; ++drop) {
            const wanted = positions.length + (drop % 4);
            await until(() => positions.length >= wanted);
            const connected = once(client.socket, "connect");
            client.socket.io.engine.close();
            await connected;
            assert.ok(client.socket.recovered);
        }
        await until(() => positions.length >= 40);
        client.close();
        assert.deepEqual(positions, await expected("domain:acme", positions));
    }),
);

test("a session that the server forgot is made anew, and nothing is lost or doubled", { timeout: 60_000 }, () =>
    withClient(async (client) => {
        const positions = positionsOf(client);
        await client.subscribe("domain:acme");
        await until(() => positions.length >= 5);
        for (let time = 0; time < 6; ++time) {
            // In this room, too, are events of the other's.
            const page = await api.listTasks({ domainId: "acme", limit: 1 });
            if (page.items[0]?.executionId) await client.subscribe(`execution:${page.items[0].executionId}`);
            const gone = once(client.socket, "disconnect");
            await api.kickSocket({ socketId: client.socket.id ?? "" });
            await gone;
            await api.listExecutions({ limit: 100 }); // some time in which events are missed
            const connected = once(client.socket, "connect");
            client.socket.connect();
            await connected;
            assert.equal(client.socket.recovered, false);
            const wanted = positions.length + 10;
            await until(() => positions.length >= wanted);
        }
        client.close();
        const inOrder = [...positions].sort(comparePositions);
        assert.deepEqual(inOrder, [...new Set(inOrder)], "none twice");
        assert.deepEqual(inOrder, await expected("domain:acme", inOrder));
    }),
);

test("a room from an earlier place, and what is not kept any more is said", { timeout: 60_000 }, () =>
    withClient(async (client) => {
        const gaps: RoomGap[] = [];
        client.on("gap", (gap) => gaps.push(gap));
        const positions: string[] = [];
        client.onAny((_, event) => positions.push((event as PayloadOf<EventName>).position));
        await api.takeTaskSnapshot({ taskId: (await api.listTasks({ domainId: "acme", limit: 1 })).items[0]?.taskId ?? "" });
        await client.subscribe("domain:acme", { offset: 'engine="0-0", documents="1-0"' });
        assert.ok(positions.length > 50, `${positions.length} events`);
        assert.deepEqual(gaps.map(({ source, from, rooms, reason }) => ({ source, from, rooms, reason })), [
            { source: "documents", from: "1-0", rooms: ["domain:acme"], reason: "retention" },
        ]);
    }),
);

test("of a room that was left nothing comes", { timeout: 60_000 }, () =>
    withClient(async (client) => {
        const positions = positionsOf(client);
        await client.subscribe("domain:acme");
        await until(() => positions.length >= 3);
        await client.unsubscribe("domain:acme");
        const before = positions.length;
        const start = (await api.getSync()).applied.position;
        // Meanwhile things happen in it.
        for await (const event of api.events({ from: start, room: "domain:acme" })) if (event.source === "engine") break;
        const connected = once(client.socket, "connect");
        client.socket.io.engine.close();
        await connected;
        await assert.rejects(client.subscribe("domain:none"), RealtimeError); // a round trip behind whatever was sent
        assert.equal(positions.length, before);
    }),
);

test("a role that is taken away is told, and with a new token a session goes on", { timeout: 60_000 }, async () => {
    const credentials = { email: setting("NETBUILD_OTHER_EMAIL"), password: setting("NETBUILD_PASSWORD") };
    const signIn = async () => (await api.login({ body: credentials })).accessToken;
    const tokens = [await signIn(), await signIn()];
    const bob = new NetBuildClient({ baseUrl, token: tokens[0] ?? "" });
    const userId = (await bob.getMe()).subject;
    let asked = 0;
    await withClient(
        async (client) => {
            const troubles: string[] = [];
            client.on("error", (trouble) => troubles.push(trouble.code));
            await client.subscribe("domain:acme");
            // Not events.once, which takes an `error` for its own.
            const again = new Promise<void>((resolve) => client.socket.once("connect", resolve));
            await bob.logout(); // the first token's session
            await again;
            assert.deepEqual(troubles, ["unauthorized"]);
            assert.equal(asked, 2);
            assert.ok(client.socket.recovered);
            const lost = new Promise((resolve) => client.on("unsubscribed", resolve));
            await api.revokeRole({ domainId: "acme", userId });
            assert.deepEqual(await lost, { room: "domain:acme", code: "not_found" });
        },
        { token: () => tokens[asked++] ?? "" },
    );
});
