#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A value that netbuild cannot read, as an operator meets it: capture stops, readiness and the exit say
so; `netbuild deadletter` lists and shows it; by `sync.poison = skip` capture goes on without it, and
`retry` projects it once it can be read."""
import sqlite3
import subprocess
import time

from evidence import catch_up, stored_events
from harness import NETBUILD, Failed, Netbuild, psql, say, stack_up
from kill_test import drop_database, generate, scratch_database, sync_state

# A year that PostgreSQL takes and no calendar of ours does, and the same instance with a right one: a
# stand-in for the version of netbuild that can read it.
UNREADABLE, READABLE = "202600-01-01 00:00:00", "2026-01-01 00:00:00.5"
BATCH = 20


def expect(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: {found}, expected {wanted}")


def poison(stack, id_):
    psql(stack, "insert into act_hi_procinst(id_, proc_inst_id_, business_key_, proc_def_key_, proc_def_id_, start_time_, "
                f"root_proc_inst_id_, state_) values ('{id_}', '{id_}', 'key-{id_}', 'order', 'order:1:def', '{UNREADABLE}', "
                f"'{id_}', 'ACTIVE')")


def traffic(stack, first):
    if generate(stack, first, BATCH).wait() != 0:
        raise Failed("the traffic failed")


def refused(netbuild, words, *arguments):
    out = subprocess.run([NETBUILD, "deadletter", *arguments, "--config", str(netbuild.config)], capture_output=True,
                         text=True, env=netbuild.environment)
    if out.returncode != 1 or words not in out.stderr:
        raise Failed(f"{' '.join(arguments)}: exit {out.returncode}, 1 expected with \"{words}\": {out.stderr}")


def the_letter(netbuild, status):
    code, letters = netbuild.cli("deadletter", "list")
    expect("list", (code, [one["status"] for one in letters["items"]]), (0, [status]))
    return letters["items"][0]


def stopped(netbuild, stack):
    """The default: nothing past it is confirmed, and what was before it is there."""
    poison(stack, "poison")
    traffic(stack, BATCH + 1)
    expect("capture ends with an error", netbuild.process.wait(timeout=60) != 0, True)
    if "dead letter" not in netbuild.tail():
        raise Failed(f"the log does not name the dead letter: {netbuild.tail()}")
    letter = the_letter(netbuild, "stopped")
    code, shown = netbuild.cli("deadletter", "show", letter["_id"])
    expect("show", code, 0)
    row = shown["shownRows"][0]
    expect("the row", (row["table"], row["operation"], row["columns"]["id_"], row["columns"]["start_time_"]),
           ("act_hi_procinst", "insert", "poison", UNREADABLE))
    refused(netbuild, "capture stands before it", "retry", letter["_id"])
    say(f"  stopped before it, exit {netbuild.process.returncode}: {letter['reason']}")


def skipped(netbuild):
    netbuild.environment["NETBUILD_SYNC_POISON"] = "skip"
    netbuild.start()
    catch_up(netbuild)
    expect("started", sum(kind == "process:started" for _, kind, _ in stored_events(netbuild)), 2 * BATCH)
    letter = the_letter(netbuild, "skipped")
    expect("the document", netbuild.api.request("GET", "/v1/executions/poison?by=processInstanceId")[0], 404)
    refused(netbuild, "is not a timestamp", "retry", letter["_id"])
    the_letter(netbuild, "skipped")
    refused(netbuild, "dead letter 0-0", "show", "0-0")
    say("  skipped: what came after it is there")
    return letter


def retried(netbuild, letter):
    with sqlite3.connect(netbuild.folder / "data/store.sqlite", timeout=30) as store:
        for id_, body in store.execute("select id, body from dead_letter_rows").fetchall():
            mended = body.replace(UNREADABLE.encode(), READABLE.encode())
            expect("the rows hold the value", mended != body, True)
            store.execute("update dead_letter_rows set body = ? where id = ?", (mended, id_))
    store.close()
    code, answer = netbuild.cli("deadletter", "retry", letter["_id"])
    expect("retry", (code, answer["status"]), (0, "projected"))
    document = netbuild.api.get("/v1/executions/poison?by=processInstanceId")
    expect("the document", (document["executionId"], document["status"]), ("key-poison", "active"))
    refused(netbuild, "projected already", "retry", letter["_id"])
    expect("its state", sync_state(netbuild)["state"], "streaming")
    say(f"  projected after all: {answer.get('answer')}")


def main():
    name = f"letter_{time.time_ns() // 1000000}"
    stack = scratch_database(stack_up(), name)
    with Netbuild(stack, name) as netbuild:
        netbuild.start()
        traffic(stack, 1)
        catch_up(netbuild)
        stopped(netbuild, stack)
        letter = skipped(netbuild)
        retried(netbuild, letter)
    drop_database(stack, name)


if __name__ == "__main__":
    main()
