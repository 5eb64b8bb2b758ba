#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Changes of NetBuild's own data as events, on the embedded default with tokens: who belongs to the domain sees them, who does
not sees none; a reader resumes after a kill -9 of the server and has each event once.

  own_data_events_test.py [--servers]     MongoDB and Redis of the tests' stack; a program with its own driver writes, too
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from harness import NETBUILD, ROOT, Failed, Json, free_port, say, stack_up, until


def serve(folder, port, log, servers):
    environment = {"PATH": os.environ["PATH"], "NETBUILD_HTTP_PORT": str(port), "NETBUILD_STORE_PATH": folder,
                   "NETBUILD_SIMULATOR_RATE": "1", "NETBUILD_HTTP_AUTH": "token"} | servers
    return subprocess.Popen([NETBUILD, "serve"], env=environment, cwd=folder, stdout=log, stderr=log)


def answers(api):
    try:
        return api.request("GET", "/healthz")[0] == 200
    except OSError:
        return False


def token(folder, domain, servers):
    environment = {"PATH": os.environ["PATH"], "NETBUILD_STORE_PATH": folder} | servers
    done = subprocess.run([NETBUILD, "token", "--domain", domain, "--role", "member", "--json"], env=environment, cwd=folder,
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"token: {done.stderr[-500:]}")
    return {"Authorization": "Bearer " + json.loads(done.stdout)["token"]}


class Reader(threading.Thread):
    """Events of NetBuild's own data that a token sees: (id, type, data). Task snapshots come by themselves and are left out."""

    def __init__(self, port, bearer, last='engine="0-0", documents="0-0"'):
        super().__init__(daemon=True)
        headers = bearer | {"Last-Event-ID": last}
        self.request, self.found = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events", headers=headers), []
        self.stream = urllib.request.urlopen(self.request, timeout=60)
        self.start()

    def run(self):
        try:
            fields = {}
            for line in self.stream:
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key:
                    fields[key] = value
                    continue
                if "data" in fields:
                    data = json.loads(fields["data"])
                    if data["source"] == "documents" and not data["type"].startswith("snapshot:"):
                        self.found.append((fields["id"], fields["event"], data))
                fields = {}
        except OSError:
            pass

    def types(self):
        return [type_ for _, type_, _ in self.found]


def write_in(api, bearer, domain):
    """A conversation with a message that is edited, and a payment."""
    conversation = api.send("POST", "/v1/conversations", {"domainId": domain, "executionId": "order-7"}, bearer)["id"]
    messages = f"/v1/conversations/{conversation}/messages"
    message = api.send("POST", messages, {"role": "user", "text": "a secret"}, bearer)["id"]
    api.send("PUT", f"{messages}/{message}", {"text": "another secret"}, bearer)
    payment = api.send("POST", "/v1/payments", {"domainId": domain, "amount": 4711, "currency": "EUR", "description": "a secret"},
                       bearer | {"Idempotency-Key": f"{domain}-1"})["id"]
    return conversation, message, payment


EXPECTED = ["conversation:created", "message:created", "message:updated", "payment:created"]


def check(what, condition, detail=""):
    if not condition:
        raise Failed(f"{what}: {str(detail)[:800]}")


def domains_apart(api, port, acme, other):
    readers = {"acme": Reader(port, acme), "other": Reader(port, other)}
    conversation, message, payment = write_in(api, acme, "acme")
    until("the domain sees its events", lambda: len(readers["acme"].found) >= 4)
    check("in order", readers["acme"].types() == EXPECTED, readers["acme"].found)
    write_in(api, other, "other")
    until("the other domain sees its own", lambda: len(readers["other"].found) >= 4)
    check("and no other's", readers["other"].types() == EXPECTED and
          {data["domainId"] for *_, data in readers["other"].found} == {"other"}, readers["other"].found)
    told = [data for *_, data in readers["acme"].found]
    check("domain", {data["domainId"] for data in told} == {"acme"}, told)
    check("ids", told[0]["id"] == conversation and told[1]["messageId"] == told[2]["messageId"] == message and
          told[1]["conversationId"] == conversation and told[3]["id"] == payment, told)
    check("states", (told[1]["state"], told[2]["state"], told[3]["status"]) == ("posted", "edited", "created"), told)
    check("executions", told[0]["executionId"] == "order-7", told)
    check("no content", "secret" not in json.dumps(told) and "4711" not in json.dumps(told), told)
    places = [f'documents="{data["position"]}"' for data in told]
    check("ids hold the Position", all(place in id_ for place, (id_, *_) in zip(places, readers["acme"].found)), readers["acme"].found)
    freshness(api, acme, told[-1]["position"])
    return readers["acme"].found


def freshness(api, bearer, position):
    """Answers say how far own data is captured, and wait for it."""
    number, ordinal = position.split("-")
    status, body, headers = api.request("GET", "/v1/executions?limit=1", headers={**bearer, "X-NetBuild-Min-Position": f'documents="{position}"'})
    said = headers["X-NetBuild-Position"].rpartition('documents="')[2].rstrip('"')
    check("an answer says the capture's Position", status == 200 and said == body["position"]["documents"] and
          tuple(map(int, said.split("-"))) >= (int(number), int(ordinal)), (status, body, headers))
    later = {"X-NetBuild-Min-Position": f'engine="0-0", documents="{int(number) + (1 << 40)}-0"', "X-NetBuild-Wait": "50"}
    status, body, _ = api.request("GET", "/v1/executions?limit=1", headers={**bearer, **later})
    check("and waits for it", (status, body["code"]) == (503, "not_yet_consistent"), body)


def another_program_writes(api, port, bearer, uri):
    """As a service does that has MongoDB's driver and not our API."""
    payment = api.get("/v1/payments", **bearer)["items"][0]
    reader = Reader(port, bearer)
    program = ("import sys, pymongo; "
               "pymongo.MongoClient(sys.argv[1]).get_default_database().payments.update_one("
               "{'_id': sys.argv[2]}, {'$set': {'status': 'authorized'}})")
    subprocess.run([ROOT / ".deps/venv/bin/python", "-c", program, uri, payment["id"]], check=True, timeout=60)
    until("its change is an event", lambda: "payment:updated" in reader.types())
    told = next(data for *_, data in reader.found if data["type"] == "payment:updated")
    check("of that payment", (told["id"], told["status"], told["domainId"]) == (payment["id"], "authorized", "acme"), told)


def entries(redis, stream):
    """Ids and types, by Redis itself."""
    out = subprocess.run(["redis-cli", "-p", redis, "--json", "XRANGE", stream, "-", "+"], check=True, capture_output=True, text=True)
    return [(id_, fields[1]) for id_, fields in json.loads(out.stdout)]


def a_stream_that_loses_data_is_filled(api, port, bearer, servers):
    """From MongoDB's oplog, though nobody writes; of an emptied one readers are told."""
    redis, stream = servers["REDIS_URL"].rsplit(":", 1)[1], f'netbuild:documents:{servers["NETBUILD_ENGINE_NAME"]}'
    before = entries(redis, stream)
    for id_, _ in before[-4:]:
        subprocess.run(["redis-cli", "-p", redis, "XDEL", stream, id_], check=True, stdout=subprocess.DEVNULL)
    until("what it lost is in it again", lambda: entries(redis, stream)[:len(before)] == before)
    reader = Reader(port, bearer, f'engine="0-0", documents="{before[0][0]}"')
    subprocess.run(["redis-cli", "-p", redis, "DEL", stream], check=True, stdout=subprocess.DEVNULL)
    until("the emptied one says so", lambda: "gap" in [type_ for _, type_ in entries(redis, stream)[:1]])
    api.send("POST", "/v1/conversations", {"domainId": "acme"}, bearer)
    until("and goes on", lambda: "conversation:created" in [type_ for _, type_ in entries(redis, stream)])
    late = Reader(port, bearer, f'engine="0-0", documents="{before[0][0]}"')
    until("a reader from before is told", lambda: "gap" in late.types() or "conversation:created" in late.types())
    check("one that was there has each once", len({id_ for id_, *_ in reader.found}) == len(reader.found), reader.found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", action="store_true")
    servers = {}
    if parser.parse_args().servers:
        stack, name = stack_up(), f"own_events_{time.time_ns() // 1000000}"
        servers = {"MONGODB_URI": f'{stack["mongodb"].rsplit("/", 1)[0]}/{name}', "REDIS_URL": stack["redis"], "NETBUILD_ENGINE_NAME": name}
    folder = tempfile.mkdtemp(prefix="netbuild-own-events-")
    port = free_port()
    log = open(pathlib.Path(folder) / "log", "wb")
    api = Json(f"http://127.0.0.1:{port}")
    process = serve(folder, port, log, servers)
    try:
        until("the server answers", lambda: answers(api))
        acme, other, everywhere = (token(folder, domain, servers) for domain in ("acme", "other", "*"))
        found = domains_apart(api, port, acme, other)
        process.kill()
        process.wait()
        process = serve(folder, port, log, servers)
        api = Json(f"http://127.0.0.1:{port}")
        until("the server answers again", lambda: answers(api))
        api.send("POST", "/v1/conversations", {"domainId": "acme"}, acme)
        last, again = Reader(port, acme, found[-1][0]), Reader(port, acme, found[0][0])
        until("a reader goes on where it was", lambda: len(last.found) >= 1)
        check("only what is new", last.types() == ["conversation:created"], last.found)
        until("an earlier place gives the rest", lambda: len(again.found) >= 4)
        check("the same events once more", [d for *_, d in again.found[:3]] == [d for *_, d in found[1:]], again.found)
        early = Reader(port, acme, 'engine="0-0", documents="1-0"')
        until("who comes from before the stream is told", lambda: len(early.found) >= 2)
        check("a gap first", (early.types()[0], early.found[0][2]["reason"]) == ("gap", "retention"), early.found[:2])
        if servers:
            another_program_writes(api, port, acme, servers["MONGODB_URI"])
            a_stream_that_loses_data_is_filled(api, port, acme, servers)
        status = api.get("/v1/sync", **everywhere)["ownData"]
        check("status", status["events"] >= 1 and status["gaps"] == (1 if servers else 0) and status["trouble"] is None, status)
        metrics = api.request("GET", "/metrics", headers=everywhere)[1].decode()
        check("metrics", "netbuild_own_up 1" in metrics and f"netbuild_own_gaps_total {status['gaps']}" in metrics, metrics[-800:])
    finally:
        process.kill()
        process.wait()
        sys.stderr.write((pathlib.Path(folder) / "log").read_text()[-1500:])
    say(f"{len(found)} events of a domain, and none of another one's")


if __name__ == "__main__":
    main()
