#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every route that takes a body, by api/openapi.yaml, is sent what no client should: NUL in a key, operators of a
store, unknown fields, wrong types, deep nesting, bytes that are no UTF-8, 17 MB. Each answer is problem+json 4xx that
names the field; operators in a query select nothing. Needs no server but its own."""
import json
import re
import urllib.parse

from api_test import SPECIFICATION, Owner, operations
from harness import Failed, say
from typescript_test import Server

import yaml

DEPTH = 3000
BODY_BYTES = 17 * 1024 * 1024
# What a value of a type can never be.
WRONG = {"string": {"$ne": None}, "integer": {"$gt": 0}, "array": {"$in": []}, "object": "$where", "number": {"$gt": 0}}


class Described:
    def __init__(self):
        self.api = yaml.safe_load(SPECIFICATION.read_text())

    def resolve(self, node):
        while "$ref" in node:
            found = self.api
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def sample(self, schema):
        """A value that fits a schema well enough to get as far as the member that is wrong."""
        schema = self.resolve(schema)
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type")
        if kind == "object":
            return {name: self.sample(schema["properties"][name]) for name in schema.get("required", [])}
        if kind == "array":
            return [self.sample(schema["items"])] * schema.get("minItems", 0)
        return {"string": "EUR" if "pattern" in schema else "a long enough text", "integer": max(1, schema.get("minimum", 1)),
                "number": 1, "boolean": True}.get(kind, {})

    def bodies(self):
        for method, path, node in operations(self.api):
            if "requestBody" in node:
                yield method, path, node, self.resolve(node["requestBody"]["content"]["application/json"]["schema"])


class Checker:
    def __init__(self, owner, objects):
        self.owner, self.objects, self.checks, self.problems = owner, objects, 0, []

    def send(self, method, path, node, raw, key):
        concrete = re.sub(r"\{(\w+)\}", lambda match: urllib.parse.quote(self.objects[match[1]], safe=""), path)
        headers = {"Authorization": f"Bearer {self.owner.token}", "Content-Type": "application/json", "Idempotency-Key": key}
        if node["operationId"] == "changeConversation":
            headers["If-Match"] = '"1"'
        return self.owner.api.request(method, concrete, headers=headers, raw=raw)

    def refused(self, method, path, node, what, raw, fields, statuses=(400,)):
        self.checks += 1
        status, body, headers = self.send(method, path, node, raw, f"bad-{self.checks}")
        where = f"{method} {path} with {what}"
        if status not in statuses or headers.get("Content-Type") != "application/problem+json":
            self.problems.append(f"{where}: {status} {str(body)[:200]}")
        elif fields and body.get("field") not in fields:
            self.problems.append(f"{where}: the field is {body.get('field')}, not {' or '.join(fields)} ({body.get('detail')})")


def bodies(described, checker):
    for method, path, node, schema in described.bodies():
        valid = described.sample(schema)
        refused = lambda what, raw, fields, statuses=(400,): checker.refused(method, path, node, what, raw, fields, statuses)  # noqa: E731,B023
        with_member = lambda name, value: json.dumps({**valid, name: value})  # noqa: E731,B023
        refused("NUL in a key", with_member("a\0b", 1), None)
        refused("an operator as a key", with_member("$where", "1"), ["$where"])
        refused("an unknown field", with_member("colour", 1), ["colour"])
        refused("no JSON", "{", ["body"])
        refused("an array", "[]", ["body"])
        refused("bad UTF-8", b'{"a": "\xff\xfe"}', ["body"])
        refused("deep nesting", '{"a":' + "[" * DEPTH + "]" * DEPTH + "}", ["body"])
        refused("17 MB", b'{"a": "' + b"x" * BODY_BYTES + b'"}', None, (413,))
        for name, member in schema.get("properties", {}).items():
            kind = described.resolve(member).get("type", "string" if "enum" in described.resolve(member) else None)
            if kind in WRONG:
                refused(f"{json.dumps(WRONG[kind])} as {name}", with_member(name, WRONG[kind]), [name])
            if kind == "string":
                refused(f"NUL in {name}", with_member(name, "a\0b"), [name])


def queries(described, checker):
    """Operators in the names of parameters are unknown parameters; in values they are text."""
    for method, path, node in operations(described.api):
        if method != "GET" or node["operationId"] == "followEvents" or node.get("security") == []:
            continue
        if "parameters" not in node or not any(described.resolve(one)["in"] == "query" for one in node["parameters"]):
            continue
        checker.refused(method, path + "?domainId[$ne]=x", node, "an operator in a parameter's name", None, ["domainId[$ne]"])
        checker.refused(method, path + "?$where=1", node, "an operator as a parameter", None, ["$where"])
    for path in ("/v1/executions", "/v1/tasks", "/v1/payments", "/v1/snapshots", "/v1/conversations"):
        checker.checks += 1
        _, answer, _ = checker.owner.api.request("GET", path + "?domainId=" + urllib.parse.quote('{"$ne":null}'),
                                                 headers={"Authorization": f"Bearer {checker.owner.token}"})
        if answer.get("items") != []:
            checker.problems.append(f"{path}: an operator as domainId selects {str(answer)[:200]}")


def main():
    server = Server()
    try:
        server.start()
        token = server.token("*", "owner")
        server.until_it_has_orders(token)
        owner = Owner(server.url, token)
        described, checker = Described(), Checker(owner, owner.objects())
        bodies(described, checker)
        queries(described, checker)
        if owner.api.request("GET", "/healthz")[0] != 200:
            raise Failed("the server does not answer any more")
        if checker.problems:
            raise Failed(f"{len(checker.problems)} of {checker.checks}:\n" + "\n".join(checker.problems))
    finally:
        server.stop()
    say(f"{checker.checks} checks")


if __name__ == "__main__":
    main()
