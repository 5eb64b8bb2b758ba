#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""generate.py [--check] : src/generated.ts from api/openapi.yaml. One type a schema, one method an operation and,
where it has pages, one that goes through all of them; the events by their names, and Socket.IO's both ways.
--check writes nothing and fails if the file is out of date."""
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
SOURCE, TARGET = HERE.parents[1] / "api/openapi.yaml", HERE / "src/generated.ts"
METHODS = ("get", "put", "post", "delete", "patch")
# What the client does by itself, and what is no call with one answer.
OWN_HEADERS = {"X-NetBuild-Min-Position": None, "If-None-Match": None, "Last-Event-ID": None,
               "Idempotency-Key": "idempotencyKey", "If-Match": "ifMatch", "X-NetBuild-Wait": "waitMs"}
STREAMS = {"followEvents"}


def resolve(api, node):
    while "$ref" in node:
        found = api
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def comment(text, indent):
    return f"{indent}/** {' '.join(text.split())} */\n" if text else ""


def member(name, required):
    plain = name if re.fullmatch(r"[A-Za-z_$][\w$]*", name) else json.dumps(name)
    return plain + ("" if required else "?")


def ts(schema, indent=""):
    """The TypeScript type of a schema."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for key, joint in (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & ")):
        if key in schema:
            return joint.join(ts(part, indent) for part in schema[key])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(ts({**schema, "type": one}, indent) for one in kind)
    if kind == "array":
        item = ts(schema.get("items", {}), indent)
        return f"({item})[]" if " " in item and not item.startswith("{") else f"{item}[]"
    if kind == "object":
        return ts_object(schema, indent)
    plain = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null", None: "unknown"}
    return plain[kind]


def ts_object(schema, indent):
    properties, more = schema.get("properties"), schema.get("additionalProperties")
    if not properties:
        if more is False:
            return "Record<string, never>"
        return f"Record<string, {ts(more, indent) if isinstance(more, dict) else 'unknown'}>"
    inner, required = indent + "    ", schema.get("required", [])
    lines = [comment(resolve_description(one), inner) + f"{inner}{member(name, name in required)}: {ts(one, inner)};\n"
             for name, one in properties.items()]
    return "{\n" + "".join(lines) + indent + "}"


def resolve_description(schema):
    return schema.get("description", "")


def answer_of(api, operation):
    """The type of the 2xx answers."""
    kinds = []
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            continue
        content = resolve(api, response).get("content")
        if not content:
            kind = "void"
        elif "application/json" in content:
            kind = ts(content["application/json"]["schema"], "    ")
        else:
            kind = "string"
        if kind not in kinds:
            kinds.append(kind)
    return " | ".join(kinds)


def item_of(api, operation):
    page = resolve(api, operation["responses"]["200"]["content"]["application/json"]["schema"])
    return ts(page["properties"]["items"]["items"], "    ")


def events_by_type(api, schema):
    """(type, name of its schema) of every event in a tree of oneOf."""
    for part in resolve(api, schema)["oneOf"]:
        node = resolve(api, part)
        if "oneOf" in node:
            yield from events_by_type(api, part)
            continue
        own = node["allOf"][-1]["properties"]["type"]["enum"]
        yield from ((name, ts(part)) for name in own)


def listener(payload, offset):
    return f"(event: {payload}{', offset: string' if offset else ''}) => void"


def forms(event):
    """The arguments of what a client emits: with all that may be left out, and without it."""
    answer = f"answer: (answer: {ts(event['answer'])}) => void"
    optional, all_forms = event.get("optional", []), []
    for left_out in (optional, []) if optional else ([],):
        given = [f"{name}: {ts(kind)}" for name, kind in event["arguments"].items() if name not in left_out]
        all_forms.append(f"[{', '.join([*given, answer])}]")
    return " | ".join(all_forms)


def realtime(api):
    described = api["x-realtime"]
    events = list(events_by_type(api, described["events"]))
    out = "/** The event of each type, as server-sent events and timelines have it. */\nexport interface EventOf {\n"
    out += "".join(f"    {json.dumps(name)}: {kind};\n" for name, kind in events) + "}\n\n"
    out += "export type EventName = keyof EventOf;\n\n"
    out += ("/** As Socket.IO gives it, where its name is its type. */\n"
            'export type PayloadOf<Name extends EventName> = Omit<EventOf[Name], "type">;\n\n')
    out += "/** What a Socket.IO client may hear: Socket<ServerEvents, ClientEvents>. */\nexport interface ServerEvents {\n"
    out += "".join(f"    {json.dumps(name)}: {listener(f'PayloadOf<{json.dumps(name)}>', True)};\n" for name, _ in events)
    out += "".join(f"    {name}: {listener(ts(event['payload']), event['offset'])};\n" for name, event in described["server"].items())
    out += "}\n\n/** What it may say. */\nexport interface ClientEvents {\n"
    for name, event in described["client"].items():
        out += comment(event["description"], "    ") + f"    {name}: (...given: {forms(event)}) => void;\n"
    return out + "}\n\n"


class Operation:
    def __init__(self, api, method, path, node):
        self.method, self.path, self.id, self.summary = method.upper(), path, node["operationId"], node.get("summary", "")
        self.answer = answer_of(api, node)
        self.fields, self.places = [], {"path": [], "query": [], "header": {}}
        self.keyed = self.positioned = self.pages = self.open_query = False
        self.open_query = self.id == "listExecutions"  # variable.NAME=VALUE
        for parameter in (resolve(api, one) for one in node.get("parameters", [])):
            self.add(parameter)
        self.item = item_of(api, node) if self.pages else None
        self.body_required = False
        body = node.get("requestBody")
        if body:
            self.body_required = body.get("required", False)
            self.fields.append(("body", self.body_required, ts(body["content"]["application/json"]["schema"], "        "), ""))
        self.has_body = bool(body)
        self.open = node.get("security") == []

    def add(self, parameter):
        name, place = parameter["name"], parameter["in"]
        required = parameter.get("required", False)
        field = name
        if place == "header":
            self.keyed |= name == "Idempotency-Key"
            self.positioned |= name == "X-NetBuild-Min-Position"
            field = OWN_HEADERS[name]
            if field is None:
                return
            required = required and name != "Idempotency-Key"  # made for who gives none
            self.places["header"][field] = name
        else:
            self.places[place].append(name)
        self.pages |= name == "cursor"
        self.fields.append((field, required, ts(parameter["schema"]), parameter.get("description", "")))

    def input(self, without=()):
        lines = [comment(text, "            ") + f"            {member(name, required)}: {kind};\n"
                 for name, required, kind, text in self.fields if name not in without]
        if self.open_query:
            lines.append("            /** A process variable, such as `gt:100` */\n            [variable: `variable.${string}`]: string;\n")
        return "{\n" + "".join(lines) + "        }"

    def parameter(self, without=()):
        if not self.fields:
            return ""
        optional = not any(required for _, required, _, _ in self.fields)
        return f"input: {self.input(without)}{' = {}' if optional else ''}, "

    def specification(self):
        text = {"id": self.id, "method": self.method, "path": self.path, "query": self.places["query"],
                "headers": self.places["header"], "keyed": self.keyed, "positioned": self.positioned, "open": self.open}
        if self.open_query:
            text["openQuery"] = "variable."
        return json.dumps(text)

    def methods(self):
        given = "input" if self.fields else "{}"
        out = comment(self.summary, "    ")
        out += (f"    {self.id}({self.parameter()}options?: CallOptions): Promise<{self.answer}> {{\n"
                f"        return this.call<{self.answer}>(operations.{self.id}, {given}, options);\n    }}\n\n")
        if self.pages:
            name = re.sub(r"^(list|get)(?=[A-Z])", "", self.id)
            out += f"    /** All of {self.id}'s pages, fetched as they are read. */\n"
            out += (f"    all{name[0].upper() + name[1:]}({self.parameter(without=('cursor',))}options?: CallOptions): "
                    f"AsyncGenerator<{self.item}, void, undefined> {{\n"
                    f"        return this.all<{self.item}>(operations.{self.id}, {given}, options);\n    }}\n\n")
        return out


def generate():
    api = yaml.safe_load(SOURCE.read_text())
    operations = [Operation(api, method, path, node) for path, nodes in api["paths"].items()
                  for method, node in nodes.items() if method in METHODS and node["operationId"] not in STREAMS]
    out = ("// SPDX-License-Identifier: Apache-2.0\n// Generated from api/openapi.yaml by generate.py: edit those.\n"
           'import { Caller } from "./caller.js";\nimport type { CallOptions, Operation } from "./caller.js";\n\n')
    for name, schema in api["components"]["schemas"].items():
        out += comment(schema.get("description", ""), "") + f"export type {name} = {ts(schema)};\n\n"
    out += realtime(api)
    out += "const operations = {\n" + "".join(f"    {one.id}: {one.specification()},\n" for one in operations)
    out += "} as const satisfies Record<string, Operation>;\n\n"
    out += "/** One method an operation of the API. */\nexport class Api extends Caller {\n"
    out += "".join(one.methods() for one in operations).rstrip("\n") + "\n}\n"
    return out


def main():
    text = generate()
    if "--check" not in sys.argv:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        sys.exit("clients/typescript/src/generated.ts is not what api/openapi.yaml says: run clients/typescript/generate.py")


if __name__ == "__main__":
    main()
