// SPDX-License-Identifier: Apache-2.0
/** What tests/e2e/typescript_test.py says of the server that it has started. */
export function setting(name: string): string {
    const value = process.env[name];
    if (value === undefined || value === "") throw new Error(`${name} is not set: run tests/e2e/typescript_test.py`);
    return value;
}

export async function take<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
    const taken: T[] = [];
    for await (const item of items) {
        taken.push(item);
        if (taken.length === count) break;
    }
    return taken;
}
