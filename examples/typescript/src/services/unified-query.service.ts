// SPDX-License-Identifier: Apache-2.0
import type { Execution, NetBuildClient } from "@netbuild/client";

/** One request to the data layer where there were one to MongoDB and two to Camunda; what comes back is of one
 * moment, `position`. */
export class UnifiedQueryService {
    constructor(private readonly client: NetBuildClient) {}

    /** The execution's members with `processState` and `activeTasks`, as before. */
    async getExecutionDetails(executionId: string): Promise<Execution> {
        return await this.client.getExecution({ executionId });
    }
}
