// SPDX-License-Identifier: Apache-2.0
// A Node service as one finds them: express-session with connect-redis. Arguments: the servers of Redis, 1 or more: of a
// cluster. Prints its address. Each request answers the session as the request left it.
//   GET  /            reads
//   POST /set?NAME=JSON    sets fields
//   POST /slow?NAME=JSON   the same, but is done only after GET /release
//   POST /regenerate, /destroy
import { createServer } from "node:http";
import session from "express-session";
import { RedisStore } from "connect-redis";
import { createClient, createCluster } from "redis";

const urls = process.argv.slice(2);
const client = urls.length > 1 ? createCluster({ rootNodes: urls.map((url) => ({ url })) }) : createClient({ url: urls[0] });
client.on("error", (error) => console.error(String(error)));
await client.connect();

const withSession = session({
  store: new RedisStore({ client }),
  secret: ["the-newest-secret", "an-older-secret"],
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 600_000 },
});

let held = [];
const done = (call) => new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));

const server = createServer((request, response) => {
  withSession(request, response, async (error) => {
    try {
      if (error) throw error;
      const url = new URL(request.url, "http://service");
      if (url.pathname === "/release") {
        for (const go of held) go();
        held = [];
      } else if (url.pathname === "/regenerate") {
        await done((ended) => request.session.regenerate(ended));
        request.session.userId = "ada";
      } else if (url.pathname === "/destroy") {
        await done((ended) => request.session.destroy(ended));
      } else if (url.pathname !== "/") {
        if (url.pathname === "/slow") {
          await new Promise((go) => held.push(go));
        }
        for (const [name, json] of url.searchParams) request.session[name] = JSON.parse(json);
      }
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ id: request.sessionID, session: request.session ?? null, held: held.length }));
    } catch (failure) {
      response.statusCode = 500;
      response.end(JSON.stringify({ error: String(failure) }));
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
