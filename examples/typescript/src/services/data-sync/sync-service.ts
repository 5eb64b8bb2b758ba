// SPDX-License-Identifier: Apache-2.0
import { EventEmitter } from "node:events";

import type { NetBuildClient, NetBuildEvent, ProcessEvent, TaskEvent } from "@netbuild/client";

import { TaskExecution } from "../../models/execution.js";

export interface ProcessStarted {
    processInstanceId: string;
    domainId: string | null;
}

export interface TaskWaiting {
    processInstanceId: string;
    currentTaskId: string;
    currentTaskName: string | null;
}

/** The handlers have their names; what they wrote is in the store before they are called. What they published
 * ("process:started", "task:created") is emitted. */
export class DataSyncService extends EventEmitter {
    private readonly ending = new AbortController();
    private running: Promise<void> | undefined;

    constructor(private readonly client: NetBuildClient) {
        super();
    }

    /** Follows Camunda's events; `from` is where an earlier run has ended. */
    start(from?: string): void {
        const signal = this.ending.signal;
        this.running = this.follow(this.client.events(from === undefined ? { signal } : { from, signal }));
    }

    async stop(): Promise<void> {
        this.ending.abort();
        await this.running;
    }

    async onProcessStarted(processInstance: ProcessEvent): Promise<void> {
        const { processInstanceId, domainId } = processInstance;
        if (processInstanceId === null) return;
        const execution = await TaskExecution.findOne(this.client, { processInstanceId });
        if (execution === null) throw new Error(`${processInstanceId} has started and is not stored`);
        const started: ProcessStarted = { processInstanceId, domainId };
        this.emit("process:started", started);
    }

    async onTaskCreated(task: TaskEvent): Promise<void> {
        if (task.processInstanceId === null) return; // a task of its own
        const waiting: TaskWaiting = {
            processInstanceId: task.processInstanceId,
            currentTaskId: task.taskId,
            currentTaskName: task.name,
        };
        this.emit("task:created", waiting);
    }

    private async follow(events: AsyncIterable<NetBuildEvent>): Promise<void> {
        try {
            for await (const event of events) {
                if (event.type === "process:started") await this.onProcessStarted(event);
                else if (event.type === "task:created") await this.onTaskCreated(event);
            }
        } catch (error) {
            this.emit("error", error);
        }
    }
}
