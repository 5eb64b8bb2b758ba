// SPDX-License-Identifier: Apache-2.0
/** A place in Camunda's write-ahead log: "NUMBER-ORDINAL", as in events and in X-NetBuild-Position. */
import type { Position } from "./generated.js";

/** The engine's Position in a header or an offset, `engine="23803720-12", documents="…"`, or the bare form. */
export function parsePosition(text: string): string | undefined {
    return (/^(?:.*,\s*)?engine="(\d+-\d+)"/.exec(text) ?? /^(\d+-\d+)$/.exec(text))?.[1];
}

/** A place in the streams as an offset has it. */
export function offsetOf(position: Position): string {
    const engine = position.engine ?? "0-0";
    return position.documents === undefined ? engine : `engine="${engine}", documents="${position.documents}"`;
}

/** An offset behind all that either is behind. */
export function laterOffset(a: string, b: string): string {
    const [x, y] = [positionsOf(a), positionsOf(b)];
    const later = (one?: string, other?: string): string | undefined =>
        one === undefined || (other !== undefined && comparePositions(one, other) < 0) ? other : one;
    const documents = later(x.documents, y.documents);
    return offsetOf({ engine: later(x.engine, y.engine) ?? "0-0", ...(documents === undefined ? {} : { documents }) });
}

function positionsOf(offset: string): Position {
    const engine = parsePosition(offset);
    const documents = /\bdocuments="(\d+-\d+)"/.exec(offset)?.[1];
    return { ...(engine === undefined ? {} : { engine }), ...(documents === undefined ? {} : { documents }) };
}

/** Less than 0 if `a` comes before `b`; of one stream. Numbers are beyond what a double holds exactly. */
export function comparePositions(a: string, b: string): number {
    const [x, y] = [parts(a), parts(b)];
    const difference = x.number === y.number ? x.ordinal - y.ordinal : x.number - y.number;
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function parts(position: string): { number: bigint; ordinal: bigint } {
    const match = /^(\d+)-(\d+)$/.exec(position);
    if (!match) throw new TypeError(`no Position: ${position}`);
    return { number: BigInt(match[1] ?? "0"), ordinal: BigInt(match[2] ?? "0") };
}
