#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services with mongoose write into the collections that NetBuild shares with them: ids are ObjectIds, there is `__v`, and
timestamps, subdocuments with ids of their own, amounts as Decimal128. The validators of `netbuild schema apply` let them in
(the server enforces them, and a check of the test's own says the same), hold NetBuild's own records to their declaration,
change capture tells of them; the API shows those of the declared form, without members of their own, and the others are not
there. A person is erased beside them. On the MongoDB server of the tests' stack."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from harness import NETBUILD, ROOT, Failed, Json, free_port, say, stack_up, until
from own_data_events_test import Reader, answers, check, serve, token

PYTHON = ROOT / ".deps/venv/bin/python"
try:
    import bson
    import pymongo
except ImportError:  # they come with the MongoDB server
    if sys.executable == str(PYTHON):
        raise
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
import datetime

NOW = datetime.datetime(2026, 11, 30, 12, 0, 0, 123000, tzinfo=datetime.timezone.utc)


def written_by_mongoose():
    """(collection, document): what `new Model({…}).save()` sends with { timestamps: true }; two of a conversation's messages,
    which lack what orders ours. A rich one and a bare one each."""
    def made(**fields):
        return {"_id": bson.ObjectId(), **fields, "createdAt": NOW, "updatedAt": NOW, "__v": 0}
    conversation = made(domainId="acme", title="Order 7", participants=[bson.ObjectId(), bson.ObjectId()], executionId="order-7")
    yield "conversations", conversation
    yield "conversations", made(domainId="acme", title="Order 8", createdBy="carol", mood="good")  # of our form, with more
    for text in ("first", "second"):
        yield "messages", made(conversationId=str(conversation["_id"]), domainId="acme", sender=bson.ObjectId(), role="customer", text=text,
                               attachments=[{"_id": bson.ObjectId(), "name": "a.pdf", "size": 5}], readBy=bson.Regex("^a"))
    yield "users", made(email="Carol@example.org", password="$2b$10$", domains=[bson.ObjectId()], profile={"_id": bson.ObjectId(), "age": 44.5})
    yield "domains", made(name="Acme", config={"theme": "dark", "limits": {"seats": 5}}, domainId="acme")
    yield "payments", made(domainId="acme", amount=bson.Decimal128("10.50"), currency="eur", status="paid", userId=bson.ObjectId(), items=[])
    yield "payments", made(domainId="acme", amount=10.5, currency="EUR", status="created", paidAt=None)
    yield "task_snapshots", made(domainId="acme", taskId="t", processInstanceId="p", snapshot={"name": "Approve", "variables": {"a": 1}})
    yield "ai_contexts", made(domainId="acme", conversationId=conversation["_id"], context=[{"role": "system", "content": "x"}])
    yield "embeddings", made(domainId="acme", documentId=bson.ObjectId(), faissIndex=3, vector=[0.5, 0.25])
    for shared in ("conversations", "messages", "users", "domains", "payments", "task_snapshots", "ai_contexts", "embeddings"):
        yield shared, {"_id": bson.ObjectId(), "__v": 0}


BSON_TYPES = {"object": dict, "array": list, "string": str, "bool": bool, "double": float, "long": bson.Int64, "date": datetime.datetime,
              "objectId": bson.ObjectId, "binData": bytes, "decimal": bson.Decimal128}


def is_of(kind, value):
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, (bool, bson.Int64))
    return isinstance(value, BSON_TYPES[kind])


def satisfies(schema, value):
    """MongoDB's $jsonSchema, as far as NetBuild's validators use it. A keyword that is not here is a mistake of the test."""
    for keyword, wanted in schema.items():
        if keyword == "bsonType":
            good = any(is_of(kind, value) for kind in ([wanted] if isinstance(wanted, str) else wanted))
        elif keyword == "enum":
            good = value in wanted
        elif keyword == "required":
            good = not isinstance(value, dict) or all(name in value for name in wanted)
        elif keyword == "properties":
            good = not isinstance(value, dict) or all(satisfies(wanted[name], value[name]) for name in wanted if name in value)
        elif keyword == "items":
            good = not isinstance(value, list) or all(satisfies(wanted, one) for one in value)
        elif keyword == "anyOf":
            good = any(satisfies(one, value) for one in wanted)
        elif keyword == "not":
            good = not satisfies(wanted, value)
        else:
            raise Failed(f"the validators use {keyword}, which the test does not know")
        if not good:
            return False
    return True


class Run:
    def __init__(self):
        stack, name = stack_up(), f"foreign_{time.time_ns() // 1000000}"
        self.uri = f'{stack["mongodb"].rsplit("/", 1)[0]}/{name}'
        self.servers = {"MONGODB_URI": self.uri, "NETBUILD_ENGINE_NAME": name}
        self.folder, self.port = tempfile.mkdtemp(prefix="netbuild-foreign-"), free_port()
        self.database = pymongo.MongoClient(self.uri).get_default_database()
        self.api = Json(f"http://127.0.0.1:{self.port}")

    def cli(self, *words):
        environment = {"PATH": os.environ["PATH"], "NETBUILD_STORE_PATH": self.folder} | self.servers
        done = subprocess.run([NETBUILD, *words, "--json"], env=environment, cwd=self.folder, capture_output=True, text=True, timeout=60)
        check(" ".join(words), done.returncode == 0, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def apply_schema(self):
        first, second = self.cli("schema", "apply"), self.cli("schema", "apply")
        changes = [next(value for value in one.values() if isinstance(value, list)) for one in (first, second)]
        check("applied twice it changes nothing the second time", len(changes[0]) > 30 and changes[1] == [], (first, second))

    def validators(self):
        return {one["name"]: one["options"]["validator"]["$jsonSchema"]
                for one in self.database.list_collections() if "validator" in one.get("options", {})}

    def write_foreign(self):
        validators, ids = self.validators(), {}
        for collection, document in written_by_mongoose():
            check(f"{collection}'s validator lets it in", satisfies(validators[collection], document), document)
            try:
                self.database[collection].insert_one(document)
            except pymongo.errors.PyMongoError as error:
                raise Failed(f"{collection}: {error}") from None
            ids.setdefault(collection, []).append(str(document["_id"]))
        return ids

    def refuse_damaged(self):
        """What says that it is NetBuild's has to be."""
        validator = self.validators()["payments"]
        mine = self.database.payments.find_one({"_id": self.payment})
        check("ours is good", satisfies(validator, mine), mine)
        for change in ({"amount": "10.50"}, {"status": "paid"}, {"createdAt": "yesterday"}):
            check(f"{change} is refused", not satisfies(validator, mine | change), change)
            try:
                self.database.payments.update_one({"_id": self.payment}, {"$set": change})
            except pymongo.errors.WriteError:
                continue
            raise Failed(f"the server took {change}")

    def serves(self, bearer):
        def get(path, allowed=(200,)):
            status, answer, _ = self.api.request("GET", path, headers=bearer)
            check(f"GET {path}", status in allowed, (status, answer))
            return answer
        ids = self.ids
        for path in ("/v1/payments", "/v1/conversations", "/v1/domains", "/v1/snapshots", "/v1/embeddings/indexes",
                     "/v1/payments?status=created", "/v1/conversations?executionId=order-7"):
            found, cursor = [], ""
            while cursor is not None:
                page = get(path + ("&" if "?" in path else "?") + "limit=1" + (f"&cursor={cursor}" if cursor else ""))
                found += page["items"]
                cursor = page["nextCursor"]
            check(f"{path} has ours", path != "/v1/payments" or self.payment in [one["id"] for one in found], found)
        other_form, our_form = ids["conversations"][:2]
        for path in (f"/v1/payments/{ids['payments'][0]}", f"/v1/conversations/{other_form}", f"/v1/conversations/{other_form}/messages",
                     f"/v1/snapshots/{ids['task_snapshots'][0]}", f"/v1/domains/{ids['domains'][0]}",
                     f"/v1/conversations/{other_form}/ai-context"):
            get(path, (404,))
        shown = get(f"/v1/conversations/{our_form}")
        check("what is of our form is shown as declared", shown == {
            "id": our_form, "version": 0, "domainId": "acme", "title": "Order 8", "createdBy": "carol",
            "createdAt": "2026-11-30T12:00:00.123Z", "updatedAt": "2026-11-30T12:00:00.123Z"}, shown)
        check("and is in the list", our_form in [one["id"] for one in get("/v1/conversations")["items"]])

    def erases(self):
        """Walks all collections, with other programs' records in each."""
        created = self.cli("user", "create", "ada@example.org")
        report = self.cli("user", "erase", created["userId"], "--yes")
        check("a person is erased", (report["status"], report["remainsInFiles"]) == ("erased", "the server's"), report)


def main():
    run = Run()
    run.apply_schema()
    log = open(pathlib.Path(run.folder) / "log", "wb")
    process = serve(run.folder, run.port, log, run.servers)
    try:
        until("the server answers", lambda: answers(run.api))
        bearer = token(run.folder, "*", run.servers)
        run.payment = run.api.send("POST", "/v1/payments", {"domainId": "acme", "amount": 1050, "currency": "EUR"},
                                   bearer | {"Idempotency-Key": "k"})["id"]
        reader = Reader(run.port, bearer)
        run.ids = run.write_foreign()
        told = {"conversations": "conversation", "messages": "message", "payments": "payment", "domains": "domain", "ai_contexts": "aiContext"}
        wanted = {(f"{subject}:created", id_) for collection, subject in told.items() for id_ in run.ids[collection]}

        def seen():
            return {(type_, data["id"]) for _, type_, data in reader.found}
        until("change capture tells of them", lambda: wanted <= seen())
        run.refuse_damaged()
        run.serves(bearer)
        run.erases()
        errors = [line for line in (pathlib.Path(run.folder) / "log").read_text().splitlines() if " error " in line]
        check("the server logged no error", process.poll() is None and not errors, errors)
    finally:
        process.kill()
        process.wait()
        sys.stderr.write((pathlib.Path(run.folder) / "log").read_text()[-1500:])
    say(f"{sum(map(len, run.ids.values()))} documents as mongoose writes them were let in, told and read around")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
