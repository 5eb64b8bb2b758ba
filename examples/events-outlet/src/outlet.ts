// SPDX-License-Identifier: Apache-2.0
import { commandOptions, createClient } from "redis";

export interface NetBuildEvent {
    /** Its place in the stream, and its name: "23803720-12". */
    position: string;
    type: string;
    domainId: string;
    executionId: string;
    processInstanceId: string;
    payload: Record<string, unknown>;
}

export interface OutletOptions {
    url: string;
    stream: string;
    group: string;
    /** One name a process, the same after its restart: what it had not acknowledged is its again. */
    consumer: string;
    /** The last Position that the service has handled; "0" if there is none. */
    handledUpTo: () => string;
    /** At least once: the same event comes again after a crash. */
    handle: (event: NetBuildEvent) => void | Promise<void>;
    /** Between the two Positions events may have left the stream before the group had read them. */
    gap: (after: string, before: string) => void | Promise<void>;
    /** Another consumer's events are taken over when it has been silent for so long. */
    takeOverAfterMs?: number;
}

type Entry = { id: string; message: Record<string, string> };

const batch = 200;
const blockMs = 1000;

/** True if the Position `left` comes after `right`; they are two numbers of up to 64 bits. */
export function isAfter(left: string, right: string): boolean {
    const [ln = "0", lo = "0"] = left.split("-");
    const [rn = "0", ro = "0"] = right.split("-");
    return BigInt(ln) !== BigInt(rn) ? BigInt(ln) > BigInt(rn) : BigInt(lo) > BigInt(ro);
}

/** Gives every event of the stream to one consumer of the group, until the signal is aborted. */
export async function follow(options: OutletOptions, signal: AbortSignal): Promise<void> {
    const { stream, group, consumer } = options;
    const takeOverAfterMs = options.takeOverAfterMs ?? 30_000;
    const client = createClient({ url: options.url });
    client.on("error", () => {}); // it connects again by itself; what was asked meanwhile fails below
    await client.connect();

    /** The group begins behind what the service has handled, if it is not there. */
    const begin = async (): Promise<void> => {
        const from = options.handledUpTo();
        try {
            await client.xGroupCreate(stream, group, from, { MKSTREAM: true });
        } catch (error) {
            if (!String(error).includes("BUSYGROUP")) throw error;
        }
        const groups = await client.xInfoGroups(stream);
        const read = groups.find((one) => one.name === group)?.lastDeliveredId ?? "0-0";
        const [first] = await client.xRange(stream, "-", "+", { COUNT: 1 });
        // What was trimmed away before the group came to it, nobody can tell from the stream.
        if (first && read !== "0-0" && isAfter(first.id, read)) await options.gap(read, first.id);
    };
    const work = async (entries: (Entry | null)[]): Promise<void> => {
        for (const entry of entries) {
            if (!entry?.message?.["type"]) continue; // it was trimmed while it was pending
            const { type, domainId = "", executionId = "", processInstanceId = "", payload = "{}" } = entry.message;
            const parsed = JSON.parse(payload) as Record<string, unknown>;
            await options.handle({ position: entry.id, type, domainId, executionId, processInstanceId, payload: parsed });
            await client.xAck(stream, group, entry.id);
        }
    };
    /** Of the stream after `id`; what was this consumer's and not acknowledged is after "0". */
    const read = async (id: string, wait: boolean): Promise<Entry[]> => {
        const terms = wait ? { COUNT: batch, BLOCK: blockMs } : { COUNT: batch };
        // A blocking command has a connection of its own.
        const found = await client.xReadGroup(commandOptions({ isolated: wait }), group, consumer, { key: stream, id }, terms);
        return found?.[0]?.messages ?? [];
    };
    let lookedAt = 0;
    let begun = false;
    while (!signal.aborted) {
        try {
            if (!begun) {
                await begin();
                for (let own = await read("0", false); own.length > 0; own = await read(own.at(-1)?.id ?? "0", false)) await work(own);
                begun = true;
            }
            if (Date.now() - lookedAt >= takeOverAfterMs / 2) {
                lookedAt = Date.now();
                await work((await client.xAutoClaim(stream, group, consumer, takeOverAfterMs, "0", { COUNT: batch })).messages);
            }
            await work(await read(">", true));
        } catch (error) {
            // NOGROUP: the stream was begun anew. Anything else: Redis is away.
            begun = false;
            if (!/NOGROUP|no such key/.test(String(error))) await new Promise((resolve) => setTimeout(resolve, 200));
        }
    }
    await client.quit();
}
