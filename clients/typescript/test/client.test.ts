// SPDX-License-Identifier: Apache-2.0
// Against a running server: tests/e2e/typescript_test.py starts it and says where it is.
import assert from "node:assert/strict";
import net from "node:net";
import { after, test } from "node:test";

import { NetBuildClient, ProblemError, SignIn, TransportError, comparePositions, etag } from "../src/index.js";
import type { NetBuildEvent } from "../src/index.js";
import { setting, take } from "./support.js";

const baseUrl = setting("NETBUILD_URL");
const token = setting("NETBUILD_TOKEN");
const acmeToken = setting("NETBUILD_ACME_TOKEN");
const client = new NetBuildClient({ baseUrl, token });

interface Seen {
    url: string;
    headers: Headers;
}

/** A client that keeps what it sends, and may lose answers. */
function observed(loseAnswers = 0): { client: NetBuildClient; seen: Seen[] } {
    const seen: Seen[] = [];
    let left = loseAnswers;
    const observe: typeof fetch = async (url, init) => {
        seen.push({ url: String(url), headers: new Headers(init?.headers) });
        const response = await fetch(url, init);
        if (left > 0) {
            left -= 1;
            await response.arrayBuffer();
            throw new TypeError("the answer is lost");
        }
        return response;
    };
    return { client: new NetBuildClient({ baseUrl, token, fetch: observe }), seen };
}

test("an execution has Camunda's process state and its tasks", async () => {
    const execution = await client.getExecution({ executionId: "order-1001" });
    assert.equal(execution.executionId, "order-1001");
    assert.equal(execution.processState["businessKey"], "order-1001");
    assert.ok(Array.isArray(execution.activeTasks));
    assert.equal(execution.freshness["source"], "model");
});

test("pages come by themselves, in order and without doubles", async () => {
    const whole = await client.listExecutions({ limit: 20, sort: "startedAt" });
    const paged = await take(client.allExecutions({ limit: 3, sort: "startedAt" }), 20);
    assert.deepEqual(
        paged.map((one) => one.processInstanceId),
        whole.items.map((one) => one.processInstanceId),
    );
});

test("a variable is a filter", async () => {
    const page = await client.listExecutions({ "variable.express": "true", limit: 5 });
    assert.ok(page.items.length > 0);
    for (const one of page.items) assert.equal(one.variables["express"], true);
});

test("a problem is typed and names the field", async () => {
    await assert.rejects(client.listExecutions({ limit: 501 }), (error: unknown) => {
        assert.ok(error instanceof ProblemError);
        assert.deepEqual([error.status, error.code, error.field], [400, "invalid_argument", "limit"]);
        return true;
    });
    await assert.rejects(client.getExecution({ executionId: "none" }), { name: "ProblemError", status: 404, code: "not_found" });
    await assert.rejects(new NetBuildClient({ baseUrl }).getMe(), { status: 401, code: "unauthorized" });
});

test("a later read is as fresh as what was seen", async () => {
    const { client: observer, seen } = observed();
    await observer.listExecutions({ limit: 1 });
    const position = observer.position;
    assert.ok(position !== undefined);
    assert.equal(seen[0]?.headers.get("X-NetBuild-Min-Position"), null);
    await observer.listTasks({ limit: 1 });
    assert.equal(seen[1]?.headers.get("X-NetBuild-Min-Position"), position);
    const other = new NetBuildClient({ baseUrl, token, position });
    assert.equal(other.position, position);
    // It is the server that keeps the promise.
    const [number] = position.split("-");
    const ahead = `${BigInt(number ?? "0") + (1n << 40n)}-0`;
    await assert.rejects(observer.listTasks({ waitMs: 50 }, { minPosition: ahead }), { code: "not_yet_consistent" });
});

test("a write with a lost answer is sent again with its key and happens once", async () => {
    const { client: unlucky, seen } = observed(1);
    const body = { domainId: "acme", amount: 1050, currency: "EUR", executionId: "lost-answer" };
    const payment = await unlucky.createPayment({ body });
    assert.equal(seen.length, 2);
    const keys = seen.map((one) => one.headers.get("Idempotency-Key"));
    assert.ok(keys[0]);
    assert.equal(keys[0], keys[1]);
    const payments = await take(client.allPayments({ executionId: "lost-answer" }), 10);
    assert.deepEqual(payments.map((one) => one.id), [payment.id]);
});

test("a write without a key is sent once", async () => {
    const { id } = await client.createConversation({ body: { domainId: "acme" } });
    const { client: unlucky, seen } = observed(1);
    await assert.rejects(unlucky.postMessage({ conversationId: id, body: { role: "user", text: "once" } }), TransportError);
    assert.equal(seen.length, 1);
});

test("a server that is busy is asked three times, one that waited for a Position once", async () => {
    const asked = async (code: string): Promise<number> => {
        let count = 0;
        const busy: typeof fetch = async () => {
            count += 1;
            const problem = { type: "about:blank", title: "later", status: 503, code };
            return new Response(JSON.stringify(problem), { status: 503, headers: { "Content-Type": "application/problem+json" } });
        };
        await assert.rejects(new NetBuildClient({ baseUrl, fetch: busy }).getMe(), { status: 503, code });
        return count;
    };
    assert.equal(await asked("overloaded"), 3);
    assert.equal(await asked("not_yet_consistent"), 1);
});

test("a call has its time and ends with its signal", async () => {
    const never: typeof fetch = (_, init) =>
        new Promise((_resolve, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
    const slow = new NetBuildClient({ baseUrl, fetch: never });
    await assert.rejects(slow.login({ body: { email: "a", password: "b" } }, { timeoutMs: 20 }), /no answer within 20 ms/);
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(slow.getMe({ signal }), /enough/);
});

test("a caller's own key and another body is a conflict", async () => {
    const body = { domainId: "acme", amount: 100, currency: "EUR" };
    const first = await client.createPayment({ body, idempotencyKey: "typescript-own-key" });
    const again = await client.createPayment({ body, idempotencyKey: "typescript-own-key" });
    assert.equal(again.id, first.id);
    const other = client.createPayment({ body: { ...body, amount: 101 }, idempotencyKey: "typescript-own-key" });
    await assert.rejects(other, { status: 409 });
});

test("a payment goes its way", async () => {
    const { id } = await client.createPayment({ body: { domainId: "acme", amount: 1000, currency: "EUR" } });
    await client.authorizePayment({ paymentId: id });
    await client.capturePayment({ paymentId: id, body: { amount: 900 } });
    const refunded = await client.refundPayment({ paymentId: id, body: { amount: 400 } });
    assert.equal(refunded.status, "partially_refunded");
    assert.deepEqual([refunded.captured, refunded.refunded], [900, 400]);
    const actions = await take(client.allPaymentEvents({ paymentId: id }), 10);
    assert.deepEqual(actions.map((one) => one.action), ["create", "authorize", "capture", "refund"]);
    await assert.rejects(client.cancelPayment({ paymentId: id }), ProblemError);
});

test("a conversation, its messages and the version that a change names", async () => {
    const { id } = await client.createConversation({ body: { domainId: "acme", title: "Order" } });
    for (const text of ["one", "two", "three"])
        await client.postMessage({ conversationId: id, body: { role: "user", text } });
    const messages = await take(client.allMessages({ conversationId: id, limit: 2, sort: "sequence" }), 10);
    assert.deepEqual(messages.map((one) => one.text), ["one", "two", "three"]);
    const [first] = messages;
    assert.ok(first);
    const place = { conversationId: id, messageId: first.id };
    const edited = await client.editMessage({ ...place, ifMatch: etag(first.number), body: { text: "ONE" } });
    assert.equal(edited.state, "edited");
    const late = client.editMessage({ ...place, ifMatch: etag(first.number), body: { text: "1" } });
    await assert.rejects(late, { status: 412, code: "precondition_failed" });
    assert.equal(await client.deleteMessage(place), undefined);
});

test("vectors are added and found", async () => {
    const index = await client.createEmbeddingIndex({ body: { domainId: "acme", name: "typescript", model: "m", dimension: 3, metric: "cosine" } });
    const place = { indexId: index.indexId };
    const vectors = [
        { vectorId: "a", source: "doc", values: [1, 0, 0] },
        { vectorId: "b", source: "doc", values: [0, 1, 0] },
    ];
    assert.equal((await client.addEmbeddings({ ...place, body: { vectors } })).added, 2);
    const found = await client.searchEmbeddings({ ...place, body: { values: [0.9, 0.1, 0], k: 1 } });
    assert.deepEqual(found.items.map((one) => one.vectorId), ["a"]);
});

test("another domain's object does not exist", async () => {
    const acme = new NetBuildClient({ baseUrl, token: acmeToken });
    const { id } = await client.createPayment({ body: { domainId: "cedar-foods", amount: 1, currency: "EUR" } });
    await assert.rejects(acme.getPayment({ paymentId: id }), { status: 404 });
    for (const one of (await acme.listExecutions({ limit: 50 })).items) assert.equal(one.domainId, "acme");
});

test("a session signs in, renews once for all and goes on", async () => {
    const session = await SignIn.withPassword(baseUrl, setting("NETBUILD_EMAIL"), setting("NETBUILD_PASSWORD"));
    const ada = new NetBuildClient({ baseUrl, token: session.token });
    const before = await session.token();
    const [one, other] = await Promise.all([session.renew(), session.renew()]);
    assert.equal(one, other);
    assert.notEqual(one, before);
    const sessions = await ada.listSessions();
    assert.equal(sessions.items.filter((each) => each.current).length, 1);
    await assert.rejects(SignIn.withPassword(baseUrl, setting("NETBUILD_EMAIL"), "a wrong password"), { status: 401 });
});

test("the events of the beginning are in order and once", { timeout: 60_000 }, async () => {
    const events = await take(client.events({ from: "0-0" }), 300);
    const ofTheEngine = events.filter((event) => event.source === "engine");
    for (const [index, event] of ofTheEngine.entries()) {
        const before = ofTheEngine[index - 1];
        if (before) assert.ok(comparePositions(before.position, event.position) < 0);
    }
    const types = new Set(events.map((event) => event.type));
    for (const type of ["process:started", "task:created", "variable:created"] as const) assert.ok(types.has(type), type);
});

test("events of own data come among Camunda's, and leave reads as fresh as they were", { timeout: 60_000 }, async () => {
    const reader = new NetBuildClient({ baseUrl, token });
    const conversation = await client.createConversation({ body: { domainId: "acme" } });
    const find = async (from: string): Promise<string> => {
        for await (const event of reader.events({ from }))
            if (event.type === "conversation:created" && event.id === conversation.id) return event.offset;
        throw new Error("the stream has ended");
    };
    const offset = await find('engine="0-0", documents="0-0"');
    assert.match(offset, /^engine="\d+-\d+", documents="\d+-\d+"$/);
    // Their Positions are of another clock than what a read of executions can wait for.
    await reader.listExecutions({ limit: 1 });
    const message = await client.postMessage({ conversationId: conversation.id, body: { role: "user", text: "x" } });
    for await (const event of reader.events({ from: offset })) {
        assert.notEqual(event.type, "conversation:created");
        if (event.type === "message:created" && event.messageId === message.id) break;
    }
});

test("an event stream may come in any pieces", async () => {
    const text =
        ': a comment\r\n\r\nid: engine="7-0"\r\nevent: variable:created\r\ndata: {"type":"variable:created","source":"engine","position":"7-0","value":"Dvořák €"}\r\n\r\n' +
        'id: engine="9-1", documents="3-0"\ndata: {"type":"gap",\ndata: "position":"9-1","from":"7-0","to":"9-1","reason":"retention"}\n\n';
    const bytes = new TextEncoder().encode(text);
    const pieces: typeof fetch = async () =>
        new Response(
            new ReadableStream({
                start(controller) {
                    for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
                },
            }),
        );
    const reader = new NetBuildClient({ baseUrl, fetch: pieces });
    const [event, gap] = await take(reader.events({ from: "0-0" }), 2);
    assert.ok(event?.type === "variable:created" && gap?.type === "gap");
    assert.equal(event.value, "Dvořák €");
    assert.deepEqual([gap.from, gap.to, gap.reason, gap.offset], ["7-0", "9-1", "retention", 'engine="9-1", documents="3-0"']);
    assert.equal(reader.position, "9-1");
});

test("a room has its domain's events only", { timeout: 60_000 }, async () => {
    for (const event of await take(client.events({ from: "0-0", room: "domain:acme" }), 30)) {
        assert.ok(event.type !== "gap");
        assert.equal(event.domainId, "acme");
    }
});

test("events go on where they were when connections are cut", { timeout: 60_000 }, async () => {
    const proxy = await cuttingProxy(20_000);
    after(() => proxy.server.close());
    const cut = new NetBuildClient({ baseUrl: proxy.url, token });
    const from = 'engine="0-0", documents="0-0"';
    const ofTheEngine = async (events: AsyncIterable<NetBuildEvent>) =>
        (await take(events, 400)).filter((event) => event.source === "engine").slice(0, 250);
    const got = await ofTheEngine(cut.events({ from, reconnectsMax: 50 }));
    const expected = await ofTheEngine(client.events({ from }));
    assert.deepEqual(got.map((event) => event.position), expected.map((event) => event.position));
    assert.ok(proxy.connections() > 2, `${proxy.connections()} connections`);
});

/** Forwards to the server and cuts every connection after so many bytes of answer, in the midst of a line too. */
async function cuttingProxy(bytesMax: number): Promise<{ server: net.Server; url: string; connections: () => number }> {
    const target = new URL(baseUrl);
    let connections = 0;
    const server = net.createServer((inner) => {
        connections += 1;
        const outer = net.connect(Number(target.port), target.hostname);
        let bytes = 0;
        outer.on("data", (chunk) => {
            const piece = chunk.subarray(0, bytesMax - bytes);
            bytes += piece.length;
            inner.write(piece, () => {
                if (bytes >= bytesMax) inner.destroy();
            });
            if (bytes >= bytesMax) outer.destroy();
        });
        inner.pipe(outer);
        for (const socket of [inner, outer]) socket.on("error", () => undefined);
        inner.on("close", () => outer.destroy());
        outer.on("end", () => inner.end());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address() as net.AddressInfo;
    return { server, url: `http://127.0.0.1:${address.port}`, connections: () => connections };
}

test("without a start only what comes, and an aborted signal ends it", { timeout: 60_000 }, async () => {
    const ending = new AbortController();
    const before = (await client.getSync()).applied.position;
    let count = 0;
    for await (const event of client.events({ signal: ending.signal })) {
        if (event.source !== "engine") continue;
        assert.ok(comparePositions(event.position, before) >= 0, event.position);
        if (++count === 5) ending.abort();
    }
    assert.ok(count >= 5);
});

test("a server that is not there is said so after some tries", { timeout: 60_000 }, async () => {
    const nobody = new NetBuildClient({ baseUrl: "http://127.0.0.1:9", token });
    await assert.rejects(nobody.getMe(), TransportError);
    const events = nobody.events({ from: "0-0", reconnectsMax: 1 });
    await assert.rejects(events.next(), TransportError);
});

test("a refused event stream is not asked for again", async () => {
    const nobody = new NetBuildClient({ baseUrl, token: "no-token" });
    await assert.rejects(nobody.events({ from: "0-0" }).next(), { status: 401 });
});
