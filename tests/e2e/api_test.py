#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api/openapi.yaml. `lint`: it is valid OpenAPI 3.1, it has exactly the routes of the rule table, and every operation
says how it fails. `fuzz`: a running server on the embedded default keeps to it whatever it is sent: schemathesis draws
the requests from the description, with a fixed seed; identifiers are those of real objects, or the draw would only
ever find 404. Needs no server but its own."""
import json
import os
import pathlib
import re
import subprocess
import sys

import yaml

from harness import ROOT, Failed, Json, say
from typescript_test import Server

SPECIFICATION = ROOT / "api/openapi.yaml"
TOOLS = ROOT / ".deps/venv/bin"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES_AN_OPERATION = 4
FUZZ_SECONDS_MAX = 280  # of which a run takes a quarter
METHODS = {"get", "put", "post", "delete", "patch"}


def operations(api):
    for path, nodes in api["paths"].items():
        for method, node in nodes.items():
            if method in METHODS:
                yield method.upper(), path, node


def nulls(node, place=()):
    """A comma in a description without quotes makes a member without a value."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        if value is None:
            yield "/".join(map(str, (*place, key)))
        yield from nulls(value, (*place, key))


def lint():
    subprocess.run([TOOLS / "openapi-spec-validator", SPECIFICATION], check=True)
    api = yaml.safe_load(SPECIFICATION.read_text())
    problems = [f"{place} has no value" for place in nulls(api)]
    table = (ROOT / "src/http/access.cpp").read_text()
    rules = {(method, path): who for method, path, who in re.findall(r'\{"([A-Z]+)",\s+"([^"]+)",\s+Who::(\w+)', table)}
    described = {(method, path): node for method, path, node in operations(api)}
    if len(rules) < 50:
        raise Failed(f"only {len(rules)} rules were found in the table")
    problems += [f"{method} {path} is not described" for method, path in rules.keys() - described.keys()]
    problems += [f"{method} {path} is no route" for method, path in described.keys() - rules.keys()]
    ids = [node.get("operationId") for node in described.values()]
    problems += [f"operationId {one} is missing or there twice" for one in set(ids) if one is None or ids.count(one) > 1]
    for (method, path), node in described.items():
        if node["responses"].get("default", {}).get("$ref") != "#/components/responses/Problem":
            problems.append(f"{method} {path} does not say how it fails")
        if (node.get("security") == []) != (rules.get((method, path)) == "anyone"):
            problems.append(f"{method} {path}: security is not what the rule table says")
        declared = {one["name"] for one in node.get("parameters", []) if one.get("in") == "path"}
        declared |= {one["$ref"].rsplit("/", 1)[1][0].lower() + one["$ref"].rsplit("/", 1)[1][1:] for one in node.get("parameters", []) if "$ref" in one}
        problems += [f"{method} {path}: {name} is not declared" for name in re.findall(r"\{(\w+)\}", path) if name not in declared]
    if problems:
        raise Failed("\n".join(problems))
    say(f"{len(described)} operations are described")


class Owner:
    """What the fuzzer's requests may find."""

    def __init__(self, url, token):
        self.api, self.token = Json(url), token

    def send(self, method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        return self.api.send(method, path, body, headers)

    def objects(self):
        """Identifiers by the name of the path's parameter."""
        self.send("PUT", "/v1/domains/acme", {"name": "Acme", "status": "active"})
        task = self.send("GET", "/v1/tasks?limit=1&status=pending,in_progress,completed")["items"][0]
        definition = self.send("GET", "/v1/definitions?limit=1")["items"][0]
        payment = self.send("POST", "/v1/payments", {"domainId": "acme", "amount": 1050, "currency": "EUR"}, "fuzz")
        snapshot = self.send("POST", f"/v1/tasks/{task['taskId']}/snapshots", {}, "fuzz-snapshot")
        conversation = self.send("POST", "/v1/conversations", {"domainId": "acme", "title": "Order"})
        message = self.send("POST", f"/v1/conversations/{conversation['id']}/messages", {"role": "user", "text": "Hello"})
        index = self.send("POST", "/v1/embeddings/indexes",
                          {"domainId": "acme", "name": "fuzz", "model": "m", "dimension": 2, "metric": "cosine"})
        self.send("POST", f"/v1/embeddings/indexes/{index['indexId']}/vectors",
                  {"vectors": [{"vectorId": "a", "source": "s", "values": [1, 0]}]})
        session = self.send("POST", "/v1/sessions", {"userId": "ada", "data": {"theme": "dark"}})
        job = self.send("POST", "/v1/queues/fuzz/jobs", {"jobs": [{"payload": {"order": 1}}]})
        key = self.send("POST", "/v1/domains/acme/api-keys", {"name": "fuzz", "role": "viewer"})
        return {"executionId": "order-1001", "definitionId": definition["id"], "taskId": task["taskId"], "domainId": "acme",
                "paymentId": payment["id"], "snapshotId": snapshot["id"], "conversationId": conversation["id"],
                "messageId": message["id"], "indexId": index["indexId"], "vectorId": "a", "sessionId": session["sessionId"], "keyId": key["id"],
                "userId": "usr_none", "queue": "fuzz", "jobId": job["jobs"][0]["id"]}


def fuzz():
    server = Server()
    try:
        server.start()
        token = server.token("*", "owner")
        server.until_it_has_orders(token)
        objects = Owner(server.url, token).objects()
        configuration = "[parameters]\n" + "".join(f'"path.{name}" = {json.dumps(value)}\n' for name, value in objects.items())
        (server.folder / "schemathesis.toml").write_text(configuration)
        # The stream of events never ends, and a claim may wait for a minute; the index is kept, so that the other operations find it.
        left_out = [word for one in ("followEvents", "claimJobs", "deleteEmbeddingIndex") for word in ("--exclude-operation-id", one)]
        done = subprocess.run(
            [TOOLS / "schemathesis", "--config-file", server.folder / "schemathesis.toml", "run", SPECIFICATION, "--url", server.url,
             "--header", f"Authorization: Bearer {token}", "--seed", "1", "--max-examples", str(EXAMPLES_AN_OPERATION),
             "--phases", "coverage,fuzzing", "--checks", CHECKS, "--generation-database", "none", "--request-timeout", "20",
             "--continue-on-failure", "--suppress-health-check", "all", "--no-color", *left_out],
            cwd=server.folder, env={"PATH": os.environ["PATH"], "HOME": str(server.folder)}, capture_output=True, text=True, timeout=FUZZ_SECONDS_MAX)
        sys.stderr.write(done.stdout[-12_000:] + done.stderr[-2_000:])
        if done.returncode:
            raise Failed(f"schemathesis: {done.returncode}")
        cases = re.search(r"(\d+) generated", done.stdout)
        if not cases or int(cases[1]) < 500:
            raise Failed("schemathesis made hardly any request")
        # An answer of 500 is also an error in the log.
        log = pathlib.Path(server.folder, "log").read_text(errors="replace")
        if server.process.poll() is not None or " error " in log:
            raise Failed("the server ended, or logged errors:\n" + "\n".join(line for line in log.splitlines() if " error " in line)[:2000])
    finally:
        server.stop()


if __name__ == "__main__":
    {"lint": lint, "fuzz": fuzz}[sys.argv[1]]()
