#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""events_outlet_test.py typescript | python : the example of the events' outlet beside a running server and a Redis of its
own. Its process is killed at work and started again; a second one takes over what the first one had; Redis restarts;
the stream is deleted and refilled under the group; it is trimmed past the group. Nothing is lost or handled twice but
what was trimmed, and that is said."""
import os
import pathlib
import subprocess
import sys

from harness import ROOT, EmbeddedServer, Failed, OwnRedis, end, say, until
from typescript_test import compile_project

FOLDER = ROOT / "examples/events-outlet"
STREAM = "netbuild:events"


def positions_of(redis):
    """Of the stream's entries."""
    return [line for line in redis.cli("xrange", STREAM, "-", "+").splitlines() if line.replace("-", "").isdigit() and "-" in line]


class Outlet:
    """A process of the example; several of one `name` go on where the last one was."""

    def __init__(self, which, redis, folder, name, group):
        self.file = folder / f"{group}-{name}.txt"
        self.environment = {"PATH": os.environ["PATH"], "REDIS_URL": redis.url, "CONSUMER": name, "GROUP": group, "TAKE_OVER_MS": "500"}
        self.command = ["node", FOLDER / "dist/src/main.js"] if which == "typescript" else [ROOT / ".deps/venv/bin/python", FOLDER / "outlet.py"]
        self.log = folder / f"{group}-{name}.log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*self.command, self.file], env=self.environment, stdout=log, stderr=log)
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        end(self.process, seconds=20)

    def lines(self):
        if self.process.poll() not in (None, 0, -9):
            raise Failed(f"the example ended with {self.process.returncode}: {self.log.read_text()[-2000:]}")
        text = self.file.read_text() if self.file.exists() else ""
        return text[:text.rfind("\n") + 1].splitlines()

    def handled(self):
        return [line.split(" ")[0] for line in self.lines() if not line.startswith("gap")]

    def gaps(self):
        return [line for line in self.lines() if line.startswith("gap")]


def equal(what, found, wanted):
    if sorted(found) != sorted(wanted):
        raise Failed(f"{what}: {len(found)} were handled, {len(set(found))} different ones, of {len(wanted)}; "
                     f"missing {sorted(set(wanted) - set(found))[:3]}, too many {sorted(set(found) - set(wanted))[:3]}")


def main():
    which = sys.argv[1]
    if which == "typescript":
        compile_project(FOLDER)
    server = EmbeddedServer("outlet", HTTP_AUTH="none", SIMULATOR_RATE=20)
    redis = OwnRedis("--appendonly", "yes", "--appendfsync", "always")
    server.environment["REDIS_URL"] = redis.url
    outlets = []

    def outlet(name, group="example"):
        outlets.append(Outlet(which, redis, server.folder, name, group))
        return outlets[-1].start()

    redis.start()
    try:
        first = outlet("one")  # before there is a stream
        server.start()
        for count in (20, 60, 120):
            until(f"{count} events are handled", lambda count=count: len(first.handled()) >= count)
            first.kill()
            first.start()
        redis.kill()
        redis.start()
        more = len(first.handled()) + 50
        until("it goes on after Redis", lambda: len(first.handled()) >= more)
        first.kill()
        second = outlet("two")  # has none of its notes: what the first one handled and could not acknowledge comes again
        until("the second one goes on", lambda: len(second.handled()) >= 50)
        positions = positions_of(redis)
        until("all is handled", lambda: set(first.handled()) | set(second.handled()) >= set(positions))
        second.stop()
        both = first.handled() + second.handled()
        twice = len(both) - len(set(both))
        if len(set(first.handled())) != len(first.handled()) or twice > 200:
            raise Failed(f"{twice} events were handled twice")
        say(f"  {len(positions)} events through kills of the example and of Redis; {twice} were both consumers'")

        alone = outlet("one", group="alone")
        until("a new group has all from the start", lambda: set(alone.handled()) >= set(positions))
        before = set(positions_of(redis))
        redis.cli("del", STREAM)  # as if Redis had lost it; the server refills it
        until("the stream is refilled", lambda: set(positions_of(redis)) >= before)
        until("the group is there again", lambda: "alone" in redis.cli("xinfo", "groups", STREAM))
        server.stop()
        positions = positions_of(redis)
        until("all is handled", lambda: set(alone.handled()) >= set(positions))
        alone.stop()
        equal("after the stream was begun anew", alone.handled(), positions)

        late = outlet("one", group="late")
        until("it has all", lambda: len(late.handled()) >= len(positions))
        late.stop()
        equal("before the trim", late.handled(), positions)
        redis.cli("xgroup", "setid", STREAM, "late", positions[9])  # as if it had stopped there
        late.file.write_text("".join(line + "\n" for line in late.lines()[:10]))
        redis.cli("xtrim", STREAM, "minid", positions[30])
        late.start()
        until("what is left is handled", lambda: len(late.handled()) >= 10 + len(positions) - 30)
        equal("after the trim", late.handled(), positions[:10] + positions[30:])
        if late.gaps() != [f"gap {positions[9]} {positions[30]}"]:
            raise Failed(f"the gap was not said: {late.gaps()}")
        say("  a stream begun anew lost nothing, a trimmed one said its gap")
    finally:
        for one in outlets:
            one.stop()
        server.stop()
        redis.close()
    say(f"the events' outlet in {which} holds")


if __name__ == "__main__":
    main()
