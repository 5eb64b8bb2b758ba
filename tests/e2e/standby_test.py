#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three sync workers on one slot: one works, the others wait. kill -9 in traffic: another one goes on
within five seconds. SIGSTOP in traffic: another one takes over after postgres.wal_sender_timeout; the
stopped one, woken while the new one works, changes nothing.

  standby_test.py [--mongodb] [--redis]      without them: one SQLite file, its event stream in the process
"""
import argparse
import contextlib
import json
import os
import signal
import sqlite3
import time

from evidence import catch_up, check_documents, check_stream, content, states
from harness import WAIT_SECONDS_MAX, Failed, Netbuild, quickest, say, stack_up, until
from kill_test import drop_database, generate, scratch_database, sync_state

TAKEOVER_SECONDS_MAX = 5.0
WAL_SENDER_TIMEOUT_S = 2
STOP_ATTEMPTS_MAX = 50


class Traffic:
    """Process instances one after the other, in the background."""

    def __init__(self, stack, count):
        self.stack, self.count, self.next = stack, count, 1

    @contextlib.contextmanager
    def running(self):
        writer = generate(self.stack, self.next, self.count)
        self.next += self.count
        yield
        if writer.wait() != 0:
            raise Failed("the traffic failed")


def applied(worker):
    return sync_state(worker).get("applied", {}).get("position", "0-0")


def roles(workers):
    """The one that streams and the others."""
    def settled():
        now = states(workers)
        return now.count("streaming") == 1 and now.count("standby") == len(workers) - 1 and now
    streaming = until("one streams and the others stand by", settled).index("streaming")
    return workers[streaming], [w for i, w in enumerate(workers) if i != streaming]


def moves(worker):
    before = applied(worker)
    until("capture moves on", lambda: applied(worker) not in (before, "0-0"))


def taken_over(waiting):
    """Whoever of them streams and applies; how long it took."""
    started = time.monotonic()
    now = until("another one takes over", lambda: "streaming" in (now := states(waiting)) and now)
    heir = waiting[now.index("streaming")]
    moves(heir)
    return heir, time.monotonic() - started


@contextlib.contextmanager
def write_lock(database, seconds=0.2):
    """SQLite's, which one process of all has; OperationalError if another one keeps it."""
    connection = sqlite3.connect(database, timeout=seconds, isolation_level=None)
    try:
        connection.execute("begin immediate")
        yield
        connection.execute("rollback")
    finally:
        connection.close()


def stop(worker, database):
    """SIGSTOP, but not within a write transaction of SQLite: then nobody could write before it goes on."""
    for _ in range(STOP_ATTEMPTS_MAX):
        worker.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.process.pid, os.WSTOPPED | os.WNOWAIT)
        if not database:
            return
        try:
            with write_lock(database):
                return
        except sqlite3.OperationalError:
            worker.process.send_signal(signal.SIGCONT)
            with write_lock(database, WAIT_SECONDS_MAX):  # it has come to the end of that one
                pass
    raise Failed(f"{STOP_ATTEMPTS_MAX} times it was stopped within a write transaction")


def kill_in_traffic(workers, traffic):
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        active.kill()
        _, seconds = taken_over(waiting)
    say(f"  kill -9: another one streams and applies after {seconds:.2f} s")
    active.start(wait_ready=False)
    return seconds


def stop_and_wake_in_traffic(workers, traffic, database):
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        stop(active, database)
        try:
            heir, seconds = taken_over(waiting)
        finally:
            active.process.send_signal(signal.SIGCONT)  # into the other one's work
    roles(workers)
    catch_up(heir)
    say(f"  SIGSTOP: another one streams after {seconds:.2f} s; the stopped one was woken in traffic")
    return seconds


def take_over_from_a_locked_file(workers, traffic, database):
    """Whoever hangs within a write transaction of SQLite keeps all others from writing, and they say so."""
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        with write_lock(database, WAIT_SECONDS_MAX):
            active.kill()
            until("the one that takes over says what it waits for", lambda: any(
                "database is locked" in json.dumps(sync_state(worker).get("servers")) for worker in waiting))
            if "streaming" in states(waiting):
                raise Failed("somebody streams who cannot have made his claim")
        taken_over(waiting)
    active.start(wait_ready=False)
    say("  a locked SQLite file is waited for, and named")


def stop_and_wake_when_idle(workers, traffic, database):
    """With nothing new to write, content and events must be the very same before and after."""
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        stop(active, database)
        try:
            heir, _ = taken_over(waiting)
        except Failed:
            active.process.send_signal(signal.SIGCONT)
            raise
    catch_up(heir)
    before = content(heir)
    active.process.send_signal(signal.SIGCONT)
    until("the woken one stands by", lambda: sync_state(active)["state"] == "standby")
    if content(heir) != before:
        raise Failed("a worker that was stopped and woken has changed documents or events")
    say("  SIGSTOP, takeover, SIGCONT: content and events are the same before and after")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mongodb", action="store_true")
    parser.add_argument("--redis", action="store_true")
    arguments = parser.parse_args()
    name = f"standby_{'m' if arguments.mongodb else 's'}{time.time_ns() // 1000000}"
    stack = scratch_database(stack_up(), name)
    with contextlib.ExitStack() as cleanup:
        workers = []
        for _ in range(3):
            worker = Netbuild(stack, name, arguments.mongodb, arguments.redis,
                              environment={"NETBUILD_POSTGRES_WAL_SENDER_TIMEOUT": f"{WAL_SENDER_TIMEOUT_S}s"},
                              store=workers[0].folder / "data" if workers else None)
            workers.append(cleanup.enter_context(worker))
        cleanup.callback(lambda: [worker.stop() for worker in workers])  # all, before one drops the slot
        for worker in workers:
            worker.start(wait_ready=False)
        traffic = Traffic(stack, 200 if arguments.mongodb else 400)
        database = None if arguments.mongodb else workers[0].folder / "data/store.sqlite"
        quickest("the takeover after kill -9", TAKEOVER_SECONDS_MAX, lambda: kill_in_traffic(workers, traffic))
        quickest("the takeover after SIGSTOP", WAL_SENDER_TIMEOUT_S + TAKEOVER_SECONDS_MAX,
                 lambda: stop_and_wake_in_traffic(workers, traffic, database))
        stop_and_wake_when_idle(workers, traffic, database)
        if database:
            take_over_from_a_locked_file(workers, traffic, database)
        active, _ = roles(workers)
        catch_up(active)
        documents = check_documents(active)
        events = check_stream(stack, active)
        say(f"  verify: {documents} documents equal; {events} events, each once"
            + (", the same in Redis" if arguments.redis else ""))
    drop_database(stack, name)


if __name__ == "__main__":
    main()
