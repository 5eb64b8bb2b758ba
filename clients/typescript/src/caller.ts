// SPDX-License-Identifier: Apache-2.0
import { comparePositions, parsePosition } from "./position.js";
import { ProblemError, TransportError, problemOf } from "./problem.js";

const timeoutMsDefault = 30_000;
const attemptsMax = 3;
const retryDelayMsFirst = 100;
const retryDelayMsMax = 5_000;

export type Token = string | (() => string | Promise<string>);

export interface ClientOptions {
    /** Such as http://localhost:8080 */
    baseUrl: string;
    /** An access token or an API key, or what gives one for each request. */
    token?: Token;
    /** Reads are at least as fresh as this Position: what another client has seen, from its `position`. */
    position?: string;
    /** Of each request, in milliseconds. */
    timeoutMs?: number;
    /** Instead of the global fetch. */
    fetch?: typeof fetch;
}

export interface CallOptions {
    signal?: AbortSignal;
    timeoutMs?: number;
    /** "now": what is in Camunda at the moment of the request; a Position: at least that. By default the newest
     * Position that this client has seen. */
    minPosition?: string;
}

/** An operation of the API as the generated file has it. */
export interface Operation {
    readonly id: string;
    readonly method: string;
    readonly path: string;
    readonly query: readonly string[];
    /** Input's names of headers. */
    readonly headers: Readonly<Record<string, string>>;
    /** Wants an Idempotency-Key. */
    readonly keyed: boolean;
    /** Takes X-NetBuild-Min-Position. */
    readonly positioned: boolean;
    /** Needs no token. */
    readonly open: boolean;
    /** The prefix of further query parameters. */
    readonly openQuery?: string;
}

type Input = Readonly<Record<string, unknown>>;

/** Makes the requests: tokens, keys, retries, Positions. */
export class Caller {
    protected readonly baseUrl: string;
    protected readonly token: Token | undefined;
    protected readonly fetch: typeof fetch;
    private readonly timeoutMs: number;
    private seen: string | undefined;

    constructor(options: ClientOptions) {
        this.baseUrl = options.baseUrl.replace(/\/+$/, "");
        this.token = options.token;
        this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
        this.timeoutMs = options.timeoutMs ?? timeoutMsDefault;
        if (options.position !== undefined) this.see(options.position);
    }

    /** The newest Position of an answer or an event; later reads are no older. Give it to another client's options
     * to let it read what this one has seen. */
    get position(): string | undefined {
        return this.seen;
    }

    protected see(text: string | null): void {
        const position = text === null ? undefined : parsePosition(text);
        if (position === undefined) return;
        if (this.seen === undefined || comparePositions(position, this.seen) > 0) this.seen = position;
    }

    protected async authorization(): Promise<Record<string, string>> {
        if (this.token === undefined) return {};
        const token = typeof this.token === "function" ? await this.token() : this.token;
        return { Authorization: `Bearer ${token}` };
    }

    protected async call<Answer>(operation: Operation, input: Input, options: CallOptions = {}): Promise<Answer> {
        const key = operation.keyed ? (input["idempotencyKey"] ?? (await randomKey())) : undefined;
        // The same key again is the same write: it may be tried again, as a read may.
        const repeatable = operation.method === "GET" || key !== undefined;
        for (let attempt = 1; ; ++attempt) {
            try {
                const response = await this.send(operation, input, key, options);
                return await this.read<Answer>(response);
            } catch (error) {
                if (attempt >= attemptsMax || !repeatable || !mayPass(error) || options.signal?.aborted) throw error;
            }
            await pause(Math.min(retryDelayMsFirst * 2 ** attempt, retryDelayMsMax), options.signal);
        }
    }

    /** All items of an operation with pages. */
    protected async *all<Item>(operation: Operation, input: Input, options?: CallOptions): AsyncGenerator<Item, void, undefined> {
        let cursor: string | null = null;
        do {
            const given: Input = cursor === null ? input : { ...input, cursor };
            const page: { items: Item[]; nextCursor: string | null } = await this.call(operation, given, options);
            yield* page.items;
            cursor = page.nextCursor;
        } while (cursor !== null);
    }

    private async send(operation: Operation, input: Input, key: unknown, options: CallOptions): Promise<Response> {
        const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
        if (!operation.open) Object.assign(headers, await this.authorization());
        for (const [field, name] of Object.entries(operation.headers)) {
            const value = field === "idempotencyKey" ? key : input[field];
            if (value !== undefined) headers[name] = String(value);
        }
        const minPosition = options.minPosition ?? this.seen;
        if (operation.positioned && minPosition !== undefined) headers["X-NetBuild-Min-Position"] = minPosition;
        const request: RequestInit = { method: operation.method, headers };
        if (input["body"] !== undefined) {
            headers["Content-Type"] = "application/json";
            request.body = JSON.stringify(input["body"]);
        }
        return await this.within(options, (signal) => this.fetch(this.url(operation, input), { ...request, signal }));
    }

    private async read<Answer>(response: Response): Promise<Answer> {
        this.see(response.headers.get("X-NetBuild-Position"));
        if (!response.ok) throw await problemOf(response);
        if (response.status === 204) return undefined as Answer;
        const text = await response.text();
        if (response.headers.get("Content-Type")?.includes("json")) return JSON.parse(text) as Answer;
        return text as Answer;
    }

    private url(operation: Operation, input: Input): string {
        const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
            const value = input[name];
            if (typeof value !== "string" || value === "") throw new TypeError(`${operation.id}: ${name} is missing`);
            return encodeURIComponent(value);
        });
        const query = new URLSearchParams();
        for (const [name, value] of Object.entries(input)) {
            const known = operation.query.includes(name) || (operation.openQuery !== undefined && name.startsWith(operation.openQuery));
            if (known && value !== undefined) query.append(name, String(value));
        }
        const text = query.toString();
        return this.baseUrl + path + (text === "" ? "" : `?${text}`);
    }

    /** Ends what takes longer than its time, with its body. */
    private async within(options: CallOptions, work: (signal: AbortSignal) => Promise<Response>): Promise<Response> {
        options.signal?.throwIfAborted();
        const ending = new AbortController();
        const timeoutMs = options.timeoutMs ?? this.timeoutMs;
        const timer = setTimeout(() => ending.abort(new TransportError(`no answer within ${timeoutMs} ms`)), timeoutMs);
        const stop = () => ending.abort(options.signal?.reason);
        options.signal?.addEventListener("abort", stop, { once: true });
        try {
            const response = await work(ending.signal);
            const body = response.status === 204 || response.status === 304 ? null : await response.arrayBuffer();
            return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers });
        } catch (error) {
            if (ending.signal.aborted) throw ending.signal.reason;
            throw new TransportError(`${this.baseUrl}: ${reasonOf(error)}`, { cause: error });
        } finally {
            clearTimeout(timer);
            options.signal?.removeEventListener("abort", stop);
        }
    }
}

/** The value of If-Match for a version (a message's number). */
export function etag(version: number): string {
    return `"${version}"`;
}

function mayPass(error: unknown): boolean {
    if (error instanceof TransportError) return true;
    // The server has waited for the Position as long as it was told to.
    return error instanceof ProblemError && error.transient && error.code !== "not_yet_consistent" && error.code !== "rate_limited";
}

/** fetch says "fetch failed" and has the reason in its cause. */
export function reasonOf(error: unknown): string {
    if (!(error instanceof Error)) return String(error);
    return error.cause instanceof Error ? error.cause.message : error.message;
}

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        const stop = () => {
            clearTimeout(timer);
            reject(signal?.reason);
        };
        const timer = setTimeout(() => {
            signal?.removeEventListener("abort", stop);
            resolve();
        }, ms);
        if (signal?.aborted) stop();
        signal?.addEventListener("abort", stop, { once: true });
    });
}

async function randomKey(): Promise<string> {
    // Node 18 has no global crypto.
    const source = (globalThis.crypto ?? (await import("node:crypto")).webcrypto) as Pick<Crypto, "getRandomValues">;
    const bytes = source.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
