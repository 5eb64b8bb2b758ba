#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two servers share NetBuild's own sessions over a Redis: what one makes the other reads, changes and ends; a Redis that
ends is said so, and back it is used again. No id is in a log or in Redis."""
import pathlib
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent / "e2e"), str(FOLDER.parent / "realtime")]
from cluster_test import Redis, check  # noqa: E402
from harness import EmbeddedServer, Failed, say, until  # noqa: E402


def share(one, other, redis):
    made = one.api.send("POST", "/v1/sessions", {"userId": "ada", "data": {"cart": [1]}})
    path = "/v1/sessions/" + made["sessionId"]
    check("what one made", other.api.get(path)["data"], {"cart": [1]})
    other.api.send("PATCH", path, {"set": {"theme": "dark"}})
    check("what the other changed", one.api.get(path)["data"], {"cart": [1], "theme": "dark"})
    moved = other.api.send("POST", path + "/rotate", {})
    check("the old id at the one", one.api.request("GET", path)[0], 404)
    check("the list of the one", [each["handle"] for each in one.api.get("/v1/sessions?userId=ada")["items"]], [moved["handle"]])
    check("revoked", one.api.send("DELETE", "/v1/sessions?userId=ada"), {"revoked": 1})
    check("the new id at the other", other.api.request("GET", "/v1/sessions/" + moved["sessionId"])[0], 404)
    for session in (made, moved):
        for server in (one, other):
            check("an id in the log", session["sessionId"] in server.log(), False)
    check("keys", [key for key in redis.cli(redis.ports[0], "keys", "*").split() if made["sessionId"] in key or moved["sessionId"] in key], [])
    metrics = one.api.request("GET", "/metrics")[1].decode()
    for line in ("netbuild_sessions_created_total 1", "netbuild_sessions_revoked_total 1"):
        if line not in metrics.splitlines():
            raise Failed(f"{line} is not in the metrics")


def lose_redis(one, redis):
    made = one.api.send("POST", "/v1/sessions", {})
    redis.stop()
    status, problem, _ = one.api.request("GET", "/v1/sessions/" + made["sessionId"])
    check("without Redis", (status, problem["code"] in ("unavailable", "outcome_unknown")), (503, True))
    check("and no secret is in the answer", made["sessionId"] in str(problem), False)
    redis.processes = [redis.start(port) for port in redis.ports]
    # A server without a file has forgotten all sessions.
    until("sessions are made again", lambda: one.api.request("POST", "/v1/sessions", {})[0] == 201)
    check("a forgotten session", one.api.request("GET", "/v1/sessions/" + made["sessionId"])[0], 404)


def main():
    with tempfile.TemporaryDirectory(prefix="netbuild-sessions-") as folder:
        redis = Redis(1, pathlib.Path(folder))
        servers = [EmbeddedServer(f"sessions-{i}", HTTP_AUTH="none", REDIS_URL=redis.urls[0]) for i in range(2)]
        try:
            for server in servers:
                server.start()
            share(*servers, redis)
            lose_redis(servers[0], redis)
        finally:
            for server in servers:
                server.stop()
            redis.stop()
    say("two servers: ok")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
