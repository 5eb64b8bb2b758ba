#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rate limits of the product: by user, by address behind a proxy, at sign-in; asked for by a service; shared by two
servers on one Redis, and what happens when that is killed. Needs no server but its own."""
import json
import shutil
import socket

from harness import EmbeddedServer, Failed, OwnRedis, say, until

POLICIES = """
  api      5/1h  by=user on=/v1/tasks
  address  50/1h by=ip   on=/v1
  sign-in  2/1h  by=ip   on=POST:/v1/auth/login closed
  reports  3/1h
"""


def check(what, condition, detail=""):
    if not condition:
        raise Failed(f"{what}: {str(detail)[:500]}")


class Server(EmbeddedServer):
    def __init__(self, *arguments, **settings):
        super().__init__("limits", *arguments, SIMULATOR_RATE=5, SIMULATOR_INSTANCES=2, RATELIMIT_POLICIES=POLICIES,
                         RATELIMIT_TRUSTED_PROXIES="127.0.0.1", **settings)

    def token(self, role="service"):
        done = self.run("token", "--domain", "*", "--role", role, "--json")
        check("a token is signed", done.returncode == 0, done.stderr)
        return json.loads(done.stdout)["token"]

    def ask(self, method, path, token="", body=None, address=None):
        headers = {"X-Forwarded-For": address} if address else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.api.request(method, path, body, headers)


def own_routes(server):
    token = server.token()
    for left in (4, 3, 2, 1, 0):
        status, _, headers = server.ask("GET", "/v1/tasks", token)
        check("a request within the limit", status == 200, status)
        check("what is left", f'"api";r={left};t=' in headers["RateLimit"], headers)
    status, body, headers = server.ask("GET", "/v1/tasks", token)
    check("one over it", status == 429 and body["code"] == "rate_limited", (status, body))
    check("when to come back", 0 < int(headers["Retry-After"]) <= 720, headers)
    check("the policies", headers["RateLimit-Policy"] == '"api";q=5;w=3600, "address";q=50;w=3600', headers)
    check("others are not in the way", server.ask("GET", "/v1/executions", token)[0] == 200)

    # Behind a proxy each client has its own; what a client makes up stands left of what the proxy saw.
    for made_up in range(2):
        status, _, _ = server.ask("POST", "/v1/auth/login", body={"email": f"a{made_up}@example.org", "password": "x" * 12},
                                  address=f"203.0.113.{made_up}, 198.51.100.1")
        check("a wrong password", status == 401, status)
    login = {"email": "b@example.org", "password": "x" * 12}
    check("a third one of the address", server.ask("POST", "/v1/auth/login", body=login, address="198.51.100.1")[0] == 429)
    check("another address", server.ask("POST", "/v1/auth/login", body=login, address="198.51.100.2")[0] == 401)
    # Two header lines are one list.
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n"
                    b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n{}")
        check("a header of two lines", raw.recv(100).startswith(b"HTTP/1.1 429"))

    _, text, _ = server.ask("GET", "/metrics", server.token("viewer"))
    check("they are counted", b'netbuild_ratelimit_denied_total{policy="api"} 1' in text, text)
    say("  routes, addresses, sign-in, metrics")


def services(first, second):
    """Two servers count together."""
    tokens = {server: server.token("admin") for server in (first, second)}

    def post(server, action, body):
        status, answer, _ = server.ask("POST", f"/v1/ratelimit:{action}", tokens[server], body)
        check(f"{action}", status in (200, 204), (status, answer))
        return answer
    checks = {"checks": [{"policy": "reports", "key": ["usr_1"]}, {"policy": "own", "key": ["usr_1"], "limit": 9, "periodMs": 3600000}]}
    for number, server in enumerate((first, second, first)):
        check("counted together", post(server, "check", checks)["limits"][0]["remaining"] == 2 - number)
    denied = post(second, "check", checks)
    check("denied by one of them", not denied["allowed"] and denied["deniedBy"] == "reports", denied)
    check("the other one is not charged", denied["limits"][1]["remaining"] == 6, denied)
    check("known to be denied", post(second, "check", checks)["source"] == "local")
    key = {"policy": "reports", "key": ["usr_1"]}
    post(second, "unblock", key)
    check("begins anew", post(first, "check", checks)["allowed"])
    post(first, "block", {**key, "forMs": 60000})
    check("blocked for both", 50_000 < post(second, "check", checks)["retryAfterMs"] <= 60_000)
    say("  services, two servers on one Redis")


def without_redis(server, token):
    login = {"email": "c@example.org", "password": "x" * 12}
    status, body, headers = server.ask("POST", "/v1/auth/login", body=login, address="198.51.100.9")
    check("a policy that fails closed", status == 503 and body["code"] == "unavailable", (status, body))
    check("when to try again", headers["Retry-After"] == "1", headers)
    for _ in range(6):
        check("one that fails open", server.ask("GET", "/v1/executions", token)[0] == 200)
    say("  without Redis")


def main():
    servers, redis = [Server()], OwnRedis("--save", "")
    try:
        servers[0].start()
        own_routes(servers[0])
        redis.start()
        servers += [Server(*roles, REDIS_URL=redis.url) for roles in ((), ("--roles", "api"))]
        for server in servers[1:]:
            server.start()
        own_routes(servers[1])
        services(*servers[1:])
        token = servers[2].token()
        redis.kill()
        until("Redis is gone", lambda: servers[2].ask("POST", "/v1/ratelimit:peek", token, {"checks": [{"policy": "reports"}]})[1][
            "source"] == "failed_open")
        without_redis(servers[2], token)
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
        redis.close()


if __name__ == "__main__":
    main()
