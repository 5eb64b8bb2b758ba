#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person's data is exported and erased beside a running server, also when the erasure is killed; the domain's users,
API keys and audit trail over HTTP; the demo's token. On the embedded default; needs no server."""
import json
import pathlib
import re
import signal
import sqlite3
import stat
import subprocess
import tempfile
import time

from harness import NETBUILD, EmbeddedServer, Failed, Json, free_port, say, until

CHECKS = 0
PASSWORD = "correct horse battery"
ADA, BOB = "Ada.Lovelace@example.org", "bob@example.org"


def check(what, condition, detail=""):
    global CHECKS
    CHECKS += 1
    if not condition:
        raise Failed(f"{what}: {str(detail)[:500]}")


class Server(EmbeddedServer):
    def __init__(self):
        super().__init__("privacy", SIMULATOR_RATE=20, SIMULATOR_INSTANCES=2, AUTH_FAILURES_FREE=3)

    def cli(self, *words, stdin="", code=0):
        done = self.run(*words, stdin=stdin)
        check(f"{' '.join(words)} exits with {code}", done.returncode == code, (done.returncode, done.stderr))
        return done.stdout

    def ask(self, method, path, token, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Authorization": f"Bearer {token}"}
        return self.api.request(method, path, body, headers)

    def done(self, method, path, token, body=None, **headers):
        status, answer, _ = self.ask(method, path, token, body, **headers)
        check(f"{method} {path}", status in (200, 201, 204), (status, answer))
        return answer

    def login(self, email):
        status, answer, _ = self.api.request("POST", "/v1/auth/login", {"email": email, "password": PASSWORD})
        check(f"{email} signs in", status == 200, answer)
        return answer["accessToken"]


def talk(server, ada, bob, ada_id):
    """Of both, with Ada named in what holds no author as well."""
    said = server.done("POST", "/v1/conversations", ada, {"domainId": "acme", "title": "Invoices", "metadata": {"owner": ada_id}})["id"]
    path = f"/v1/conversations/{said}/messages"
    first = server.done("POST", path, ada, {"role": "user", "text": "the first word", "clientMessageId": "c-1"})["id"]
    server.done("POST", path, bob, {"role": "user", "text": "an answer"})
    server.done("PUT", f"{path}/{first}", ada, {"text": "the last word", "metadata": {"cc": [ADA.upper()]}})
    for number in range(150):  # more than a page
        server.done("POST", path, ada, {"role": "user", "text": f"line {number}"})
    payment = server.done("POST", "/v1/payments", bob, {"domainId": "acme", "amount": 700, "currency": "EUR", "userId": ada_id},
                          Idempotency_Key="p-1")["id"]
    index = server.done("POST", "/v1/embeddings/indexes", bob,
                        {"domainId": "acme", "name": "talk", "model": "m", "dimension": 2, "metric": "l2"})["indexId"]
    server.done("POST", f"/v1/embeddings/indexes/{index}/vectors", bob, {"vectors": [
        {"vectorId": "v1", "source": f"message:{first}", "values": [1, 2]},
        {"vectorId": "v2", "source": "cv.pdf", "metadata": {"userId": ada_id}, "values": [2, 1]},
        {"vectorId": "v3", "source": "manual.pdf", "values": [5, 5]}]})
    return path, first, payment, index


def members(server, ada, ada_id, bob_id):
    made = server.done("POST", "/v1/domains/acme/api-keys", ada, {"name": "importer", "role": "service"})
    check("the key works", server.ask("GET", "/v1/tasks", made["key"])[0] == 200)
    listed = server.done("GET", "/v1/domains/acme/api-keys", ada)["items"]
    check("it is listed without its secret", [k["id"] for k in listed] == [made["id"]] and "key" not in listed[0], listed)
    server.done("DELETE", f"/v1/domains/acme/api-keys/{made['id']}", ada)
    check("and no more", server.ask("GET", "/v1/tasks", made["key"])[0] == 401)
    server.done("PUT", f"/v1/domains/acme/users/{bob_id}", ada, {"role": "viewer"})
    bob = server.login(BOB)
    check("a viewer is no admin", server.ask("GET", "/v1/domains/acme/audit", bob)[0] == 403)
    server.done("PUT", f"/v1/domains/acme/users/{bob_id}", ada, {"role": "admin"})
    check("nobody sets their own role", server.ask("PUT", f"/v1/domains/acme/users/{ada_id}", ada, {"role": "viewer"})[0] == 403)
    users = server.done("GET", "/v1/domains/acme/users", ada)["items"]
    check("users of the domain", [(u["email"], u["role"]) for u in users] == [(BOB, "admin")], users)
    server.done("PUT", "/v1/domains/acme", ada, {"name": "Acme", "status": "active"})
    actions = [entry["action"] for entry in server.done("GET", "/v1/domains/acme/audit", ada)["items"]]
    check("the trail", actions == ["domain.create", "role.set", "role.set", "api_key.revoke", "api_key.create", "role.set"], actions)
    for _ in range(4):
        status, _, headers = server.api.request("POST", "/v1/auth/login", {"email": "x@example.org", "password": "wrong password"})
    check("429 says when", status == 429 and int(headers["Retry-After"]) >= 1, (status, headers))


def exports(server, ada_id):
    document = json.loads(server.cli("user", "export", ADA))
    check("whose it is", document["user"]["email"] == ADA and "passwordHash" not in document["user"], document["user"])
    counts = document["counts"]
    check("all lists are as long as it says", all(len(document[name]) == count for name, count in counts.items()), counts)
    check("all is in it", (counts["messages"], counts["conversations"], counts["payments"], counts["embeddings"]) == (152, 1, 1, 2), counts)
    text = json.dumps(document)
    check("and nothing of others", "an answer" not in text and BOB not in text and "argon2" not in text)
    told = json.loads(server.cli("user", "export", ada_id, "--out", "ada.json", "--json"))
    file = server.folder / "ada.json"
    check("the file is the owner's", stat.S_IMODE(file.stat().st_mode) == 0o600, oct(file.stat().st_mode))
    check("and has the same", json.loads(file.read_text())["messages"] == document["messages"] and told["records"]["messages"] == 152, told)
    server.cli("user", "export", "nobody@example.org", code=1)
    server.cli("user", "export", ada_id, "--out", "no/such/folder/x.json", code=4)


def erases(server, ada_id):
    check("it is there before", any(b"lovelace" in file.read_bytes().lower() for file in server.folder.glob("records.sqlite*")))
    server.cli("user", "erase", ADA, stdin="no\n", code=2)
    killed = 0
    for step in range(40):
        process = subprocess.Popen([NETBUILD, "user", "erase", ada_id, "--yes", "--json"], env=server.environment, cwd=server.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, errors = process.communicate(timeout=0.01 * (step + 1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            continue
        check("the erasure ends", process.returncode == 0, errors)
        break
    check("it was killed before that", killed >= 1, killed)
    report = json.loads(server.cli("user", "erase", ada_id, "--yes", "--json"))
    check("nothing is left to do", report["status"] == "erased" and not any(report["records"].values()), report)
    check("nor in the store's files", report["remainsInFiles"] == "none", report)
    for file in server.folder.glob("records.sqlite*"):
        check(f"no address in {file.name}", b"lovelace" not in file.read_bytes().lower())
    return killed


def forgotten(server, ada, bob, ada_id, path, first, payment, index):
    until("the token is no longer good", lambda: server.ask("GET", "/v1/auth/me", ada)[0] == 401)
    status, _, _ = server.api.request("POST", "/v1/auth/login", {"email": ADA, "password": PASSWORD})
    check("nor is the password", status == 401, status)
    states = server.done("GET", f"{path}/{first}/history", bob)
    check("what was said is there", [s["text"] for s in states["items"]] == ["the first word", "the last word"], states)
    authors = {s[field] for s in states["items"] for field in ("author", "by")} | set(states["items"][1]["metadata"]["cc"])
    page = server.done("GET", f"{path}?limit=500", bob)["items"]
    authors |= {m["author"] for m in page if m["text"] != "an answer"}
    check("by one pseudonym", len(authors) == 1 and authors.pop().startswith("erased_"), authors)
    check("Bob's are Bob's", [m["author"] for m in page if m["text"] == "an answer"] == [server.done("GET", "/v1/auth/me", bob)["subject"]])
    check("the payment is as it was", server.done("GET", f"/v1/payments/{payment}", bob)["userId"] == ada_id)
    left = server.done("GET", f"/v1/embeddings/indexes/{index}/vectors", bob)["items"]
    check("vectors are gone", [v["vectorId"] for v in left] == ["v3"], left)
    found = server.done("POST", f"/v1/embeddings/indexes/{index}/search", bob, {"values": [1, 2], "k": 5})
    check("and are not found", [hit["vectorId"] for hit in found["items"]] == ["v3"], found)
    database = sqlite3.connect(f"file:{server.folder}/records.sqlite?mode=ro", uri=True)
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'").fetchall():
        for row in database.execute(f'SELECT * FROM "{table}"'):
            check(f"no address in {table}", b"lovelace" not in repr(row).encode().lower(), row)
    users = json.loads(server.cli("user", "list", "--json"))["items"]
    check("a tombstone", [set(u) for u in users if u["userId"] == ada_id] == [{"userId", "status", "createdAt", "erasedAt"}], users)


def demo():
    folder = tempfile.mkdtemp(prefix="netbuild-demo-")
    port = free_port()
    with open(pathlib.Path(folder) / "out", "wb") as out:
        process = subprocess.Popen([NETBUILD, "demo", "--auth", "token", "--port", str(port), "--folder", "data", "--instances", "3"],
                                   cwd=folder, stdout=out, stderr=subprocess.DEVNULL)
    try:
        def token():
            return re.search(r"auth='Authorization: Bearer (\S+)'", (pathlib.Path(folder) / "out").read_text())
        until("the demo prints a token", token)
        api = Json(f"http://127.0.0.1:{port}")

        def status(**headers):
            try:
                return api.request("GET", "/v1/sync", headers=headers)[0]
            except OSError:
                return None
        until("the demo serves", lambda: status() is not None)
        check("without the token nothing is told", status() == 401)
        check("with it all is", status(Authorization=f"Bearer {token()[1]}") == 200)
        check("and the lines to type have it", '-H "$auth" ' in (pathlib.Path(folder) / "out").read_text())
    finally:
        process.kill()
        process.wait()


def main():
    server = Server()
    try:
        ids = {}
        for email, role in ((ADA, ("--domain", "*", "--role", "owner")), (BOB, ("--domain", "acme", "--role", "member"))):
            ids[email] = json.loads(server.cli("user", "create", email, "--name", email[:3], "--password-stdin", "--json", *role,
                                               stdin=PASSWORD + "\n"))["userId"]
        server.start()
        ada = server.login(ADA)
        members(server, ada, ids[ADA], ids[BOB])
        bob = server.login(BOB)
        left = talk(server, ada, bob, ids[ADA])
        exports(server, ids[ADA])
        started = time.monotonic()
        killed = erases(server, ids[ADA])
        say(f"erased after {killed} kills in {time.monotonic() - started:.1f} s")
        forgotten(server, ada, bob, ids[ADA], *left)
        demo()
    finally:
        server.kill()
    say(f"{CHECKS} checks")


if __name__ == "__main__":
    main()
