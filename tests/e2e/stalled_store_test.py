#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MongoDB stalls under traffic: connections stay, no byte passes. That costs lag, not memory: the slot
keeps the WAL meanwhile; when the network is mended the model catches up, and nothing is lost.

  stalled_store_test.py [--seconds 15]      --seconds 60 is longer than the driver's time-out
"""
import argparse
import contextlib
import pathlib
import re
import time

from chaos_test import Worker
from evidence import catch_up, check_documents, check_stream
from gate import Loop
from harness import Failed, psql, say, stack_up, until
from kill_test import generate, scratch_database, sync_state
from servers import PrivateServers

INSTANCES = 200
LAG_BYTES_MIN = 100_000_000
MEMORY_GROWS_MB_MAX = 128  # a batch on its way, the next one, the cache; far less than the lag
MEMORY_MB_MAX = 256


def memory_mb(netbuild):
    status = pathlib.Path(f"/proc/{netbuild.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) >> 10


def rewrite(stack):
    """Every variable gets another text of 3 kB, which PostgreSQL cannot compress."""
    psql(stack, "update act_hi_varinst set rev_ = rev_ + 1, text_ = (select string_agg(md5(random()::text || i), '') "
                "from generate_series(1, 100) i where id_ <> '')")


def lag_bytes(stack, name):
    return int(psql(stack, "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::bigint "
                           f"from pg_replication_slots where slot_name = '{name}'"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=15)
    arguments = parser.parse_args()
    source = stack_up()
    name = f"stall_{time.time_ns() // 1000000}"
    with contextlib.ExitStack() as cleanup:
        servers = cleanup.enter_context(PrivateServers())
        stack = scratch_database(source, name, servers.status())
        worker = Worker(cleanup.enter_context(Loop()), stack, name)
        netbuild = cleanup.enter_context(worker.netbuild)
        netbuild.environment.pop("NETBUILD_MONGODB_SOCKET_TIMEOUT")  # 45 s, as in production
        netbuild.start()
        if generate(stack, 1, INSTANCES).wait() != 0:
            raise Failed("the traffic failed")
        rewrite(stack)
        catch_up(netbuild)
        before = memory_mb(netbuild)
        worker.gates["mongodb"].stall()
        started = time.monotonic()
        while time.monotonic() - started < arguments.seconds or lag_bytes(stack, name) < LAG_BYTES_MIN:
            rewrite(stack)
        lag, seconds = lag_bytes(stack, name), time.monotonic() - started
        until("the store that does not answer is named", lambda: "MongoDB" in str(
            netbuild.api.request("GET", "/readyz")[1]))
        worker.gates["mongodb"].heal()
        started = time.monotonic()
        catch_up(netbuild, 300)
        healed, after = time.monotonic() - started, memory_mb(netbuild)
        say(f"  MongoDB stalled for {seconds:.0f} s, {lag >> 20} MB of WAL behind: caught up {healed:.1f} s later; "
            f"peak memory {before} MB before, {after} MB after")
        if after > MEMORY_MB_MAX or after - before > MEMORY_GROWS_MB_MAX:
            raise Failed(f"memory grew from {before} MB to {after} MB")
        if sync_state(netbuild)["state"] != "streaming":
            raise Failed("it does not stream")
        say(f"  {check_documents(netbuild)} documents equal, {check_stream(stack, netbuild)} events, the same in Redis")


if __name__ == "__main__":
    main()
