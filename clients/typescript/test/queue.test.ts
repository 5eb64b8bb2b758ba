// SPDX-License-Identifier: Apache-2.0
// Against a running server: tests/e2e/typescript_test.py starts it and says where it is.
import assert from "node:assert/strict";
import { test } from "node:test";

import { NetBuildClient, ProblemError } from "../src/index.js";
import { setting } from "./support.js";

const client = new NetBuildClient({ baseUrl: setting("NETBUILD_URL"), token: setting("NETBUILD_TOKEN") });
const queue = `mail-${process.pid}`;

test("a job is added once, claimed, kept, completed, and its result is there", async () => {
    const job = { payload: { to: "ada@example.org", "with.dots": [1, null, "ä"] }, key: "welcome-ada" };
    const first = await client.addJobs({ queue, body: { jobs: [job] } });
    const again = await client.addJobs({ queue, body: { jobs: [job] } });
    assert.deepEqual(again.jobs, [{ id: first.jobs[0]?.id, duplicate: true }]);
    const { jobs } = await client.claimJobs({ queue, body: { limit: 10, waitMs: 10_000, worker: "test" } });
    const claimed = jobs[0];
    assert.ok(claimed);
    assert.deepEqual(claimed.payload, job.payload);
    const run = { queue, jobId: claimed.id };
    await client.renewJob({ ...run, body: { token: claimed.token, leaseMs: 60_000 } });
    assert.equal((await client.getJob(run)).worker, "test");
    await client.completeJob({ ...run, body: { token: claimed.token, result: { sent: true } } });
    await client.completeJob({ ...run, body: { token: claimed.token, result: { sent: true } } });
    const ended = await client.getJob(run);
    assert.equal(ended.state, "completed");
    assert.deepEqual(ended.result, { sent: true });
    await assert.rejects(
        client.failJob({ ...run, body: { token: claimed.token, error: "late" } }),
        (error) => error instanceof ProblemError && error.status === 409,
    );
});

test("what waits gets what is added, and a hopeless job is a dead letter that can be made ready", async () => {
    const waiting = client.claimJobs({ queue, body: { waitMs: 30_000 } });
    await client.addJobs({ queue, body: { jobs: [{ payload: 1 }] } });
    const claimed = (await waiting).jobs[0];
    assert.ok(claimed);
    await client.failJob({ queue, jobId: claimed.id, body: { token: claimed.token, error: "no address", after: "dead" } });
    const dead = await client.listJobs({ queue, state: "dead" });
    assert.deepEqual(dead.items.map((one) => [one.id, one.error]), [[claimed.id, "no address"]]);
    assert.equal((await client.retryJobs({ queue, body: { ids: [claimed.id] } })).retried, 1);
    assert.equal((await client.getQueue({ queue })).ready, 1);
    await client.cancelJob({ queue, jobId: claimed.id });
    assert.equal((await client.getJob({ queue, jobId: claimed.id })).state, "cancelled");
});

test("a paused queue gives nothing, and a drain empties it", async () => {
    await client.pauseQueue({ queue });
    await client.addJobs({ queue, body: { jobs: [{ payload: 1 }, { payload: 2, delayMs: 60_000 }] } });
    assert.deepEqual((await client.claimJobs({ queue })).jobs, []);
    assert.equal((await client.drainQueue({ queue })).removed, 2);
    await client.resumeQueue({ queue });
    assert.equal((await client.getQueue({ queue })).paused, false);
});
