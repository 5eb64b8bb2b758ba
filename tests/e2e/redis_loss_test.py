#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Redis of the test's own loses data under a running netbuild, while traffic goes on and while all is idle:
everything (FLUSHALL, DEL), its newest entries (XDEL, a restart with an older append-only file), all entries but
not the key (XTRIM). Each time the stream is, entry by entry, what is stored; a reader of server-sent events
that was there all the time has every event once; a Pub/Sub subscriber has none twice."""
import collections
import http.client
import json
import shutil
import socket
import threading
import time
import urllib.request

from harness import Failed, Netbuild, OwnRedis, say, stack_up, until
from kill_test import generate, redis_events, scratch_database
from slot_test import as_number, events_of, metrics

BATCH = 60
DELETE_NEWEST = """for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[1])) do
    redis.call('XDEL', KEYS[1], entry[1])
end"""


class EventReader(threading.Thread):
    """Server-sent events from the beginning; like a browser it comes back with the last id that it had."""

    def __init__(self, netbuild):
        super().__init__(daemon=True)
        self.url, self.positions = f"http://127.0.0.1:{netbuild.port}/v1/events", ["0-0"]
        self.start()

    def run(self):
        while True:
            request = urllib.request.Request(self.url, headers={"Last-Event-ID": self.positions[-1]})
            try:
                with urllib.request.urlopen(request, timeout=120) as stream:
                    for line in stream:
                        if line.startswith(b"data: "):
                            event = json.loads(line[6:])
                            if event["source"] == "engine":
                                self.positions.append(event["position"])
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)


class Subscriber(threading.Thread):
    """Every channel; comes back after a restart of the server."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.positions = port, collections.Counter()
        self.start()

    def run(self):
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as connection:
                    connection.sendall(b"PSUBSCRIBE *\r\n")
                    for line in connection.makefile("rb"):
                        if line.startswith(b'{"position"'):
                            self.positions[json.loads(line)["position"]] += 1
            except OSError:
                time.sleep(0.02)


class Test:
    def __init__(self, redis, netbuild, stack):
        self.redis, self.netbuild, self.stack, self.next = redis, netbuild, stack, 1
        self.stream = f"netbuild:events:{netbuild.name}"

    def traffic(self):
        self.next += BATCH
        return generate(self.stack, self.next - BATCH, BATCH)

    def load(self):
        if self.traffic().wait() != 0:
            raise Failed("the load failed")

    def settled(self, seconds=60):
        """The stream is what is stored."""
        self.netbuild.api.get("/v1/executions?limit=1", **{"X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "30000"})
        self.stored = [(event["position"], event["type"]) for event in events_of(self.netbuild)]
        until("the stream is what is stored", lambda: redis_events({"redis": f":{self.redis.port}"}, self.stream) == self.stored,
              seconds)

    def lose(self, what, damage):
        """Once while writers run, once while nothing happens: nobody appends then, and still it is seen."""
        writer = self.traffic()
        damage()
        if writer.wait() != 0:
            raise Failed("the load failed")
        self.settled()
        damage()
        self.settled()
        say(f"  {what}: {len(self.stored)} events, the same in Redis")

    def restart_with_an_older_file(self):
        older, files = self.redis.folder / "older", self.redis.folder / "appendonlydir"
        self.redis.cli("WAIT", "0", "10")
        shutil.copytree(files, older)
        self.load()
        self.settled()
        self.redis.kill()
        shutil.rmtree(files)
        older.rename(files)
        self.redis.start()
        self.load()
        self.settled()
        say(f"  restart with an older file: {len(self.stored)} events, the same in Redis")


def main():
    name = f"redis_loss_{time.time_ns() // 1000000}"
    source = stack_up()
    stack = scratch_database(source, name)
    with OwnRedis("--appendonly", "yes", "--appendfsync", "everysec", "--loglevel", "warning") as redis:
        stack["redis"] = redis.url
        with Netbuild(stack, name, redis=True) as netbuild:
            netbuild.start()
            test = Test(redis, netbuild, stack)
            subscriber, reader = Subscriber(redis.port), EventReader(netbuild)
            test.load()
            test.settled()
            test.lose("FLUSHALL", lambda: redis.cli("FLUSHALL"))
            test.lose("DEL of the stream", lambda: redis.cli("DEL", test.stream))
            test.lose("XDEL of the newest 25", lambda: redis.cli("EVAL", DELETE_NEWEST, "1", test.stream, "25"))
            test.lose("XTRIM of all", lambda: redis.cli("XTRIM", test.stream, "MAXLEN", "0"))
            test.restart_with_an_older_file()
            expected = [position for position, _ in test.stored]
            until("the reader has all", lambda: reader.positions[-1:] == expected[-1:])
            if reader.positions[1:] != expected:
                raise Failed(f"the reader had {len(reader.positions)} events, {len(expected)} are stored")
            twice = [position for position, times in subscriber.positions.items() if times > 1]
            if twice or not subscriber.positions:
                raise Failed(f"Pub/Sub gave {len(subscriber.positions)} events, {len(twice)} of them twice: {twice[:3]}")
            if "netbuild_refilled_events_total 0" in metrics(netbuild):
                raise Failed("no metric says that the stream was refilled")
            missed = len(set(expected) - set(subscriber.positions))
            say(f"  the reader had each of {len(expected)} events once; Pub/Sub had none twice and missed {missed}")
            resumed = expected[len(expected) // 2]
            later = [event["position"] for event in events_of(netbuild, "--from", resumed)]
            if later != [position for position in expected if as_number(position) > as_number(resumed)]:
                raise Failed("a reader that resumes inside the refilled stream does not have every event once")


if __name__ == "__main__":
    main()
