#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three sync workers on one slot: one works, the others wait. kill -9 in traffic: another one goes on
within five seconds. SIGSTOP in traffic: another one takes over after postgres.wal_sender_timeout; the
stopped one, woken while the new one works, changes nothing.

  standby_test.py [--mongodb] [--redis]      without them: one SQLite file, its event stream in the process
"""
import argparse
import contextlib
import signal
import time

from evidence import catch_up, check_documents, check_stream, content, states
from harness import Failed, Netbuild, say, stack_up, until
from kill_test import drop_database, generate, scratch_database, sync_state

TAKEOVER_SECONDS_MAX = 5.0
WAL_SENDER_TIMEOUT_S = 2
STOPS = 2


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
        return now.count("streaming") == 1 and now.count("standby") == len(workers) - 1
    until("one streams and the others stand by", settled)
    streaming = states(workers).index("streaming")
    return workers[streaming], [w for i, w in enumerate(workers) if i != streaming]


def moves(worker):
    before = applied(worker)
    until("capture moves on", lambda: applied(worker) not in (before, "0-0"))


def taken_over(waiting, seconds):
    """Whoever of them streams and applies; how long it took."""
    started = time.monotonic()
    until("another one takes over", lambda: "streaming" in states(waiting), seconds)
    heir = waiting[states(waiting).index("streaming")]
    moves(heir)
    return heir, time.monotonic() - started


def kill_in_traffic(workers, traffic):
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        active.kill()
        _, seconds = taken_over(waiting, TAKEOVER_SECONDS_MAX)
    if seconds > TAKEOVER_SECONDS_MAX:
        raise Failed(f"the takeover after kill -9 took {seconds:.1f} s")
    say(f"  kill -9: another one streams and applies after {seconds:.2f} s")
    active.start(wait_ready=False)


def stop_and_wake_in_traffic(workers, traffic):
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        active.process.send_signal(signal.SIGSTOP)
        try:
            heir, seconds = taken_over(waiting, WAL_SENDER_TIMEOUT_S + TAKEOVER_SECONDS_MAX)
        finally:
            active.process.send_signal(signal.SIGCONT)  # into the other one's work
    roles(workers)
    catch_up(heir)
    say(f"  SIGSTOP: another one streams after {seconds:.2f} s; the stopped one was woken in traffic")


def stop_and_wake_when_idle(workers, traffic):
    """With nothing new to write, content and events must be the very same before and after."""
    active, waiting = roles(workers)
    with traffic.running():
        moves(active)
        active.process.send_signal(signal.SIGSTOP)
        try:
            heir, _ = taken_over(waiting, WAL_SENDER_TIMEOUT_S + TAKEOVER_SECONDS_MAX)
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
        kill_in_traffic(workers, traffic)
        for _ in range(STOPS):
            stop_and_wake_in_traffic(workers, traffic)
        stop_and_wake_when_idle(workers, traffic)
        active, _ = roles(workers)
        catch_up(active)
        documents = check_documents(active)
        events = check_stream(stack, active)
        say(f"  verify: {documents} documents equal; {events} events, each once"
            + (", the same in Redis" if arguments.redis else ""))
    drop_database(stack, name)


if __name__ == "__main__":
    main()
