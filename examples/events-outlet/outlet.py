# SPDX-License-Identifier: Apache-2.0
"""REDIS_URL=… outlet.py FILE : the same as src/outlet.ts and src/main.ts, with redis-py: a line for each event, once,
whatever is restarted."""
import json
import os
import pathlib
import signal
import sys
import time

import redis

BATCH, BLOCK_MS = 200, 1000
STREAM, GROUP = os.environ.get("STREAM", "netbuild:events"), os.environ.get("GROUP", "example")
CONSUMER = os.environ.get("CONSUMER", "one")  # one name a process, the same after its restart
TAKE_OVER_MS = int(os.environ.get("TAKE_OVER_MS", "30000"))


def order(position):
    return tuple(int(part) for part in position.split("-"))


class Journal:
    """The effect and the note that it was done, in one write."""

    def __init__(self, path):
        self.path, self.handled, self.last = pathlib.Path(path), set(), "0-0"
        if self.path.exists():
            whole = self.path.read_bytes()
            whole = whole[:whole.rfind(b"\n") + 1]  # half a line of a process that was killed is no line
            self.path.write_bytes(whole)
            for line in whole.decode().splitlines():
                if line[0].isdigit():
                    self.remember(line.split(" ")[0])
        self.file = open(self.path, "ab", buffering=0)

    def remember(self, position):
        self.handled.add(position)
        self.last = max(self.last, position, key=order)

    def handle(self, position, event):
        if position not in self.handled:
            self.file.write(f"{position} {event['type']} {event['executionId']}\n".encode())
            self.remember(position)

    def gap(self, after, before):
        self.file.write(f"gap {after} {before}\n".encode())  # a service loads anew what it keeps: GET /v1/executions


def begin(client, journal):
    """The group begins behind what was handled, if it is not there."""
    try:
        client.xgroup_create(STREAM, GROUP, id=journal.last, mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    read = next(one["last-delivered-id"] for one in client.xinfo_groups(STREAM) if one["name"] == GROUP)
    first = client.xrange(STREAM, count=1)
    if first and read != "0-0" and order(first[0][0]) > order(read):
        journal.gap(read, first[0][0])  # what was trimmed away before the group came to it


def work(client, journal, entries):
    for position, event in entries:
        if event:  # else it was trimmed while it was pending
            json.loads(event["payload"])  # the event itself
            journal.handle(position, event)
            client.xack(STREAM, GROUP, position)


def read(client, after, wait=None):
    found = client.xreadgroup(GROUP, CONSUMER, {STREAM: after}, count=BATCH, block=wait)
    if isinstance(found, dict):  # RESP3
        found = [(stream, [entry for part in parts for entry in part]) for stream, parts in found.items()]
    return found[0][1] if found else []


def main():
    stopped = []
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopped.append(True))
    journal = Journal(sys.argv[1])
    client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), decode_responses=True)
    begun, looked_at = False, 0.0
    while not stopped:
        try:
            if not begun:
                begin(client, journal)
                own = read(client, "0")  # what this consumer had and did not acknowledge
                while own:
                    work(client, journal, own)
                    own = read(client, own[-1][0])
                begun = True
            if time.monotonic() - looked_at >= TAKE_OVER_MS / 2000:
                looked_at = time.monotonic()
                work(client, journal, client.xautoclaim(STREAM, GROUP, CONSUMER, TAKE_OVER_MS, "0", count=BATCH)[1])
            work(client, journal, read(client, ">", BLOCK_MS))
        except redis.RedisError as error:
            begun = False  # NOGROUP: the stream was begun anew; anything else: Redis is away
            if "NOGROUP" not in str(error):
                time.sleep(0.2)


if __name__ == "__main__":
    main()
