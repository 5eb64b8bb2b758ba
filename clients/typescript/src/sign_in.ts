// SPDX-License-Identifier: Apache-2.0
import { Api } from "./generated.js";
import type { Tokens } from "./generated.js";

/** A token is renewed this long before it ends. */
const renewBeforeMs = 30_000;

/** A user's session: `token` is what NetBuildClient wants, renewed in time. A refresh token is good for one use, so
 * one SignIn is shared by all clients of a session. */
export class SignIn {
    private renewing: Promise<string> | undefined;
    private constructor(
        private readonly api: Api,
        private tokens: Tokens,
        private endsAt: number,
    ) {}

    static async withPassword(baseUrl: string, email: string, password: string): Promise<SignIn> {
        const api = new Api({ baseUrl });
        const at = Date.now();
        const tokens = await api.login({ body: { email, password } });
        return new SignIn(api, tokens, at + tokens.expiresIn * 1000);
    }

    readonly token = async (): Promise<string> => {
        return Date.now() < this.endsAt - renewBeforeMs ? this.tokens.accessToken : await this.renew();
    };

    /** New tokens at once, whatever the old one's time. Calls at the same time share one refresh. */
    renew(): Promise<string> {
        this.renewing ??= this.refresh().finally(() => (this.renewing = undefined));
        return this.renewing;
    }

    private async refresh(): Promise<string> {
        const at = Date.now();
        this.tokens = await this.api.refresh({ body: { refreshToken: this.tokens.refreshToken } });
        this.endsAt = at + this.tokens.expiresIn * 1000;
        return this.tokens.accessToken;
    }
}
