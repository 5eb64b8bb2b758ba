#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every event that the server gives is one of api/openapi.yaml's, member by member, and every one that stands there is
given: those of a real Camunda from the golden recording, those of NetBuild's own data from a running server; as server-sent
events and, where Socket.IO's own members are checked as well, through the official client. Needs no server but its own."""
import json
import os
import subprocess
import sys
import threading
import urllib.request

from harness import ROOT, Failed, say, until
from typescript_test import Server

PYTHON = ROOT / ".deps/venv/bin/python"
try:
    import jsonschema
except ImportError:  # it comes with the linter's environment
    if sys.executable == str(PYTHON):
        raise
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
import yaml

NODE = ROOT / "tests/realtime/node"
GOLDEN = ROOT / "tests/golden/events.jsonl"


class Described:
    """What api/openapi.yaml says of events."""

    def __init__(self):
        self.api = yaml.safe_load((ROOT / "api/openapi.yaml").read_text())
        self.realtime = self.api["x-realtime"]
        self.of_type, self.validators = dict(self.types(self.realtime["events"])), {}
        self.seen = set()

    def resolve(self, node):
        return self.api["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]]

    def types(self, reference):
        for part in self.resolve(reference)["oneOf"]:
            node = self.resolve(part)
            if "oneOf" in node:
                yield from self.types(part)
            else:
                yield from ((name, part["$ref"]) for name in node["allOf"][-1]["properties"]["type"]["enum"])

    def types_of(self, source):
        """Of a stream's source."""
        base = {"engine": "EngineEvent", "documents": "OwnDataEvent"}[source]
        return {name for name, reference in self.of_type.items()
                if self.resolve({"$ref": reference})["allOf"][0]["$ref"].endswith(base)}

    def mistakes(self, reference, value):
        if reference not in self.validators:
            schema = {"$ref": reference, "components": self.api["components"]}
            self.validators[reference] = jsonschema.Draft202012Validator(
                schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        return [error.message for error in self.validators[reference].iter_errors(value)]

    def check(self, reference, value, where):
        mistakes = self.mistakes(reference, value)
        if mistakes:
            raise Failed(f"{where}: {json.dumps(value)[:600]} is not {reference.rsplit('/', 1)[1]}: {'; '.join(mistakes)[:600]}")

    def event(self, event, where):
        kind = event["type"]
        if kind != "gap" and kind not in self.of_type:
            raise Failed(f"{where}: {kind} is not described")
        self.check("#/components/schemas/Gap" if kind == "gap" else self.of_type[kind], event, where)
        self.seen.add(kind)

    def emitted(self, name, given):
        """What a Socket.IO client was given under that name."""
        own = self.realtime["server"].get(name)
        if own is None:
            self.event({"type": name, **given[0]}, "Socket.IO")
        else:
            self.check(own["payload"]["$ref"], given[0], f"Socket.IO's {name}")
        wanted = own is None or own["offset"]
        if len(given) != 1 + wanted or (wanted and not isinstance(given[1], str)):
            raise Failed(f"{name} has the arguments {given}")


def of_the_recording(described):
    events = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    for event in events:
        described.event(event, GOLDEN.name)
    missing = described.types_of("engine") - described.seen
    if missing:
        raise Failed(f"no {sorted(missing)} in the recording")
    # The check is worth what it finds.
    for damaged in ({**events[0], "more": 1}, {k: v for k, v in events[0].items() if k != "at"}, {**events[0], "at": "soon"},
                    {**events[0], "domainId": 7}):
        if not described.mistakes(described.of_type[events[0]["type"]], damaged):
            raise Failed(f"this is no event: {damaged}")
    return len(events)


class Stream(threading.Thread):
    """Server-sent events, the oldest first."""

    def __init__(self, url, token, last):
        super().__init__(daemon=True)
        self.request = urllib.request.Request(url + "/v1/events", headers={"Authorization": f"Bearer {token}", "Last-Event-ID": last})
        self.events = []
        self.start()

    def run(self):
        try:
            with urllib.request.urlopen(self.request, timeout=60) as stream:
                for line in stream:
                    if line.startswith(b"data: "):
                        self.events.append(json.loads(line[6:]))
        except OSError:
            pass


CLIENT = """
import { io } from "socket.io-client";
const socket = io(process.env.URL, { transports: ["websocket"], auth: { token: process.env.TOKEN } });
const say = (...all) => console.log(JSON.stringify(all));
socket.onAny((name, ...given) => say(name, given));
const ask = async (name, ...given) => say("answer", await socket.emitWithAck(name, ...given));
socket.on("connect", async () => {
  await ask("subscribe", "domain:acme", { offset: 'engine="0-0", documents="1-0"' });
  await ask("subscribe", `user:${process.env.USER_ID}`, { offset: 'engine="0-0", documents="0-0"' });
  await ask("subscribe", "conversation:none");
  await ask("unsubscribe", "domain:other");
});
"""


class Socket(threading.Thread):
    """The official client in the domain's room, from before everything (with a gap), and in a user's."""

    def __init__(self, url, token, user):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(["node", "--input-type=module", "-e", CLIENT], cwd=NODE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "URL": url, "TOKEN": token, "USER_ID": user})
        self.lines = []
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def answers(self):
        return [line[1] for line in self.lines if line[0] == "answer"]

    def end(self):
        self.process.kill()
        self.process.wait()


def changes_of_all_kinds(server, token):
    """Makes and changes one of everything; the user's id."""
    bearer = {"Authorization": f"Bearer {token}"}

    def send(method, path, body=None, version=None, key=None):
        headers = bearer | ({"If-Match": f'"{version}"'} if version else {}) | ({"Idempotency-Key": key} if key else {})
        return server.api.send(method, path, body, headers)

    version = send("PUT", "/v1/domains/acme", {"name": "Acme", "status": "active"})["version"]
    send("PUT", "/v1/domains/acme", {"name": "Acme", "status": "suspended"}, version)
    conversation = send("POST", "/v1/conversations", {"domainId": "acme", "executionId": "order-1001", "taskId": "t"})
    at = f"/v1/conversations/{conversation['id']}"
    send("PUT", at, {"title": "Order"}, conversation["version"])
    message = send("POST", f"{at}/messages", {"role": "user", "text": "a word", "executionId": "order-1001", "taskId": "t"})
    send("PUT", f"{at}/messages/{message['id']}", {"text": "another"})
    context = send("PUT", f"{at}/ai-context", {"systemPrompt": "Be short."})
    send("PUT", f"{at}/ai-context", {"systemPrompt": "Be long."}, context["version"])
    payment = send("POST", "/v1/payments", {"domainId": "acme", "amount": 100, "currency": "EUR", "executionId": "order-1001",
                                            "processInstanceId": "p", "taskId": "t", "conversationId": conversation["id"]}, key="p")
    send("POST", f"/v1/payments/{payment['id']}/authorize", {}, key="a")
    task = send("GET", "/v1/tasks?limit=1&domainId=acme&status=pending,in_progress,completed")["items"][0]
    send("POST", f"/v1/tasks/{task['taskId']}/snapshots", {}, key="s")
    index = send("POST", "/v1/embeddings/indexes", {"domainId": "acme", "name": "i", "model": "m", "dimension": 2, "metric": "l2"})
    send("POST", f"/v1/embeddings/indexes/{index['indexId']}/vectors", {"vectors": [{"vectorId": "v", "source": "s", "values": [1, 2]}]})
    user = server.cli("user", "create", "ada@example.org")["userId"]
    server.cli("user", "disable", user)
    return user


def of_a_server(described):
    if not (NODE / "node_modules/socket.io-client").exists():
        raise Failed(f"{NODE}/node_modules is not there: run tools/setup.sh stack")
    server, wanted, socket = Server(), described.types_of("documents"), None
    try:
        server.start()
        token = server.token("*", "owner")
        server.until_it_has_orders(token)
        user = changes_of_all_kinds(server, token)
        streams = [Stream(server.url, token, f'engine="0-0", documents="{number}-0"') for number in (0, 1)]
        socket = Socket(server.url, token, user)

        def types():
            told = [{event["type"] for event in stream.events} for stream in streams]
            return [told[0], told[1], {line[0] for line in socket.lines}]
        complete = [wanted, wanted | {"gap"}, wanted | {"gap", "answer"}]
        try:
            until("every kind of own data's events", lambda: all(want <= have for want, have in zip(complete, types())))
            until("its answers", lambda: len(socket.answers()) >= 4)
        except Failed as failure:
            raise Failed(f"{failure}; missing: {[sorted(want - have) for want, have in zip(complete, types())]}") from None
        for stream in streams:
            for event in list(stream.events):
                described.event(event, "server-sent events")
        lines = list(socket.lines)
        for name, given in lines:
            if name == "answer":
                described.check("#/components/schemas/SubscribeAnswer", given, "an answer")
            else:
                described.emitted(name, given)
        if [answer["ok"] for answer in socket.answers()] != [True, True, False, True]:
            raise Failed(f"the answers are {socket.answers()}")
        gap = next(given[0] for name, given in lines if name == "gap")
        if (gap["source"], gap["rooms"]) != ("documents", ["domain:acme"]):
            raise Failed(f"the gap is {gap}")
        return sum(len(stream.events) for stream in streams) + len(lines)
    finally:
        if socket:
            socket.end()
        server.kill()


def main():
    described = Described()
    recorded, live = of_the_recording(described), of_a_server(described)
    missing = described.of_type.keys() - described.seen
    if missing:
        raise Failed(f"never given: {sorted(missing)}")
    say(f"{recorded} events of the recording and {live} of a server are what api/openapi.yaml says; all {len(described.of_type)} types came")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
