#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The slot on a PostgreSQL of the test's own: an idle Camunda in a busy cluster keeps no WAL; a slot that is
dropped, or lost for the WAL that it kept, is noticed within 5 s, said, and healed by a reconcile at the next
epoch; so are a base backup that was restored and a promoted standby. The gap that remains stands once, at its
place, in the stored events, the Redis stream and the server-sent events.

  slot_test.py idle|lost|history
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

from harness import NETBUILD, ROOT, Failed, Netbuild, psql, quickest, say, stack_up, until
from kill_test import generate, redis_events, scratch_database, sync_state
from private_postgres import PrivatePostgres

NOTICED_SECONDS_MAX = 5
BATCH = 60


def events_of(netbuild, *arguments):
    out = subprocess.run([NETBUILD, "events", "--config", str(netbuild.config), "--json", *arguments], check=True,
                         capture_output=True, text=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


def server_sent_events(netbuild, start, stop):
    """(id, type) of those after `start`, up to one whose id is `stop`."""
    found, position = [], None
    with urllib.request.urlopen(f"http://127.0.0.1:{netbuild.port}/v1/events?from={start}", timeout=30) as stream:
        for line in stream:
            text = line.decode().rstrip("\n")
            if text.startswith("id: "):
                position = text.split('"')[1]
            elif text.startswith("event: snapshot:"):
                continue  # NetBuild's own data
            elif text.startswith("event: "):
                found.append((position, text[7:]))
                if position == stop:
                    return found
    raise Failed("the stream of events ended")


class Capture:
    """netbuild on a scratch database of the private server, with the tests' Redis."""

    def __init__(self, source, server, name):
        self.server, self.next = server, 1
        self.stack = scratch_database(source, name, {"postgres": server.address(), "redis": source["redis"]})
        self.netbuild = Netbuild(self.stack, name, redis=True)
        self.name, self.epoch = name, 0

    def load(self):
        if generate(self.stack, self.next, BATCH).wait() != 0:
            raise Failed("the load failed")
        self.next += BATCH

    def catch_up(self):
        def fresh():
            try:
                return self.netbuild.api.request("GET", "/v1/executions?limit=1", headers={
                    "X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "5000"})[0] == 200
            except OSError:
                return False
        until("the model has caught up", fresh)
        until("netbuild is ready", self.netbuild.ready)

    def position(self):
        return sync_state(self.netbuild).get("applied", {}).get("position", "0-0")

    def noticed(self, since, lost_before):
        """By log, status and metrics; after how many seconds."""
        until("the loss is noticed", lambda: sync_state(self.netbuild).get("slotsLost", 0) > lost_before)
        seconds = time.monotonic() - since
        if "the slot is lost" not in (self.netbuild.folder / "log").read_text():
            raise Failed("the log says nothing of the lost slot")
        until("the metric says it", lambda: re.search(r"^netbuild_slots_lost_total [1-9]", metrics(self.netbuild), re.M))
        say(f"  noticed after {seconds:.1f} s")
        return seconds

    def check_healed(self, before, reason):
        """A new epoch, the model right, one gap, at its place, everywhere."""
        self.epoch += 1
        # Before anything is written: a restored server whose WAL has grown past our checkpoint when we come
        # back to it looks like one that has only gone on.
        until("the epoch is raised", lambda: int(self.position().split("-")[0]) >> 48 == self.epoch)
        self.load()
        self.catch_up()
        if int(self.position().split("-")[0]) >> 48 != self.epoch:
            raise Failed(f"epoch {self.epoch} expected: {self.position()}")
        code, report = self.netbuild.cli("verify")
        if code != 0 or report["differenceCount"]:
            raise Failed(f"verify: exit {code}, {report}")
        stored = events_of(self.netbuild)
        gaps = [event for event in stored if event["type"] == "gap"]
        if len(gaps) != self.epoch:
            raise Failed(f"{self.epoch} gaps expected: {gaps}")
        gap, first = gaps[-1], f"{self.epoch << 48}-0"
        if (gap["position"], gap["to"], gap["reason"], gap["source"]) != (first, first, reason, "engine"):
            raise Failed(f"the gap is {gap}")
        if as_number(gap["from"]) < as_number(before) or int(gap["from"].split("-")[0]) >> 48 != self.epoch - 1:
            raise Failed(f"the gap begins at {gap['from']}; applied was {before}")
        pairs = [(event["position"], event["type"]) for event in stored]
        if pairs != sorted(set(pairs), key=lambda pair: as_number(pair[0])):
            raise Failed("stored events are out of order or doubled")
        if redis_events(self.stack, f"netbuild:events:{self.name}") != pairs:
            raise Failed("the Redis stream and the stored events differ")
        seen = server_sent_events(self.netbuild, before, pairs[-1][0])
        if seen != [pair for pair in pairs if as_number(pair[0]) > as_number(before)]:
            raise Failed("the server-sent events differ from the stored ones")
        say(f"  healed: epoch {self.epoch}, {report['documents']} documents equal, gap {gap['from']} → {gap['to']} ({reason})")


def as_number(position):
    return tuple(map(int, position.split("-")))


def metrics(netbuild):
    return netbuild.api.request("GET", "/metrics")[1].decode()


def idle(source, name):
    """Only another database writes: 40 MB and more, of which the slot must let go."""
    with PrivatePostgres(max_slot_wal_keep_size="1GB").create() as server:
        capture = Capture(source, server, name)
        psql({"postgres": {**server.address(), "dbname": "postgres"}}, "create database other")
        other = {"postgres": {**server.address(), "dbname": "other"}}
        psql(other, "create table noise (text text)")
        with capture.netbuild as netbuild:
            netbuild.start()
            capture.load()
            capture.catch_up()
            began = server.sql("select pg_current_wal_lsn()")

            def written():
                return int(server.sql(f"select pg_wal_lsn_diff(pg_current_wal_lsn(), '{began}')::bigint"))

            def retained():
                return int(server.sql("select pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint "
                                      f"from pg_replication_slots where slot_name = '{name}'"))
            while written() < 40_000_000:
                psql(other, "insert into noise select repeat(md5(i::text), 20) from generate_series(1, 10000) i")
            kept = retained()
            server.sql("checkpoint")  # writes what a slot's restart_lsn moves by; otherwise every 15 s

            def moved():
                psql(other, "insert into noise values ('x')")
                return retained() < 2_000_000
            until("the slot lets go of the WAL", moved)
            say(f"  {written()} bytes written by another database, {kept} kept for a moment, {retained()} now")
            check_budget(capture)
            check_metrics(netbuild)


def check_budget(capture):
    """status with and without a running server."""
    netbuild = capture.netbuild
    until("the budget is known", lambda: (sync_state(netbuild).get("slot") or {}).get("walBytesPerSecond") is not None)
    code, running = netbuild.cli("status")
    slot = running["slot"]
    if code != 0 or running["from"] != "a running server" or running["rates"]["eventsPerSecond"] is None:
        raise Failed(f"status: exit {code}, {running}")
    if slot["limitBytes"] != 1 << 30 or not 0 < slot["safeWalBytes"] <= (1 << 30) + (64 << 20):
        raise Failed(f"the slot's budget: {slot}")
    if slot["walBytesPerSecond"] > 0:
        minutes = slot["safeWalBytes"] / slot["walBytesPerSecond"] / 60
        if abs(slot["minutesLeft"] - minutes) > 0.02 * minutes + 0.02:
            raise Failed(f"minutes left: {slot}")
    if not {"bytes", "ms"} <= running["lag"].keys():
        raise Failed(f"lag: {running['lag']}")
    say(f"  budget: {slot['safeWalBytes']} bytes, {slot['minutesLeft']} minutes at {slot['walBytesPerSecond']} bytes/s")
    netbuild.stop()
    code, alone = netbuild.cli("status")
    if code != 0 or alone["from"] != "two readings" or alone["slot"]["active"] or alone["slot"]["safeWalBytes"] is None:
        raise Failed(f"status without a server: exit {code}, {alone}")
    if "eventDocumentsPerSecond" not in alone["rates"] or not {"bytes", "ms"} <= alone["lag"].keys():
        raise Failed(f"status without a server: {alone}")
    netbuild.start()


def check_metrics(netbuild):
    """The documented names are those that there are."""
    until("the slot is measured", lambda: "netbuild_slot_minutes_left" in metrics(netbuild) or
          "netbuild_wal_bytes_per_second" in metrics(netbuild))
    there = set(re.findall(r"^# TYPE (\S+)", metrics(netbuild), re.M))
    table = (ROOT / "docs/guide/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(netbuild_\w+)", table, re.M))
    sometimes = set(re.findall(r"^\| `(netbuild_\w+)[^|]*\|[^|]*\|[^|]*only ", table, re.M))
    if there - documented or documented - there - sometimes:
        raise Failed(f"undocumented: {there - documented}; not there: {documented - there - sometimes}")
    say(f"  {len(there)} metrics, all documented")


def drop_under_load(capture):
    capture.load()
    capture.catch_up()
    before, lost_before = capture.position(), sync_state(capture.netbuild)["slotsLost"]
    writer = generate(capture.stack, capture.next, 4 * BATCH)
    capture.next += 4 * BATCH
    # In one session, as fast as it can: the worker wants its slot back at once.
    capture.server.sql(f"""do $$ begin
        while exists (select 1 from pg_replication_slots where slot_name = '{capture.name}') loop
            begin
                perform pg_terminate_backend(active_pid, 1000) from pg_replication_slots
                    where slot_name = '{capture.name}' and active_pid is not null;
                perform pg_drop_replication_slot('{capture.name}');
            exception when others then null;
            end;
        end loop; end $$""")
    seconds = capture.noticed(time.monotonic(), lost_before)
    writer.wait()
    capture.check_healed(before, "slot_lost")
    return seconds


def lose_by_size(capture):
    """netbuild is held by SIGSTOP while the cluster writes more than the slot may keep."""
    before = capture.position()
    lost_before = sync_state(capture.netbuild)["slotsLost"]
    os.kill(capture.netbuild.process.pid, 19)
    try:
        def lost():
            for _ in range(3):
                capture.server.sql("insert into public.noise select repeat(md5(i::text), 20) from generate_series(1, 10000) i")
                capture.server.sql("select pg_switch_wal()")
            capture.server.sql("checkpoint")
            return capture.server.sql(f"select wal_status from pg_replication_slots where slot_name = '{capture.name}'") == "lost"
        capture.server.sql("create table if not exists public.noise (text text)")
        until("the slot is lost", lost)
    finally:
        os.kill(capture.netbuild.process.pid, 18)
    seconds = capture.noticed(time.monotonic(), lost_before)
    capture.check_healed(before, "slot_lost")
    return seconds


def lost(source, name):
    with PrivatePostgres(max_slot_wal_keep_size="32MB", max_wal_size="64MB").create() as server:
        capture = Capture(source, server, name)
        with capture.netbuild as netbuild:
            netbuild.start()
            quickest("to notice a dropped slot", NOTICED_SECONDS_MAX, lambda: drop_under_load(capture))
            quickest("to notice a lost slot", NOTICED_SECONDS_MAX, lambda: lose_by_size(capture))


def history(source, name):
    """LSNs that go backwards, and another timeline."""
    with PrivatePostgres().create() as server:
        capture = Capture(source, server, name)
        with capture.netbuild as netbuild:
            netbuild.start()
            capture.load()
            capture.catch_up()
            server.stop()
            server.copy("older")
            server.start()
            capture.load()
            capture.catch_up()
            before = capture.position()
            server.stop()
            server.restore("older")
            server.start()
            capture.next -= BATCH  # what the restored server has never heard of
            capture.check_healed(before, "source_set_back")
            before = capture.position()
            promote(server)
            capture.check_healed(before, "source_changed")


def promote(server):
    """A standby made by pg_basebackup takes the server's place."""
    standby = server.base / "standby"
    server.run("pg_basebackup", "-h", "127.0.0.1", "-p", server.port, "-U", "camunda", "-D", standby, "-R", "-X", "stream",
               "-c", "fast")
    server.stop()
    server.data.rename(server.base / "former")
    standby.rename(server.data)
    server.start()
    server.sql("select pg_promote()", "postgres")


def main():
    what = {"idle": idle, "lost": lost, "history": history}[sys.argv[1]]
    what(stack_up(), f"slot_{sys.argv[1]}{time.time_ns() // 1000000}")


if __name__ == "__main__":
    main()
