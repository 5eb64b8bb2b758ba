#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payments and task snapshots against a running server on the embedded default: the same key gives the same
bytes, also after kill -9; a card number comes in nowhere and stands in no log; the hashes that HTTP shows are
those that Python computes; verify finds what was done in the store's file. Needs no server."""
import concurrent.futures
import hashlib
import http.client
import json
import sqlite3
import sys

from harness import EmbeddedServer, Failed, say, until

CHECKS = 0
CARD = "4111 1111 1111 1111"


def check(what, condition, detail=""):
    global CHECKS
    CHECKS += 1
    if not condition:
        raise Failed(f"{what}: {str(detail)[:500]}")


class Server(EmbeddedServer):
    def __init__(self):
        super().__init__("own-data", SIMULATOR_RATE=20, SIMULATOR_INSTANCES=40, HTTP_AUTH="none", LOG_LEVEL="debug")

    def raw(self, path, body, key):
        """Status and bytes of a POST, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    def cli(self, *words):
        done = self.run(*words, "--json")
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def as_described(server, name, value):
    """The members that the API file requires and names."""
    schemas = server.api.get("/openapi.json")["components"]["schemas"]
    parts = [schemas[name]]
    while any("allOf" in part or "$ref" in part for part in parts):
        parts = [inner for part in parts for inner in
                 (part.get("allOf") or ([schemas[part["$ref"].rsplit("/", 1)[1]]] if "$ref" in part else [part]))]
    required = {field for part in parts for field in part.get("required", [])}
    check(f"{name} has all that it must", required and required <= set(value), (required, value))
    types = {"integer": int, "string": str, "object": dict}
    for part in parts:
        for field, rule in part["properties"].items():
            if field in value and isinstance(rule.get("type"), str) and rule["type"] in types:
                check(f"{name}.{field} is {rule['type']}", isinstance(value[field], types[rule["type"]]), value[field])


def payments(server):
    new = {"domainId": "acme", "amount": 1050, "currency": "EUR", "metadata": {"cart": ["a", {"n": 1}]}}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(lambda _: server.raw("/v1/payments", new, "create-1"), range(32)))
    check("32 retries at a time get one answer", len(answers) == 1, answers)
    status, created = answers.pop()
    payment = json.loads(created)
    check("201 with the payment", status == 201 and payment["status"] == "created" and payment["exponent"] == 2, created)
    path = f"/v1/payments/{payment['id']}"
    as_described(server, "Payment", payment)
    told = [("/v1/payments", new, "create-1", created)]
    for action, body, expected in [("capture", {}, 409), ("authorize", {}, 200), ("capture", {"amount": 1000}, 200),
                                   ("refund", {"amount": 250, "reason": "late"}, 200), ("refund", {"amount": 751}, 400),
                                   ("refund", {}, 200), ("cancel", {}, 409)]:
        key = f"{action}-{len(told)}"
        status, answer = server.raw(f"{path}/{action}", body, key)
        check(f"{action} is {expected}", status == expected, answer)
        if status != 400:
            told.append((f"{path}/{action}", body, key, answer))
    status, answer = server.raw("/v1/payments", {**new, "amount": 1}, "create-1")
    check("the key with another body is 409", status == 409, answer)
    shown = server.api.get(path)
    check("balances", [shown[k] for k in ("status", "authorized", "captured", "refunded")] == ["refunded", 1050, 1000, 1000], shown)
    events = server.api.get(f"{path}/events")["items"]
    check("events", [(e["action"], e["amount"]) for e in events] ==
          [("create", 1050), ("authorize", 1050), ("capture", 1000), ("refund", 250), ("refund", 750)], events)
    check("in its domain's list", server.api.get("/v1/payments?domainId=acme&status=refunded")["items"] == [shown])
    server.kill()
    server.start()
    for path, body, key, answer in told:
        check(f"{key}: the same bytes after kill -9", server.raw(path, body, key)[1] == answer, answer)
    return shown["id"]


def refusals(server):
    good = {"domainId": "acme", "amount": 5, "currency": "EUR"}
    for more, field in [({"amount": 0}, "amount"), ({"amount": 1.5}, "amount"), ({"amount": "5"}, "amount"), ({"amount": 10**12}, "amount"),
                        ({"currency": "XXX"}, "currency"), ({"currency": "eur"}, "currency"), ({"exponent": 3}, "exponent"),
                        ({"status": "captured"}, "status"), ({"captured": 5}, "captured"), ({"color": 1}, "color"),
                        ({"metadata": {"$where": 1}}, "metadata.$where"), ({"metadata": []}, "metadata"), ({"domainId": ""}, "domainId"),
                        ({"description": CARD}, "description"), ({"metadata": {"a": [{"pan": CARD.replace(" ", "-")}]}}, "metadata.a[0].pan"),
                        ({"metadata": {"n": int(CARD.replace(" ", ""))}}, "metadata.n"), ({"metadata": {CARD: 1}}, "metadata"),
                        ({"unknown": CARD}, "unknown"), ({"reference": "x" + CARD.replace(" ", "\u00a0")}, "reference")]:
        status, answer = server.raw("/v1/payments", {**good, **more}, "refused")
        problem = json.loads(answer)
        check(f"{more} is 400", status == 400 and problem["code"] == "invalid_argument", answer)
        check(f"and names {field}", problem["field"] == field, answer)
        check("and says nothing of the number", b"4111" not in answer, answer)
    for key in (None, "a b", "x" * 256, CARD.replace(" ", "")):
        status, answer = server.raw("/v1/payments", good, key)
        check(f"key {key} is 400", status == 400 and json.loads(answer)["field"] == "Idempotency-Key" and b"4111" not in answer, answer)
    for path in ("/v1/payments?status=open", "/v1/payments?color=x", "/v1/payments?cursor=x", "/v1/snapshots?limit=0", "/v1/snapshots?x=1"):
        check(f"{path} is 400", server.api.request("GET", path)[0] == 400)
    status, body, _ = server.api.request("GET", "/v1/payments/" + CARD.replace(" ", ""))
    check("a card number as an id is not told again", status == 404 and "4111" not in body["detail"], body)
    for path in ("/v1/payments/none", "/v1/payments/none/events", "/v1/snapshots/none"):
        check(f"{path} is 404", server.api.request("GET", path)[0] == 404)
    check("an action on none is 404", server.raw("/v1/payments/none/capture", {}, "k")[0] == 404)
    check("a snapshot of none is 404", server.raw("/v1/tasks/none/snapshots", {}, "k")[0] == 404)
    check("nothing of it was kept", len(server.api.get("/v1/payments")["items"]) == 1)
    check("and none is in the log", "4111" not in server.log())
    for file in server.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            check(f"nor in {file.name}", b"4111 1111" not in content and b"4111111111111111" not in content)


def canonical(value):
    """RFC 8785 for what the simulator has: keys of ASCII, and numbers that Python prints like ECMAScript."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def snapshots(server):
    def completed():
        return sum(len(server.api.get(f"/v1/tasks?status=completed&limit=500")["items"]) for _ in range(1))
    until("the orders are done", lambda: completed() >= 30)

    def all_taken():
        return len(server.api.get("/v1/snapshots?limit=500")["items"]) >= completed()
    until("every completed task has its snapshot", all_taken)
    task = server.api.get("/v1/tasks?status=completed&limit=1")["items"][0]
    task_id = task["id"] if "id" in task else task["taskId"]
    status, taken = server.raw(f"/v1/tasks/{task_id}/snapshots", {}, "snap-1")
    check("one on demand", status == 201, taken)
    check("once a key", server.raw(f"/v1/tasks/{task_id}/snapshots", {}, "snap-1")[1] == taken)
    of_task = server.api.get(f"/v1/snapshots?taskId={task_id}")["items"]
    check("the task has two", [s["content"]["reason"] for s in of_task] == ["requested", "completed"], of_task)
    as_described(server, "SnapshotPlace", json.loads(taken))
    items = server.api.get("/v1/snapshots?limit=500")["items"]
    as_described(server, "Snapshot", server.api.get(f"/v1/snapshots/{items[0]['id']}"))
    before, chains = "0" * 64, {}
    for one in sorted(items, key=lambda s: s["sequence"]):
        check("content hash", hashlib.sha256(canonical(one["content"])).hexdigest() == one["contentHash"], one)
        place = {k: v for k, v in one.items() if k not in ("content", "hash")}
        check("link hash", hashlib.sha256(canonical(place)).hexdigest() == one["hash"], one)
        check("of the one before it", one["previousInAll"] == before, one)
        number, hash_ = chains.get(one["chain"], (0, "0" * 64))
        check("in its chain", (one["number"], one["previousHash"]) == (number + 1, hash_), one)
        chains[one["chain"]], before = (one["number"], one["hash"]), one["hash"]
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        check(f"{method} does not exist", server.api.request(method, f"/v1/snapshots/{items[0]['id']}", body={})[0] == 405)
    return items


def verifies(server, payment, items):
    code, report, errors = server.cli("verify", "payments")
    check("payments are as they should be", code == 0 and report["payments"] == 1 and report["events"] == 5, (report, errors))
    code, report, errors = server.cli("verify", "snapshots")
    check("snapshots are, too", code == 0 and report["snapshots"] >= len(items), (report, errors))
    server.kill()
    with sqlite3.connect(server.folder / "records.sqlite") as database:
        database.execute("DELETE FROM task_snapshots WHERE sequence = 7")
        database.execute("DELETE FROM payment_events WHERE paymentId = ? AND number = 5", (payment,))
    code, report, _ = server.cli("verify", "payments")
    check("a removed event is found", code == 5 and report["faults"][0]["paymentId"] == payment, report)
    code, report, errors = server.cli("verify", "snapshots")
    check("a removed snapshot is found", code == 5 and report["firstBroken"]["sequence"] == 7, report)
    check("and named for people", "snapshot 7" in errors, errors)


def main():
    server = Server()
    try:
        server.start()
        payment = payments(server)
        refusals(server)
        verifies(server, payment, snapshots(server))
    finally:
        server.kill()
        sys.stderr.write(server.log()[-1500:])
    say(f"{CHECKS} checks")


if __name__ == "__main__":
    main()
