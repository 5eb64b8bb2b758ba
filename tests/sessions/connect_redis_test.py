#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions that a Node service with express-session and connect-redis shares with NetBuild, in both directions, on Redis
servers of its own. Argument: `single` or `cluster`."""
import concurrent.futures
import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent / "e2e"), str(FOLDER.parent / "realtime")]
from cluster_test import Redis, check  # noqa: E402
from harness import EmbeddedServer, Failed, say, until  # noqa: E402

SECRETS = "the-newest-secret an-older-secret"
WAIT_S = 30


class Service:
    """The Node process; a browser is a cookie."""

    def __init__(self, redis):
        self.process = subprocess.Popen(["node", FOLDER / "node/service.mjs", *redis.urls], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        if not line.startswith("http://"):
            raise Failed("the Node service did not start")
        self.address = urllib.parse.urlsplit(line).netloc

    def ask(self, method, path, cookie=None):
        """The session, and the cookie as the browser has it afterwards."""
        connection = http.client.HTTPConnection(self.address, timeout=WAIT_S)
        connection.request(method, path, headers={"Cookie": f"connect.sid={cookie}"} if cookie else {})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise Failed(f"{method} {path}: {answer.status} {body}")
        given = answer.getheader("Set-Cookie")
        return body, given.split(";")[0].removeprefix("connect.sid=") if given else cookie

    def fields(self, cookie):
        body, _ = self.ask("GET", "/", cookie)
        return {name: value for name, value in body["session"].items() if name != "cookie"}

    def set(self, cookie=None, path="/set", **fields):
        return self.ask("POST", f"{path}?" + urllib.parse.urlencode({name: json.dumps(value) for name, value in fields.items()}), cookie)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Shared:
    def __init__(self, kind, folder):
        self.redis = Redis(3 if kind == "cluster" else 1, folder)
        self.service = Service(self.redis)
        self.server = EmbeddedServer("sessions", HTTP_AUTH="none", SESSIONS_FORMAT="connect-redis", REDIS_URL=self.redis.urls[0],
                                     SESSIONS_COOKIE_SECRET=SECRETS, SESSIONS_IDLE_TIMEOUT="10m")
        self.server.start()

    def ours(self, method, session, body=None, action="", statuses=(200, 201, 204)):
        """By cookie or id; percent-encoded already, as browsers have it."""
        status, answer, _ = self.server.api.request(method, f"/v1/sessions/{session}{action}", body)
        if status not in statuses:
            raise Failed(f"{method} {session}{action}: {status} {answer}")
        return answer

    def ttl(self, sid):
        port = self.redis.ports[0]
        flags = ["-c"] if self.redis.clustered else []
        return int(self.redis.cli(port, *flags, "ttl", f"sess:{sid}").splitlines()[-1])

    def redis_cli(self, *words):
        return self.redis.cli(self.redis.ports[0], *(["-c"] if self.redis.clustered else []), *words)

    def stop(self):
        self.server.stop()
        self.service.stop()
        self.redis.stop()


def node_makes_and_we_read_touch_and_change(shared):
    made, cookie = shared.service.set(userId="ada", cart=[{"sku": "ä", "n": 2, "price": 9.5}], empty=[], nothing={}, large=1e21)
    session = shared.ours("GET", cookie)
    check("what Node wrote", session["data"], {"userId": "ada", "cart": [{"sku": "ä", "n": 2, "price": 9.5}], "empty": [], "nothing": {}, "large": 1e21})
    check("whose it is", session["userId"], "ada")
    check("by the plain id", shared.ours("GET", made["id"])["handle"], session["handle"])
    # A read lets it live on, as Node's touch does.
    shared.redis_cli("expire", f"sess:{made['id']}", "100")
    shared.ours("GET", cookie)
    check("it lives as long as its cookie", shared.ttl(made["id"]) > 590, True)
    changed = shared.ours("PATCH", cookie, {"set": {"theme": "dark", "empty": None}, "expected": {"cart": session["data"]["cart"]}})
    check("what we answer", changed["data"]["theme"], "dark")
    check("what Node reads", shared.service.fields(cookie),
          {"userId": "ada", "cart": [{"sku": "ä", "n": 2, "price": 9.5}], "nothing": {}, "large": 1e21, "theme": "dark"})
    shared.ours("PATCH", cookie, {"set": {"x": 1}, "expected": {"theme": "light"}}, statuses=(409,))
    shared.ours("PATCH", cookie, {"set": {"cookie": {}}}, statuses=(400,))
    body, _ = shared.service.ask("GET", "/", cookie)
    # express-session computes it from the time that is left when it saves: a millisecond may be gone.
    kept = body["session"]["cookie"]
    check("the cookie's own fields stay", (600_000 - kept["originalMaxAge"] < 1000, kept["httpOnly"]), (True, True))


def we_make_and_node_reads_and_changes(shared):
    made = shared.server.api.send("POST", "/v1/sessions", {"userId": "bob", "data": {"cart": [1]}})
    cookie = urllib.parse.quote(made["cookie"], safe="")
    check("Node reads ours", shared.service.fields(cookie), {"cart": [1], "userId": "bob"})
    shared.service.set(cookie, theme="light")
    check("we read Node's change", shared.ours("GET", made["sessionId"])["data"], {"cart": [1], "userId": "bob", "theme": "light"})


def parallel_changes_lose_none(shared):
    _, cookie = shared.service.set(userId="ada")

    def change(i):
        status, answer, _ = type(shared.server.api)(shared.server.url).request(
            "PATCH", f"/v1/sessions/{cookie}", {"set": {f"field{i}": i}})
        return status if status != 200 else answer["data"][f"field{i}"]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        check("every change is answered", list(pool.map(change, range(48))), list(range(48)))
    check("Node has them all", shared.service.fields(cookie), {"userId": "ada", **{f"field{i}": i for i in range(48)}})


def what_we_revoke_node_does_not_bring_back(shared):
    made, cookie = shared.service.set(userId="ada", a=1)
    # A request that has read its session before it is revoked, and writes it whole afterwards.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(shared.service.set, cookie, "/slow", a=2)
        until("the slow request holds its session", lambda: shared.service.ask("GET", "/")[0]["held"] == 1)
        shared.ours("DELETE", cookie)
        check("Node sees none", shared.redis_cli("exists", f"sess:{made['id']}").split()[-1], "0")
        shared.service.ask("GET", "/release")
        slow.result(timeout=WAIT_S)
    check("Node has written it again", shared.redis_cli("exists", f"sess:{made['id']}").split()[-1], "1")
    shared.ours("GET", cookie, statuses=(404,))
    check("and our look at it has ended that", shared.redis_cli("exists", f"sess:{made['id']}").split()[-1], "0")
    shared.ours("PATCH", cookie, {"set": {"a": 3}}, statuses=(404,))
    fresh, _ = shared.service.ask("GET", "/", cookie)
    check("Node begins another one", fresh["id"] == made["id"], False)
    # Straight into Redis, while we write.
    shared.redis_cli("set", f"sess:{made['id']}", json.dumps({"cookie": {"originalMaxAge": 600_000}, "a": 4}), "EX", "600")
    shared.ours("PATCH", cookie, {"set": {"a": 5}}, statuses=(404,))
    shared.ours("POST", cookie, {}, "/rotate", statuses=(404,))


def rotated_and_ended_by_node(shared):
    _, cookie = shared.service.set(cart=[1])
    moved = shared.ours("POST", cookie, {"userId": "carol"}, "/rotate")
    shared.ours("GET", cookie, statuses=(404,))
    check("Node reads the rotated one", shared.service.fields(urllib.parse.quote(moved["cookie"], safe="")), {"cart": [1], "userId": "carol"})
    body, other = shared.service.ask("POST", "/regenerate", urllib.parse.quote(moved["cookie"], safe=""))
    shared.ours("GET", moved["sessionId"], statuses=(404,))
    check("we read what Node rotated", shared.ours("GET", other)["data"], {"userId": "ada"})
    shared.service.ask("POST", "/destroy", other)
    shared.ours("GET", body["id"], statuses=(404,))


def a_users_sessions(shared):
    cookies = [shared.service.set(userId="dora", i=i)[1] for i in range(7)]
    _, others = shared.service.set(userId="eve")
    shared.redis_cli("set", "sess:foreign", "no JSON")
    listed = shared.server.api.get("/v1/sessions?userId=dora")["items"]
    check("all of them", sorted(each["data"]["i"] for each in listed), list(range(7)))
    shared.ours("DELETE", listed[0]["handle"])
    check("revoked", shared.server.api.send("DELETE", "/v1/sessions?userId=dora"), {"revoked": 6})
    for cookie in cookies:
        check("Node sees none", shared.service.ask("GET", "/", cookie)[0]["session"].get("userId"), None)
    check("another user's stays", shared.service.fields(others)["userId"], "eve")
    check("what is no session stays", shared.redis_cli("get", "sess:foreign").split()[-1], "JSON")
    shared.ours("GET", "foreign", statuses=(422,))


def forged_cookies(shared):
    made, cookie = shared.service.set(userId="ada")
    for forged in (f"s%3A{made['id']}", f"s%3A{made['id']}.AAAA", cookie[:-1] + ("A" if cookie[-1] != "A" else "B"), "s%3A", "..%2F..", "%7Bx%7D", "a" * 201):
        shared.ours("GET", forged, statuses=(404,))
    check("nothing of them is in the log", made["id"] in shared.server.log(), False)


def main():
    with tempfile.TemporaryDirectory(prefix="netbuild-sessions-") as folder:
        shared = Shared(sys.argv[1], pathlib.Path(folder))
        try:
            for case in (node_makes_and_we_read_touch_and_change, we_make_and_node_reads_and_changes, parallel_changes_lose_none,
                         what_we_revoke_node_does_not_bring_back, rotated_and_ended_by_node, a_users_sessions, forged_cookies):
                began = time.monotonic()
                case(shared)
                say(f"  {case.__name__}: {time.monotonic() - began:.1f} s")
        finally:
            shared.stop()
    say(f"{sys.argv[1]}: ok")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
