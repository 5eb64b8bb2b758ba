// SPDX-License-Identifier: Apache-2.0
export * from "./generated.js";
export * from "./events.js";
export { SignIn } from "./sign_in.js";
export { etag } from "./caller.js";
export type { CallOptions, ClientOptions, Token } from "./caller.js";
export { ProblemError, TransportError } from "./problem.js";
export { comparePositions } from "./position.js";
