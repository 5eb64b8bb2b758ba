#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet: one `netbuild serve` that captures, two with Socket.IO, and a real Node server with the official adapter (the
argument), on a Redis of the test's own. Clients of all of them are in one room and get each event once, while the node
that publishes for the Node server is killed; a client of one NetBuild node comes back at the other, and at its own after
that was killed, and has what it missed."""
import json
import pathlib
import subprocess
import sys
import tempfile

from cluster_test import MODES, PACKAGES, Node, Redis, check, soon
from harness import EmbeddedServer, Failed, say, until

ROOM = "domain:acme"
MORE = 25


class Fleet:
    def __init__(self, which, redis):
        self.redis, self.port = redis, redis.ports[0]
        adapter, mode, specific, _ = MODES[which]
        shared = {"REDIS_URL": redis.urls[0], "HTTP_AUTH": "none"}
        self.capture = EmbeddedServer("fleet-capture", "--roles", "sync,api", SIMULATOR_RATE=10, **shared)
        self.servers = [EmbeddedServer(f"fleet-{n}", "--roles", "api,realtime", STORE_PATH=self.capture.folder, REALTIME_ADAPTER=adapter,
                                       REALTIME_ADAPTER_MODE=mode, **shared) for n in (1, 2)]
        self.node = self.clients = None
        self.command = ["node", PACKAGES / "node.mjs", adapter, mode, "1" if specific else "0", *redis.urls]

    def start(self):
        for server in (self.capture, *self.servers):
            server.start()
        self.node = Node("node", self.command)
        self.clients = Node("clients", ["node", PACKAGES / "resuming.mjs"])

    def stop(self):
        for node in (self.node, self.clients):
            if node:
                node.stop()
        for server in (*self.servers, self.capture):
            server.stop()

    def realtime(self, server):
        return server.api.get("/v1/sync")["realtime"]

    def publisher(self):
        """The server that publishes; one that was killed says nothing."""
        for server in self.servers:
            if server.process.poll() is None and self.realtime(server)["publisher"]["state"] == "publishing":
                return server
        return None

    def told(self, stream="events"):
        """Positions of the room's events, as a stream has them."""
        out = subprocess.run(["redis-cli", "-c", "-p", str(self.port), "--json", "XRANGE", f"netbuild:{stream}", "-", "+"], check=True,
                             capture_output=True, text=True).stdout
        entries = [(position, dict(zip(fields[::2], fields[1::2]))) for position, fields in json.loads(out)]
        return [position for position, fields in entries if fields["domainId"] == "acme"]

    @staticmethod
    def got(node, sid, source="engine"):
        return [each["data"][1]["position"] for each in node.events if each.get("got") == sid and each["data"][1].get("source") == source]

    def more(self, node, sid):
        """Waits until it has got some more events."""
        count = len(self.got(node, sid)) + MORE
        until(f"{sid} gets more events", lambda: len(self.got(node, sid)) >= count)

    def more_told(self):
        count = len(self.told()) + MORE
        until("more events happen", lambda: len(self.told()) >= count)

    def check_whole(self, who, node, sid):
        """From its first event on it has each one of either stream once, in order."""
        for source, stream in (("engine", "events"), ("documents", "documents")):
            got, told = self.got(node, sid, source), self.told(stream)
            wanted = told[told.index(got[0]):][:len(got)]
            wrong = [(at, *pair) for at, pair in enumerate(zip(got, wanted)) if pair[0] != pair[1]]
            check(f"{source} events of {who}: where, got, wanted", wrong[:1], [])
            say(f"{who}: {len(got)} events of {source}, each once")


def published(fleet):
    """The Node server's client has each event once while publishers die."""
    fleet.node.value("add", sid="n1", names=[ROOM])
    fleet.more(fleet.node, "n1")
    for round_ in range(2):
        first = until("one publishes", fleet.publisher)
        other = next(server for server in fleet.servers if server is not first)
        check("the other's state", fleet.realtime(other)["publisher"]["state"], "standby")
        first.kill()
        soon("who publishes", fleet.publisher, other)
        fleet.more(fleet.node, "n1")
        first.start()
        fleet.more(fleet.node, "n1")
    until("one publishes", fleet.publisher).stop()  # in peace: the lease is given back
    fleet.more(fleet.node, "n1")
    for server in fleet.servers:
        if server.process.poll() is not None:
            server.start()
    fleet.check_whole("the Node server's client", fleet.node, "n1")
    events = [each["data"] for each in fleet.node.events if each.get("got") == "n1"]
    check("the offset is the last argument", all(isinstance(data[2], str) and data[2].startswith('engine="') for data in events), True)


def resumed(fleet):
    """A client of one node that is dropped goes on at the other, and at its own after that was killed."""
    first, second = fleet.servers
    clients, value = fleet.clients, fleet.clients.value
    check("subscribed", value("add", sid="c1", url=first.url, room=ROOM)["ok"], True)
    fleet.more(clients, "c1")
    value("drop", sid="c1")
    fleet.more_told()
    check("recovered at the other node", value("resume", sid="c1", at=second.url), True)
    fleet.more(clients, "c1")
    value("drop", sid="c1")
    fleet.more_told()
    check("recovered back at the first", value("resume", sid="c1", at=first.url), True)
    fleet.more(clients, "c1")
    first.kill()
    until("its connection is lost", lambda: {"disconnected": "c1", "reason": "transport close"} in clients.events)
    fleet.more_told()
    first.start()
    check("recovered after kill -9", value("resume", sid="c1", at=first.url), True)
    fleet.more(clients, "c1")
    fleet.check_whole("the client that came back", clients, "c1")


def relayed(fleet):
    """What a Node server emits comes to NetBuild's clients, and ends in an offset as all events do."""
    fleet.node.value("emit", rooms=[ROOM], args=["note", {"n": 1}])

    def notes():
        return [each["data"] for each in fleet.clients.events if each.get("got") == "c1" and each["data"][0] == "note"]
    until("the note is there", notes)
    check("the note", notes()[0][1], {"n": 1})
    check("its offset", notes()[0][2].startswith('engine="'), True)


def main():
    which, = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="netbuild-fleet-") as folder:
        redis = Redis(MODES[which][3], pathlib.Path(folder))
        fleet = Fleet(which, redis)
        try:
            fleet.start()
            published(fleet)
            resumed(fleet)
            relayed(fleet)
        except BaseException:
            for server in (*fleet.servers, fleet.capture):
                sys.stderr.write(f"--- {server.folder}\n{server.log()[-1500:]}")
            raise
        finally:
            fleet.stop()
            redis.stop()
    say(f"a fleet on {which}: ok")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
