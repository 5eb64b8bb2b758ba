// SPDX-License-Identifier: Apache-2.0
import { pause } from "./caller.js";
import { Api } from "./generated.js";
import type { Event, Gap } from "./generated.js";
import { offsetOf, parsePosition } from "./position.js";
import { ProblemError, TransportError, problemOf } from "./problem.js";

const reconnectsMaxDefault = 20;
const reconnectDelayMsFirst = 100;
const reconnectDelayMsMax = 10_000;
/** The server writes at least every 15 s: a stream that is silent for longer is dead. */
const silenceMsMax = 45_000;
const lineCharactersMax = 32 * 1024 * 1024;

/** An event or a gap; `offset` says where to go on behind it, as `from`. */
export type NetBuildEvent = (Event | Gap) & { offset: string };

export interface EventOptions {
    /** Events behind this: an event's `offset`, or a Position of Camunda's ("0-0": all that are kept), with which own
     * data's events are those that come. Without it, all that come from now on. */
    from?: string;
    /** Only these: "domain:ID" or "execution:ID". */
    room?: `domain:${string}` | `execution:${string}`;
    signal?: AbortSignal;
    /** Failed connections in a row after which it gives up. */
    reconnectsMax?: number;
}

/** The client: every operation of the API as a method, and the events. */
export class NetBuildClient extends Api {
    /** Events in order, each once; goes on where it was after a lost connection. Ends with `signal` or `break`. */
    async *events(options: EventOptions = {}): AsyncGenerator<NetBuildEvent, void, undefined> {
        let after = options.from ?? (await this.newest(options.signal));
        const reconnectsMax = options.reconnectsMax ?? reconnectsMaxDefault;
        for (let failures = 0; ; ) {
            const began = Date.now();
            try {
                for await (const event of this.connection(after, options)) {
                    failures = 0;
                    after = event.offset;
                    this.see(after);
                    yield event;
                }
                failures += 1; // ended by the server: it stops, or starts anew
            } catch (error) {
                if (options.signal?.aborted) return;
                if (error instanceof ProblemError ? !error.transient : !(error instanceof TransportError)) throw error;
                failures += 1;
                if (failures > reconnectsMax) throw error;
            }
            if (Date.now() - began > reconnectDelayMsMax) failures = 0; // it was a working one, only quiet
            if (failures > reconnectsMax) throw new TransportError(`${this.baseUrl}: the event stream keeps ending`);
            try {
                await pause(Math.min(reconnectDelayMsFirst * 2 ** failures, reconnectDelayMsMax), options.signal);
            } catch {
                return;
            }
        }
    }

    /** "Only what comes" has to have a name, or what comes while a connection is lost would be missed. */
    private async newest(signal: AbortSignal | undefined): Promise<string> {
        const page = await this.listDefinitions({ limit: 1 }, signal === undefined ? {} : { signal });
        return offsetOf(page.position);
    }

    private async *connection(after: string, options: EventOptions): AsyncGenerator<NetBuildEvent, void, undefined> {
        const ending = new AbortController();
        const stop = () => ending.abort(options.signal?.reason);
        if (options.signal?.aborted) stop();
        options.signal?.addEventListener("abort", stop, { once: true });
        const query = options.room === undefined ? "" : `?room=${encodeURIComponent(options.room)}`;
        const headers = { ...(await this.authorization()), Accept: "text/event-stream", "Last-Event-ID": after };
        let silence = setTimeout(() => undefined, 0);
        const watch = () => {
            clearTimeout(silence);
            silence = setTimeout(() => ending.abort(new TransportError("the event stream is silent")), silenceMsMax);
        };
        try {
            watch();
            const response = await transported(this.fetch(`${this.baseUrl}/v1/events${query}`, { headers, signal: ending.signal }), ending.signal);
            if (!response.ok) throw await problemOf(response);
            if (response.body === null) throw new TransportError("an event stream without a body");
            yield* eventsIn(response.body, watch, ending.signal);
        } finally {
            clearTimeout(silence);
            options.signal?.removeEventListener("abort", stop);
            ending.abort(); // of a reader that has enough
        }
    }
}

async function transported<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
        return await work;
    } catch (error) {
        if (signal.aborted && signal.reason instanceof TransportError) throw signal.reason;
        throw new TransportError(String(error), { cause: error });
    }
}

/** Server-sent events (the HTML standard's text/event-stream) that are JSON. */
async function* eventsIn(body: ReadableStream<Uint8Array>, alive: () => void, signal: AbortSignal): AsyncGenerator<NetBuildEvent, void, undefined> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    let id = "";
    let data: string[] = [];
    while (true) {
        const { done, value } = await transported(reader.read(), signal);
        if (done) return; // an event without its empty line is not one
        alive();
        text += decoder.decode(value, { stream: true });
        const lines = text.split("\n");
        text = lines.pop() ?? "";
        if (text.length > lineCharactersMax) throw new TransportError("a line of the event stream is too long");
        for (const ended of lines) {
            const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
            if (line !== "") {
                if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
                if (line.startsWith("id:")) id = line.slice(3).trimStart();
                continue;
            }
            if (data.length > 0) yield eventOf(data.join("\n"), id);
            data = [];
        }
    }
}

function eventOf(data: string, id: string): NetBuildEvent {
    const event = JSON.parse(data) as Event | Gap;
    if (typeof event.type !== "string" || parsePosition(id) === undefined) throw new TypeError("an event without type and id");
    return { ...event, offset: id };
}
