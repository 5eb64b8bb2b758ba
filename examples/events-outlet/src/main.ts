// SPDX-License-Identifier: Apache-2.0
// REDIS_URL=… node dist/src/main.js FILE : writes a line for each event, once, whatever is restarted.
import fs from "node:fs";

import { follow, isAfter } from "./outlet.js";

const file = process.argv[2];
if (file === undefined) throw new Error("main.js FILE");

// The effect and the note that it was done are one write: that is what makes at least once exactly once. A service with a
// database writes both in one transaction.
const handled = new Set<string>();
let last = "0";
const remember = (position: string): void => {
    handled.add(position);
    if (isAfter(position, last)) last = position;
};
if (fs.existsSync(file)) {
    const text = fs.readFileSync(file, "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    fs.truncateSync(file, Buffer.byteLength(whole)); // half a line of a process that was killed is no line
    for (const line of whole.split("\n")) if (/^\d/.test(line)) remember(line.slice(0, line.indexOf(" ")));
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());

await follow(
    {
        url: process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379",
        stream: process.env["STREAM"] ?? "netbuild:events",
        group: process.env["GROUP"] ?? "example",
        consumer: process.env["CONSUMER"] ?? "one",
        takeOverAfterMs: Number(process.env["TAKE_OVER_MS"] ?? 30_000),
        handledUpTo: () => last,
        handle: (event) => {
            if (handled.has(event.position)) return;
            fs.appendFileSync(file, `${event.position} ${event.type} ${event.executionId}\n`);
            remember(event.position);
        },
        // A service loads anew what it keeps: GET /v1/executions.
        gap: (after, before) => fs.appendFileSync(file, `gap ${after} ${before}\n`),
    },
    stop.signal,
);
