// SPDX-License-Identifier: Apache-2.0
import type { ExecutionDocument, NetBuildClient, Task } from "@netbuild/client";

type By = { executionId: string } | { processInstanceId: string };

/** What a mongoose model's document was: the members, and toObject(). */
export class TaskExecution {
    private constructor(private readonly document: ExecutionDocument) {}

    get processInstanceId(): string {
        return this.document.processInstanceId;
    }

    toObject(): ExecutionDocument {
        return { ...this.document };
    }

    /** Null where there is none, or it is another domain's. */
    static async findOne(client: NetBuildClient, by: By): Promise<TaskExecution | null> {
        const [id, kind] = "executionId" in by ? [by.executionId, "executionId" as const] : [by.processInstanceId, "processInstanceId" as const];
        const { items } = await client.batchGetExecutions({ body: { ids: [id], by: kind } });
        const document = items[0];
        return document ? new TaskExecution(document) : null;
    }

    /** The task that an execution waits for; null if it waits for none. */
    static async currentTask(client: NetBuildClient, processInstanceId: string): Promise<Task | null> {
        const page = await client.listTasks({ processInstanceId, limit: 1 });
        return page.items[0] ?? null;
    }
}
