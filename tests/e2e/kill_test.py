#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of the first load, then in the middle of traffic; each time a new process goes
on. In the end `verify` finds no difference, and every event is in store and stream exactly once.

  kill_test.py [--mongodb] [--redis]
"""
import argparse
import contextlib
import json
import os
import subprocess
import time

from harness import ROOT, Failed, Netbuild, psql, say, stack_up, until

LOAD_KILLS, LIVE_KILLS = 3, 5


class Size:
    """Process instances before and during the capture; the MongoDB server of the tests takes about
    2,000 writes a second."""

    def __init__(self, mongodb):
        self.loaded, self.live = (1500, 250) if mongodb else (4000, 1500)


def scratch_database(stack, name, servers=None):
    """Camunda's tables, empty, in a database of their own, on the same or on other servers."""
    source, target = stack["postgres"], {**(servers or stack), "camunda": stack["camunda"]}
    target["postgres"] = {**target["postgres"], "dbname": name}

    def run(program, where, *arguments, **more):
        return subprocess.run([program, "-h", where["host"], "-p", str(where["port"]), "-U", where["user"], *arguments],
                              env={**os.environ, "PGPASSWORD": where["password"]}, check=True, **more)

    psql({**target, "postgres": {**target["postgres"], "dbname": source["dbname"]}}, f"create database {name}")
    dump = run("pg_dump", source, "-s", "--no-publications", source["dbname"], capture_output=True).stdout
    level = run("pg_dump", source, "-a", "-t", "act_ge_property", source["dbname"], capture_output=True).stdout
    for sql in (dump, level, (ROOT / "lab/camunda_load.sql").read_bytes()):
        run("psql", target["postgres"], "-d", name, "-qX", "-v", "ON_ERROR_STOP=0", input=sql, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
    return target


def drop_database(stack, name):
    """The server's own workers may still be at it: nobody but a superuser may end them, and they end by themselves."""
    def gone():
        with contextlib.suppress(Failed):
            psql({**stack, "postgres": {**stack["postgres"], "dbname": "camunda"}}, f"drop database if exists {name} with (force)")
            return True
        return False
    until("the scratch database is dropped", gone)


def generate(stack, first, count, quiet=False):
    """Process instances from start to end, three transactions each, in the background."""
    p = stack["postgres"]
    return subprocess.Popen(["psql", "-h", p["host"], "-p", str(p["port"]), "-U", p["user"], "-d", p["dbname"], "-qX", "-c",
                             f"call nb_gen({first}, {count})"], env={**os.environ, "PGPASSWORD": p["password"]},
                            stderr=subprocess.DEVNULL if quiet else None)


def redis_events(stack, stream):
    port = stack["redis"].rsplit(":", 1)[1]
    out = subprocess.run(["redis-cli", "-p", port, "--json", "XRANGE", stream, "-", "+"], check=True, capture_output=True, text=True)
    return [(entry[0], entry[1][1]) for entry in json.loads(out.stdout)]


def sync_state(netbuild):
    try:
        return netbuild.api.request("GET", "/v1/sync")[1]
    except OSError:
        return {"state": "down"}


def kill_while_loading(netbuild):
    for round_ in range(LOAD_KILLS):
        netbuild.start(wait_ready=False)
        target = (round_ + 1) * 200

        def in_the_middle():
            state = sync_state(netbuild)
            if state["state"] == "streaming":
                raise Failed("the load was over before the kill: make it larger")
            return state["state"] == "loading" and state["load"]["instances"] >= target
        until("the load is in its middle", in_the_middle)
        netbuild.kill()
        say(f"  killed in the load after {target} instances or more")
    netbuild.start()
    code, report = netbuild.cli("verify")
    if code != 0:
        raise Failed(f"after the load: {report}")
    say(f"  loaded: {report['documents']} documents equal")


def kill_in_traffic(netbuild, stack, size):
    writers = [generate(stack, size.loaded + 1 + i * size.live, size.live) for i in range(2)]
    for _ in range(LIVE_KILLS):
        before = sync_state(netbuild)["applied"]["position"]
        until("capture moves on", lambda: sync_state(netbuild).get("applied", {}).get("position") not in (None, before))
        netbuild.kill()
        say(f"  killed at {before}")
        netbuild.start()
    for writer in writers:
        if writer.wait() != 0:
            raise Failed("the load failed")


def check_events(netbuild, stack, size, redis):
    out = subprocess.run([os.environ.get("NETBUILD", str(ROOT / "build/release/netbuild")), "events", "--config",
                          str(netbuild.config), "--json"], check=True, capture_output=True, text=True)
    events = [json.loads(line) for line in out.stdout.splitlines()]
    stored = [(event["position"], event["type"]) for event in events]
    positions = [tuple(map(int, position.split("-"))) for position, _ in stored]
    if positions != sorted(set(positions)):
        raise Failed("stored events are out of order or doubled")
    for type_, expected in (("process:started", 2 * size.live), ("process:completed", 2 * size.live), ("task:created", 4 * size.live)):
        found = sum(1 for _, one in stored if one == type_)
        if found != expected:
            raise Failed(f"{found} events {type_}, {expected} expected")
    if redis:
        stream = redis_events(stack, f"netbuild:events:{netbuild.name}")
        if stream != stored:
            only = set(stored) - set(stream)
            raise Failed(f"the stream has {len(stream)} events, the store {len(stored)}; missing e.g. {sorted(only)[:3]}")
    say(f"  {len(stored)} events, each once and in order" + (", the same in Redis" if redis else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mongodb", action="store_true")
    parser.add_argument("--redis", action="store_true")
    arguments = parser.parse_args()
    size = Size(arguments.mongodb)
    name = f"kill_{'m' if arguments.mongodb else 's'}{time.time_ns() // 1000000}"
    stack = scratch_database(stack_up(), name)
    if generate(stack, 1, size.loaded).wait() != 0:
        raise Failed("the load failed")
    with Netbuild(stack, name, mongodb=arguments.mongodb, redis=arguments.redis) as netbuild:
        kill_while_loading(netbuild)
        kill_in_traffic(netbuild, stack, size)
        netbuild.api.get("/v1/executions?limit=1", **{"X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "60000"})
        code, report = netbuild.cli("verify")
        if code != 0 or report["differenceCount"]:
            raise Failed(f"verify: exit {code}, {report}")
        say(f"  verify: {report['documents']} documents equal")
        check_events(netbuild, stack, size, arguments.redis)
    drop_database(stack, name)


if __name__ == "__main__":
    main()
