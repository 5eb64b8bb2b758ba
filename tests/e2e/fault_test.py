#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redis, MongoDB and PostgreSQL are restarted under a running netbuild, a second one stands by and takes
over when the first is killed. Readiness names the server that is away; in the end `verify` finds no
difference, and stored events and the Redis stream are the same, each event once.

Has servers of its own, for it takes them away; Camunda's schema comes from the tests' stack."""
import json
import subprocess
import time

from harness import NETBUILD, Failed, Netbuild, say, stack_up, until
from kill_test import generate, redis_events, scratch_database, sync_state
from servers import PrivateServers

BATCH = 60


def applied(netbuild):
    return sync_state(netbuild).get("applied", {}).get("position", "0-0")


def load(stack, state):
    first = state["next"]
    state["next"] += BATCH
    if generate(stack, first, BATCH).wait() != 0:
        raise Failed("the load failed")


def catch_up(netbuild, seconds=60):
    def fresh():
        try:
            return netbuild.api.request("GET", "/v1/executions?limit=1", headers={
                "X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "5000"})[0] == 200
        except OSError:
            return False
    until("the model has caught up", fresh, seconds)


def reasons(netbuild):
    status, body, _ = netbuild.api.request("GET", "/readyz")
    return "" if status == 200 else " ".join(body["reasons"])


def restart_under_load(servers, stack, netbuild, name, word, state):
    servers.take_away(name)
    if name != "postgres":
        load(stack, state)
    until(f"readiness names {word}", lambda: word in reasons(netbuild))
    servers.bring_back(name)
    load(stack, state)
    catch_up(netbuild)
    until("it is ready again", lambda: not reasons(netbuild))
    say(f"  {name} was away and came back: ready again at {applied(netbuild)}")


def main():
    source = stack_up()
    with PrivateServers() as servers:
        name = f"faults_{time.time_ns() // 1000000}"
        stack = scratch_database(source, name, servers.status())
        state = {"next": 1}
        with Netbuild(stack, name, mongodb=True, redis=True) as first, Netbuild(stack, name, mongodb=True, redis=True) as second:
            first.start()
            second.start(wait_ready=False)
            until("the second one stands by", lambda: sync_state(second)["state"] == "standby")
            load(stack, state)
            catch_up(first)
            restart_under_load(servers, stack, first, "redis", "Redis", state)
            restart_under_load(servers, stack, first, "mongodb", "MongoDB", state)
            restart_under_load(servers, stack, first, "postgres", "PostgreSQL", state)
            # After a restart either of them may have been first at the slot: the other one stands by.
            until("one streams, one stands by",
                  lambda: {sync_state(first)["state"], sync_state(second)["state"]} == {"streaming", "standby"})
            streaming, waiting = (first, second) if sync_state(first)["state"] == "streaming" else (second, first)
            streaming.kill()
            until("the other one takes over", lambda: sync_state(waiting)["state"] == "streaming")
            load(stack, state)
            catch_up(waiting)
            say("  the one that stood by took over")
            code, report = waiting.cli("verify")
            if code != 0:
                raise Failed(f"verify: exit {code}, {report}")
            out = subprocess.run([NETBUILD, "events", "--config", str(waiting.config), "--json"], check=True,
                                 capture_output=True, text=True)
            stored = [(event["position"], event["type"]) for event in map(json.loads, out.stdout.splitlines())]
            started = sum(1 for _, type_ in stored if type_ == "process:started")
            if started != state["next"] - 1:
                raise Failed(f"{started} process:started, {state['next'] - 1} expected")
            if redis_events(stack, f"netbuild:events:{name}") != stored:
                raise Failed("the Redis stream and the stored events differ")
            say(f"  verify: {report['documents']} documents equal; {len(stored)} events, the same in Redis")
            first.stop()  # both, before either drops the slot
            second.stop()


if __name__ == "__main__":
    main()
