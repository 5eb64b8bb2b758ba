#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A connection that is open on one side only (a firewall that forgot it, a machine that went away without
a word) passes nothing, in both directions or in one. Readiness names the server within seconds; when the
network is mended capture goes on by itself, and nothing is lost."""
import contextlib
import itertools
import time

from chaos_test import TIMEOUTS, Worker
from evidence import catch_up, check_documents, check_stream
from gate import DOWN, UP, Loop
from harness import Failed, quickest, say, stack_up, until
from kill_test import generate, scratch_database, sync_state
from servers import PrivateServers

NOTICED_SECONDS_MAX = 20
INSTANCES = 40
WORDS = {"postgres": "PostgreSQL", "redis": "Redis", "mongodb": "MongoDB"}


def reasons(netbuild):
    status, body, _ = netbuild.api.request("GET", "/readyz")
    return "" if status == 200 else " ".join(body["reasons"])


def half_open(worker, stack, server, directions, first):
    writer = generate(stack, first, INSTANCES)
    before = time.monotonic()
    worker.gates[server].stall(*directions)
    named = until(f"readiness names {WORDS[server]}",
                  lambda: WORDS[server] in (text := reasons(worker.netbuild)) and text)
    noticed_s = time.monotonic() - before
    if writer.wait() != 0:
        raise Failed("the traffic failed")
    worker.gates[server].heal()
    until("it is ready again", lambda: not reasons(worker.netbuild))
    catch_up(worker.netbuild)
    say(f"  {server}, {' and '.join(directions)}: noticed after {noticed_s:.1f} s: {named[:160]}")
    return noticed_s


def main():
    source = stack_up()
    name = f"halfopen_{time.time_ns() // 1000000}"
    with contextlib.ExitStack() as cleanup:
        servers = cleanup.enter_context(PrivateServers())
        stack = scratch_database(source, name, servers.status())
        loop = cleanup.enter_context(Loop())
        worker = Worker(loop, stack, name)
        cleanup.enter_context(worker.netbuild)
        worker.netbuild.start()
        batch = itertools.count(1, INSTANCES)
        for server, directions in itertools.product(WORDS, ((UP, DOWN), (UP,), (DOWN,))):
            quickest(f"to notice {server}", NOTICED_SECONDS_MAX,
                     lambda: half_open(worker, stack, server, directions, next(batch)))
        if sync_state(worker.netbuild)["state"] != "streaming":
            raise Failed("it does not stream")
        documents = check_documents(worker.netbuild)
        events = check_stream(stack, worker.netbuild)
        say(f"  time-outs {TIMEOUTS}: {documents} documents equal, {events} events, the same in Redis")


if __name__ == "__main__":
    main()
