// SPDX-License-Identifier: Apache-2.0
/** A place in Camunda's write-ahead log: "NUMBER-ORDINAL", as in events and in X-NetBuild-Position. */

/** The engine's Position in a header, `engine="23803720-12", documents="…"`, or the bare form. */
export function parsePosition(text: string): string | undefined {
    return (/^(?:.*,\s*)?engine="(\d+-\d+)"/.exec(text) ?? /^(\d+-\d+)$/.exec(text))?.[1];
}

/** Less than 0 if `a` comes before `b`. Numbers are beyond what a double holds exactly. */
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
