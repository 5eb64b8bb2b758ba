// SPDX-License-Identifier: Apache-2.0
import type { Problem } from "./generated.js";

/** What the server refused or could not do (RFC 9457): `code` to branch on, `field` where one is to blame. */
export class ProblemError extends Error {
    override readonly name = "ProblemError";
    readonly status: number;
    readonly code: string;
    readonly field: string | undefined;
    readonly detail: string | undefined;

    constructor(problem: Problem) {
        const about = problem.detail ?? problem.title;
        super(`${problem.code}: ${about}`);
        this.status = problem.status;
        this.code = problem.code;
        this.field = problem.field;
        this.detail = problem.detail;
    }

    /** May the same request succeed a little later? */
    get transient(): boolean {
        return this.status === 429 || this.status === 503 || this.status === 504;
    }
}

/** No answer, or one that is none of NetBuild's. */
export class TransportError extends Error {
    override readonly name = "TransportError";
}

export async function problemOf(response: Response): Promise<ProblemError> {
    const text = await response.text();
    try {
        const parsed: unknown = JSON.parse(text);
        if (isProblem(parsed)) return new ProblemError(parsed);
    } catch {
        // A proxy's page, not ours.
    }
    const title = response.statusText || text.slice(0, 200);
    return new ProblemError({ type: "about:blank", title, status: response.status, code: "unknown" });
}

function isProblem(value: unknown): value is Problem {
    if (typeof value !== "object" || value === null) return false;
    const { code, status, title } = value as Partial<Problem>;
    return typeof code === "string" && typeof status === "number" && typeof title === "string";
}
