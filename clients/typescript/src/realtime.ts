// SPDX-License-Identifier: Apache-2.0
// Socket.IO with NetBuild's events, typed; over the official client (socket.io-client), which the service installs itself.
import { io } from "socket.io-client";
import type { ManagerOptions, Socket, SocketOptions } from "socket.io-client";

import { pause } from "./caller.js";
import type { Token } from "./caller.js";
import type { ClientEvents, ServerEvents, SubscribeAnswer } from "./generated.js";
import { laterOffset } from "./position.js";

export type Room = `domain:${string}` | `execution:${string}` | `conversation:${string}` | `user:${string}`;
export type RealtimeSocket = Socket<ServerEvents, ClientEvents>;
type Name = keyof ServerEvents & string;

/** Of a refused subscription that another try may get. */
const retryMs = 1_000;
const retriedCodes = new Set(["unavailable", "overloaded", "deadline_exceeded", "outcome_unknown"]);
/** While rooms are subscribed again: what another room has already given is known by its Position. */
const knownMax = 100_000;

export interface RealtimeOptions {
    /** Such as http://localhost:8080 */
    baseUrl: string;
    /** An access token or an API key, or what gives one for each connection, such as `SignIn.token`. */
    token?: Token;
    /** Of the official client: transports, reconnection delays, … */
    socket?: Partial<ManagerOptions & SocketOptions>;
}

/** What the server refused: the code to branch on. */
export class RealtimeError extends Error {
    override readonly name = "RealtimeError";
    constructor(
        readonly code: string,
        message: string,
    ) {
        super(message);
    }
}

interface Wanted {
    /** The server has said yes on this connection, or on one that was recovered. */
    joined: boolean;
    /** The connection on which it was asked for. */
    asked: number;
    /** Everything of the room up to here has come. */
    from: string | undefined;
    readonly settled: ((error?: RealtimeError) => void)[];
}

/** A connection that keeps its rooms. What was missed while it was lost comes by Socket.IO's own recovery; where the
 * server does not know the session any more (a node that was restarted), each room is subscribed again from where it
 * was, and what is not kept any more is told by `gap`. Each event comes once, those of a room in order. */
export class RealtimeClient {
    /** The official client's socket. Its own listeners do not know which events are doubles of a new subscription. */
    readonly socket: RealtimeSocket;
    private readonly rooms = new Map<Room, Wanted>();
    /** Unsubscribed, and the server has not said so yet: a session that is recovered has them. */
    private readonly leaving = new Map<Room, (() => void)[]>();
    private readonly listeners = new Map<string, Set<(...given: never[]) => void>>();
    private readonly everyListener = new Set<(name: string, event: object, offset: string | undefined) => void>();
    private readonly renewable: boolean;
    private last: string | undefined;
    private known: Set<string> | undefined;
    private connection = 0;
    private tokenRefused = false;
    private closed = false;

    constructor(options: RealtimeOptions) {
        const { token } = options;
        this.renewable = typeof token === "function";
        const auth = async (give: (auth: object) => void): Promise<void> => {
            try {
                give(token === undefined ? {} : { token: typeof token === "function" ? await token() : token });
            } catch {
                give({}); // the server says "unauthorized", and why a token is not to be had its maker knows
            }
        };
        this.socket = io(options.baseUrl, { forceNew: true, ...options.socket, auth: (give) => void auth(give) });
        this.socket.on("connect", () => this.connected());
        this.socket.on("connect_error", (error) => this.refused(error));
        this.socket.on("disconnect", (reason) => {
            this.connection += 1;
            // The token has ended: with another one the client may come back to what it had.
            if (reason === "io server disconnect" && this.tokenRefused && this.renewable) this.socket.connect();
        });
        this.socket.onAny((name: string, event: object, offset?: string) => this.received(name, event, offset));
    }

    /** Where this client is: a later one's `subscribe(room, {offset})` goes on there. Undefined until something came. */
    get offset(): string | undefined {
        return this.last;
    }

    /** Resolves when the room is joined, with where it was then. With an `offset` what came since is given before that.
     * Rejects with what the server refuses; a lost connection is waited for. */
    async subscribe(room: Room, from: { offset?: string } = {}): Promise<void> {
        if (this.closed) throw new RealtimeError("cancelled", "the client is closed");
        const wanted: Wanted = this.rooms.get(room) ?? { joined: false, asked: 0, from: from.offset, settled: [] };
        if (wanted.joined) return;
        this.rooms.set(room, wanted);
        this.left(room);
        const settled = new Promise<void>((resolve, reject) =>
            wanted.settled.push((error) => (error === undefined ? resolve() : reject(error))),
        );
        if (this.socket.connected && wanted.asked !== this.connection) void this.join(room, wanted);
        await settled;
    }

    /** No event of the room comes after it has resolved, unless another room has it. */
    async unsubscribe(room: Room): Promise<void> {
        const wanted = this.rooms.get(room);
        this.rooms.delete(room);
        this.settle(wanted, new RealtimeError("cancelled", `${room} was unsubscribed`));
        if (this.connection === 0 || wanted === undefined) return;
        const left = new Promise<void>((resolve) => this.leaving.set(room, [...(this.leaving.get(room) ?? []), resolve]));
        if (this.socket.connected) this.leave(room);
        await left;
    }

    on<One extends Name>(name: One, listener: ServerEvents[One]): this {
        const known = this.listeners.get(name) ?? new Set();
        this.listeners.set(name, known.add(listener as (...given: never[]) => void));
        return this;
    }

    off<One extends Name>(name: One, listener: ServerEvents[One]): this {
        this.listeners.get(name)?.delete(listener as (...given: never[]) => void);
        return this;
    }

    /** Of every event, before those of its name. */
    onAny(listener: (name: string, event: object, offset: string | undefined) => void): this {
        this.everyListener.add(listener);
        return this;
    }

    /** Leaves for good: the server forgets the session. */
    close(): void {
        this.closed = true;
        this.socket.disconnect();
        for (const wanted of this.rooms.values()) this.settle(wanted, new RealtimeError("cancelled", "the client is closed"));
        this.rooms.clear();
        for (const room of this.leaving.keys()) this.left(room);
    }

    private connected(): void {
        this.connection += 1;
        this.tokenRefused = false;
        if (this.socket.recovered) {
            for (const room of this.leaving.keys()) this.leave(room);
        } else {
            for (const room of this.leaving.keys()) this.left(room);
            for (const wanted of this.rooms.values()) {
                if (wanted.joined && this.last !== undefined)
                    wanted.from = wanted.from === undefined ? this.last : laterOffset(wanted.from, this.last);
                wanted.joined = false;
            }
        }
        for (const [room, wanted] of this.rooms) if (!wanted.joined) void this.join(room, wanted);
    }

    /** A connection that the server refuses is not tried again by the official client. */
    private refused(error: Error): void {
        if (this.socket.active) return; // it goes on trying
        const code = (error as { data?: { code?: string } }).data?.code ?? "unauthorized";
        if (retriedCodes.has(code)) return void pause(retryMs).then(() => (this.closed ? undefined : this.socket.connect()));
        for (const wanted of this.rooms.values()) this.settle(wanted, new RealtimeError(code, error.message));
    }

    private async join(room: Room, wanted: Wanted): Promise<void> {
        const connection = this.connection;
        wanted.asked = connection;
        const here = () => connection === this.connection && this.rooms.get(room) === wanted;
        if (wanted.from !== undefined) this.known ??= new Set();
        for (;;) {
            const answer = await new Promise<SubscribeAnswer>((resolve) => {
                if (wanted.from === undefined) this.socket.emit("subscribe", room, resolve);
                else this.socket.emit("subscribe", room, { offset: wanted.from }, resolve);
            });
            if (!here()) return;
            if (answer.ok) {
                wanted.joined = true;
                // What a recovered session missed may still be on its way: then it is not the place of the answer.
                if (!this.socket.recovered) {
                    wanted.from = answer.offset;
                    this.last ??= answer.offset;
                }
                this.settle(wanted);
                break;
            }
            if (!retriedCodes.has(answer.error.code)) {
                this.rooms.delete(room);
                const awaited = wanted.settled.length > 0;
                this.settle(wanted, new RealtimeError(answer.error.code, answer.error.message));
                if (!awaited) this.give("unsubscribed", { room, code: answer.error.code }, undefined);
                break;
            }
            await pause(retryMs);
            if (!here()) return;
        }
        if ([...this.rooms.values()].every((each) => each.joined)) this.known = undefined;
    }

    private leave(room: Room): void {
        this.socket.emit("unsubscribe", room, () => this.left(room));
    }

    private left(room: Room): void {
        for (const resolve of this.leaving.get(room) ?? []) resolve();
        this.leaving.delete(room);
    }

    private settle(wanted: Wanted | undefined, error?: RealtimeError): void {
        for (const settled of wanted?.settled.splice(0) ?? []) settled(error);
    }

    private received(name: string, event: object, offset: string | undefined): void {
        const { source, position, code, room } = event as Record<string, string | undefined>;
        if (name === "error" && code === "unauthorized") this.tokenRefused = true;
        if (name === "unsubscribed") this.rooms.delete(room as Room);
        if (this.known !== undefined && position !== undefined) {
            const id = `${source} ${position}`;
            if (this.known.has(id)) return;
            if (this.known.size >= knownMax) for (const oldest of this.known) if (this.known.delete(oldest)) break;
            this.known.add(id);
        }
        if (offset !== undefined) this.last = offset;
        this.give(name, event, offset);
    }

    private give(name: string, event: object, offset: string | undefined): void {
        for (const listener of this.everyListener) listener(name, event, offset);
        const given = (offset === undefined ? [event] : [event, offset]) as never[];
        for (const listener of this.listeners.get(name) ?? []) listener(...given);
    }
}
