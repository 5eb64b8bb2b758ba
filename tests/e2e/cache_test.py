#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the API keeps of domains and definitions is as fresh as what it would read.

  cache_test.py              one process on the embedded default
  cache_test.py --servers    a node that captures and a second one, over one MongoDB, Redis and Camunda
"""
import argparse
import contextlib
import os
import re
import subprocess
import tempfile
import time

from harness import NETBUILD, ROOT, Failed, Json, Netbuild, deploy, end, free_port, say, stack_up, until

NEWEST = {"Cache-Control": "no-cache"}


def check(what, condition, detail=""):
    if not condition:
        raise Failed(f"{what}: {str(detail)[:800]}")


def counted(api, cache):
    """Metrics of one cache, by name."""
    text = api.request("GET", "/metrics")[1].decode()
    return {name: int(count) for name, count in re.findall(rf'^netbuild_cache_(\w+){{cache="{cache}"}} (\d+)$', text, re.M)}


def domain(api, **headers):
    return api.request("GET", "/v1/domains/acme", headers=headers)


def name_at(api, **headers):
    status, body, _ = domain(api, **headers)
    return body["name"] if status == 200 else status


def put(api, name, version=None):
    return api.send("PUT", "/v1/domains/acme", {"name": name, "status": "active", "settings": {"limit": 7, "since": None}},
                    {"If-Match": f'"{version}"'} if version else {})["version"]


def served_without_a_read(api, cache, path):
    """Once it is kept, the store is not asked again."""
    def hit():
        before = counted(api, cache)
        api.get(path)
        return counted(api, cache)["hits_total"] > before["hits_total"]
    until(f"{path} is kept", hit)
    before = counted(api, cache)
    for _ in range(20):
        api.get(path)
    after = counted(api, cache)
    check("twenty hits", after["hits_total"] == before["hits_total"] + 20 and after["loads_total"] == before["loads_total"],
          (before, after))
    check("entries are counted", after["entries"] >= 1 and after["bytes"] > 100, after)


def writes_are_seen(writer, reader):
    """`reader` may be another node."""
    until("that there is none is known", lambda: counted(reader, "domains")["hits_total"] > 0 or domain(reader)[0] != 404)
    check("none", domain(reader)[0] == 404)
    version = put(writer, "one")
    check("no cache is asked where none is wanted", name_at(reader, **NEWEST) == "one")
    until("a domain that was not there is", lambda: name_at(reader) == "one")
    served_without_a_read(reader, "domains", "/v1/domains/acme")
    check("what is kept is what is stored", domain(reader)[1] == domain(reader, **NEWEST)[1], domain(reader))
    for number in range(20):
        name = f"name {number}"
        version = put(writer, name, version)
        check("its writer sees it", name_at(writer) == name, name_at(writer))
        check("a reader that wants the newest sees it", name_at(reader, **NEWEST) == name)
        until("every reader sees it", lambda: name_at(reader) == name)
        check("for good", all(name_at(reader) == name for _ in range(10)))
    return version


def another_program_writes(reader, uri):
    served_without_a_read(reader, "domains", "/v1/domains/acme")
    program = ("import sys, pymongo; pymongo.MongoClient(sys.argv[1]).get_default_database().domains.update_one("
               "{'_id': 'acme'}, {'$set': {'name': 'by mongosh'}})")
    subprocess.run([ROOT / ".deps/venv/bin/python", "-c", program, uri], check=True, timeout=60)
    until("its event outdates what was kept", lambda: name_at(reader) == "by mongosh")


def definitions_are_seen(camunda, nodes):
    """As Camunda has them, on each node."""
    deployed = deploy(camunda, ROOT / "tests/e2e/shapes.bpmn", tenant="acme", name="cached")
    id_ = next(iter(deployed["deployedProcessDefinitions"]))
    path = f"/v1/definitions/{id_}"
    for api in nodes:
        until("a new one is there", lambda api=api: api.request("GET", path)[0] == 200)
        served_without_a_read(api, "definitions", path)
        check("with its BPMN", "<bpmn:definitions" in api.get(path)["bpmnXml"] or "<definitions" in api.get(path)["bpmnXml"])
    for suspended in (True, False):
        camunda.send("PUT", f"/process-definition/{id_}/suspended", {"suspended": suspended})
        for api in nodes:
            now = api.get(path, **{"X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "20000"})
            check("an answer at a Position is as it was there", now["suspended"] is suspended, now)
            until("others see it soon", lambda api=api: api.get(path)["suspended"] is suspended)
    camunda.send("DELETE", f"/deployment/{deployed['id']}?cascade=true")
    for api in nodes:
        until("one that is gone is not there", lambda api=api: api.request("GET", path)[0] == 404)


@contextlib.contextmanager
def serving(*arguments, **settings):
    """A process beside the harness's own."""
    folder, port = tempfile.mkdtemp(prefix="netbuild-cache-"), free_port()
    environment = {"PATH": os.environ["PATH"], "NETBUILD_HTTP_PORT": str(port), "NETBUILD_HTTP_AUTH": "none"} | settings
    with open(f"{folder}/log", "wb") as log:
        process = subprocess.Popen([NETBUILD, "serve", *arguments], env=environment, cwd=folder, stdout=log, stderr=log)
    api = Json(f"http://127.0.0.1:{port}")

    def answers():
        with contextlib.suppress(OSError):
            return api.request("GET", "/readyz")[0] == 200
    try:
        until("it is ready", answers)
        yield api
    except BaseException:
        say(open(f"{folder}/log", errors="replace").read()[-2000:])
        raise
    finally:
        end(process)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", action="store_true")
    if not parser.parse_args().servers:
        with serving(NETBUILD_SIMULATOR_RATE="1", NETBUILD_STORE_PATH="data") as api:
            writes_are_seen(api, api)
            path = f'/v1/definitions/{until("there are definitions", lambda: api.get("/v1/definitions")["items"])[0]["id"]}'
            served_without_a_read(api, "definitions", path)
        with serving(NETBUILD_STORE_PATH="data", NETBUILD_CACHE_MEMORY_MAX="0") as api:
            put(api, "not kept")
            check("nothing is kept where nothing may be", name_at(api) == "not kept" and not counted(api, "domains"))
        say("reads of one process are as fresh as its store")
        return
    stack, name = stack_up(), f"cache_{time.time_ns() // 1000000}"
    # Longer than any wait here: what is seen anew was outdated, and did not come to its end.
    settings = {"NETBUILD_CACHE_TTL": "10m"}
    with Netbuild(stack, name, mongodb=True, redis=True, environment=settings) as first:
        first.start()
        with serving("--config", str(first.config), "--roles", "api", **settings) as second:
            writes_are_seen(first.api, second)
            another_program_writes(second, f'{stack["mongodb"].rsplit("/", 1)[0]}/{name}')
            definitions_are_seen(Json(stack["camunda"]), (first.api, second))
            shared = sum(counted(api, cache)["shared_hits_total"] for api in (first.api, second)
                         for cache in ("domains", "definitions"))
            check("what one node has loaded another one need not", shared > 0)
    say("reads of two nodes are as fresh as their store")


if __name__ == "__main__":
    main()
