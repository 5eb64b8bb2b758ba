// SPDX-License-Identifier: Apache-2.0
// A service with three routes: GET /executions/ID, GET /executions/ID/task and GET /started.
import http from "node:http";
import type { AddressInfo } from "node:net";

import { NetBuildClient, ProblemError } from "@netbuild/client";

import { TaskExecution } from "./models/execution.js";
import { DataSyncService } from "./services/data-sync/sync-service.js";
import type { ProcessStarted, TaskWaiting } from "./services/data-sync/sync-service.js";
import { UnifiedQueryService } from "./services/unified-query.service.js";

const startedMax = 100;

function setting(name: string): string {
    const value = process.env[name];
    if (value === undefined || value === "") throw new Error(`${name} is not set`);
    return value;
}

const client = new NetBuildClient({ baseUrl: setting("NETBUILD_URL"), token: setting("NETBUILD_TOKEN") });
const queries = new UnifiedQueryService(client);
const sync = new DataSyncService(client);
const started: ProcessStarted[] = [];
const waiting: TaskWaiting[] = [];

sync.on("process:started", (one: ProcessStarted) => keep(started, one));
sync.on("task:created", (one: TaskWaiting) => keep(waiting, one));
sync.on("error", (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
    server.close();
});

function keep<T>(list: T[], one: T): void {
    list.push(one);
    if (list.length > startedMax) list.shift();
}

async function answer(path: string): Promise<unknown> {
    if (path === "/started") return { started, waiting };
    const match = /^\/executions\/([^/]+)(\/task)?$/.exec(path);
    if (!match?.[1]) return undefined;
    const executionId = decodeURIComponent(match[1]);
    if (match[2] === undefined) return await queries.getExecutionDetails(executionId);
    const execution = await TaskExecution.findOne(client, { executionId });
    if (execution === null) return undefined;
    const task = await TaskExecution.currentTask(client, execution.processInstanceId);
    return { execution: execution.toObject(), task };
}

function send(response: http.ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
}

const server = http.createServer((request, response) => {
    answer(request.url ?? "/").then(
        (body) => (body === undefined ? send(response, 404, { code: "not_found" }) : send(response, 200, body)),
        (error: unknown) => {
            if (error instanceof ProblemError) send(response, error.status, { code: error.code, field: error.field });
            else send(response, 500, { code: "internal" });
        },
    );
});

server.listen(Number(process.env["PORT"] ?? "3000"), "127.0.0.1", () => {
    sync.start(process.env["FROM"]);
    console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

process.on("SIGTERM", () => {
    server.close();
    server.closeIdleConnections();
    void sync.stop();
});
