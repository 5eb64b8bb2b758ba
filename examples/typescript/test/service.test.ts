// SPDX-License-Identifier: Apache-2.0
// The service as a process of its own against a running server; tests/e2e/typescript_test.py starts that.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { NetBuildClient } from "@netbuild/client";

const main = fileURLToPath(new URL("../src/main.js", import.meta.url));
let service: ChildProcess;
let url: string;

before(async () => {
    service = spawn(process.execPath, [main], { env: { ...process.env, PORT: "0", FROM: "0-0" }, stdio: ["ignore", "pipe", "inherit"] });
    assert.ok(service.stdout);
    const [line] = (await once(createInterface({ input: service.stdout }), "line")) as [string];
    url = line.replace("listening on ", "");
});

after(() => {
    service.kill("SIGKILL");
});

async function get(path: string): Promise<{ status: number; body: Record<string, any> }> {
    const response = await fetch(url + path);
    return { status: response.status, body: (await response.json()) as Record<string, any> };
}

test("the unified query answers as it did: the execution, processState and activeTasks", async () => {
    const { status, body } = await get("/executions/order-1001");
    assert.equal(status, 200);
    assert.equal(body["executionId"], "order-1001");
    assert.equal(body["processState"].businessKey, "order-1001");
    assert.ok(Array.isArray(body["activeTasks"]));
    assert.equal(typeof body["variables"].customer, "string");
});

test("an execution that is not there is 404", async () => {
    assert.deepEqual(await get("/executions/none"), { status: 404, body: { code: "not_found" } });
    assert.equal((await get("/executions/none/task")).status, 404);
});

test("an execution that waits has its task", async () => {
    const client = new NetBuildClient({ baseUrl: process.env["NETBUILD_URL"] ?? "", token: process.env["NETBUILD_TOKEN"] ?? "" });
    const open = await client.listTasks({ limit: 1, includeAssigned: true });
    const executionId = open.items[0]?.executionId;
    assert.ok(typeof executionId === "string");
    const { body } = await get(`/executions/${encodeURIComponent(executionId)}/task`);
    assert.equal(body["execution"].executionId, executionId);
    // It may have been completed meanwhile: the orders go on.
    if (body["task"] !== null) assert.equal(body["task"].executionId, executionId);
});

test("what the sync service published it publishes", { timeout: 60_000 }, async () => {
    let seen: Record<string, any> = {};
    for (;;) {
        seen = (await get("/started")).body;
        if (seen["started"].length >= 10 && seen["waiting"].length >= 1) break;
    }
    for (const one of seen["started"]) assert.deepEqual(Object.keys(one), ["processInstanceId", "domainId"]);
    for (const one of seen["waiting"]) assert.equal(typeof one.currentTaskId, "string");
});

test("it ends when it is told to", { timeout: 60_000 }, async () => {
    const ended = once(service, "exit");
    service.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
});
