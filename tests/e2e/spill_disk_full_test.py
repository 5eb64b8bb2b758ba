#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The disk under the spill file is full while a large transaction comes: capture waits, status and readiness
name it, nothing of the transaction is confirmed; when there is room again it goes through whole. The full
disk is a limit on the process's file sizes, for a test owns no disk: the write fails half-way all the same."""
import json
import resource
import time

from evidence import catch_up, check_documents
from harness import Failed, Netbuild, psql, say, stack_up, until
from kill_test import drop_database, scratch_database, sync_state
from large_transaction_test import BATCH, SEED, events_after

INSTANCES = 3000
TRANSACTION_MEMORY_MAX, FILE_BYTES_MAX = 100_000, 400_000


def in_one_transaction(stack, statements):
    psql(stack, "; ".join(sql.replace("%d", str(INSTANCES)) for sql in statements))


def file_sizes(netbuild, limit):
    resource.prlimit(netbuild.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def confirmed(stack, name):
    return psql(stack, f"select confirmed_flush_lsn from pg_replication_slots where slot_name = '{name}'")


def check_named(netbuild):
    spill = until("status names the spill", lambda: (one := sync_state(netbuild)["servers"]["spill"])["status"] == "down" and one)
    if "spill" not in spill["reason"]:
        raise Failed(f"the reason names no folder: {spill}")
    status, body, _ = netbuild.api.request("GET", "/readyz")
    if status != 503 or "spill" not in json.dumps(body["reasons"]):
        raise Failed(f"readiness: {status} {body}")
    return spill["reason"]


def main():
    name = f"full_{time.time_ns() // 1000000}"
    stack = scratch_database(stack_up(), name)
    # Its documents are in MongoDB: of its files only the spill grows.
    with Netbuild(stack, name, mongodb=True, redis=True, environment={
            "NETBUILD_CAPTURE_TRANSACTION_MEMORY_MAX": str(TRANSACTION_MEMORY_MAX)}) as netbuild:
        in_one_transaction(stack, SEED)
        netbuild.start()
        catch_up(netbuild)
        before = sync_state(netbuild)["applied"]["position"]
        file_sizes(netbuild, FILE_BYTES_MAX)
        start = psql(stack, "select pg_current_wal_flush_lsn()")
        in_one_transaction(stack, BATCH)
        end = psql(stack, "select pg_current_wal_flush_lsn()")
        reason = check_named(netbuild)
        if psql(stack, f"select '{confirmed(stack, name)}'::pg_lsn >= '{end}'::pg_lsn") != "f":
            raise Failed(f"confirmed up to {confirmed(stack, name)}; the transaction is from {start} to {end}")
        say(f"  waits and says: {reason}")
        file_sizes(netbuild, resource.RLIM_INFINITY)
        catch_up(netbuild)
        until("it is ready again", netbuild.ready)
        until("the transaction is confirmed", lambda: psql(
            stack, f"select '{confirmed(stack, name)}'::pg_lsn >= '{end}'::pg_lsn") == "t")
        counts, _ = events_after(netbuild, before)
        if counts != {"process:suspended": INSTANCES, "variable:updated": 2 * INSTANCES, "task:updated": INSTANCES}:
            raise Failed(f"events: {counts}")
        say(f"  then whole: {check_documents(netbuild)} documents equal, {sum(counts.values())} events")
    drop_database(stack, name)


if __name__ == "__main__":
    main()
