#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cluster of `netbuild realtime-testbed` and two other servers, on Redis servers of its own: everything that one node can
ask of the others, in both directions, as the official clients see it. Arguments: the adapter and its mode, then what the
other two are: `node` (real Node servers) or `testbed`. `away`: the Redis server ends and comes back."""
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "e2e"))
from harness import NETBUILD, Failed, free_port, say, until  # noqa: E402

PACKAGES = FOLDER / "node-cluster"
WAIT_S = 30  # for a machine that is busy with other things
RECOVERY_MS = 60_000
MODES = {"redis": ("redis", "static", False, 1), "redis-specific": ("redis", "static", True, 1),
         "sharded-dynamic": ("sharded", "dynamic", False, 1), "sharded-static": ("sharded", "static", False, 1),
         "sharded-cluster": ("sharded", "dynamic", False, 3), "streams": ("streams", "static", False, 1)}
EVERYBODY = ["n1", "n2", "o1", "o2"]


class Redis:
    def __init__(self, servers, folder):
        self.folder, self.clustered = folder, servers > 1
        self.ports = [free_port() for _ in range(servers)]
        self.cluster_ports = {port: free_port() for port in self.ports} if self.clustered else {}
        self.processes = [self.start(port) for port in self.ports]
        if self.clustered:
            addresses = [f"127.0.0.1:{port}" for port in self.ports]
            subprocess.run(["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"], check=True, stdout=subprocess.DEVNULL)
            for port in self.ports:
                until("the Redis Cluster is whole", lambda port=port: "cluster_state:ok" in self.cli(port, "cluster", "info"))
        self.urls = [f"redis://127.0.0.1:{port}" for port in self.ports]

    def start(self, port):
        where = self.folder / f"redis-{port}"
        where.mkdir(exist_ok=True)
        cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(self.cluster_ports[port])] if self.clustered else []
        process = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", where, *cluster],
                                   stdout=open(where / "log", "wb"), stderr=subprocess.STDOUT)
        until("Redis answers", lambda: "PONG" in self.cli(port, "ping"))
        return process

    @staticmethod
    def cli(port, *words):
        return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True).stdout

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Node:
    """A process that does what it is told in lines of JSON."""

    def __init__(self, name, command):
        self.name, self.events, self.answers, self.count = name, [], {}, 0
        self.process = subprocess.Popen([str(each) for each in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.server = self.process
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        try:
            self.lines.get(timeout=2 * WAIT_S)
        except queue.Empty:
            self.process.kill()
            raise Failed(f"{name} did not start") from None

    def read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            if "started" in line:
                self.lines.put(line)
            elif "id" in line:
                self.answers[line["id"]].put(line)
            else:
                self.events.append(line)

    def send(self, op, **request):
        self.count += 1
        self.answers[self.count] = queue.Queue()
        self.process.stdin.write(json.dumps({"id": self.count, "op": op, **request}) + "\n")
        self.process.stdin.flush()
        return self.count

    def answer(self, number):
        return self.answers[number].get(timeout=WAIT_S)

    def ask(self, op, **request):
        return self.answer(self.send(op, **request))

    def value(self, op, **request):
        answer = self.ask(op, **request)
        if not answer["ok"]:
            raise Failed(f"{self.name}: {op}: {answer}")
        return answer.get("value")

    def got(self, event):
        return sorted(each["got"] for each in self.events if each.get("got") and each["data"][0] == event)

    def data(self, sid, event):
        return [each["data"] for each in self.events if each.get("got") == sid and each["data"][0] == event]

    def hello(self):
        return "hi-from-node"

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Testbed(Node):
    """Our server, and official clients of it in another process."""

    def __init__(self, name, adapter, mode, specific, url):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [NETBUILD, "realtime-testbed", "--port", str(self.port), "--adapter", adapter, "--redis", url]
        if adapter == "sharded":
            command += ["--subscription-mode", mode]
        if adapter == "streams":
            command += ["--recovery", str(RECOVERY_MS)]
        server = subprocess.Popen([*command, *(["--specific-response-channel"] if specific else [])], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        line = server.stdout.readline().strip()
        if line != f"listening on {self.url}":
            server.kill()
            raise Failed(f"{name}: the first line is {line!r}; {server.stderr.read()}")
        if adapter == "sharded":
            check("what it says of its mode", f"subscription mode {mode}" in server.stderr.readline(), True)
        try:
            super().__init__(name, ["node", PACKAGES / "browser.mjs", self.url])
        except Failed:
            server.kill()
            raise
        self.server = server

    def hello(self):
        return f"hi-from-{self.port}"

    def stop(self):
        super().stop()
        self.server.send_signal(signal.SIGCONT)
        self.server.terminate()
        try:
            self.server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        return f"{self.name} ended with {self.server.returncode}: {self.server.stderr.read()}" if self.server.returncode else None


def check(what, actual, wanted):
    if actual != wanted:
        raise Failed(f"{what}: {actual}, not {wanted}")


def soon(what, actual, wanted):
    until(f"{what} is {wanted}", lambda: actual() == wanted, WAIT_S)


class Cluster:
    def __init__(self, nodes):
        self.nodes = nodes
        self.ours, self.first, self.second = nodes

    def got(self, event):
        return sorted(sid for node in self.nodes for sid in node.got(event))

    @staticmethod
    def users(sockets):
        return sorted(each["data"]["user"] for each in sockets)

    def fill(self, sharded):
        soon("who counts whom", lambda: [node.ask("serverCount").get("value") for node in self.nodes], [3, 3, 3])
        for node, sid, room in ((self.first, "n1", "r1"), (self.second, "n2", "r2"), (self.ours, "o1", "r1"), (self.ours, "o2", "r2")):
            node.value("add", sid=sid, names=[room])
        if not sharded:
            return
        for room, sids in (("r1", {"n1", "o1"}), ("r2", {"n2", "o2"})):  # subscribed to without a way to wait for it
            for asker in (self.ours, self.first):
                event = f"ready-{room}-{asker.name}"
                until("rooms are listened to", lambda room=room, sids=sids, asker=asker, event=event: (
                    asker.value("emit", rooms=[room], args=[event]), sids <= set(self.got(event)))[-1])

    def broadcasts(self, asker, prefix):
        cases = {"all": ({}, EVERYBODY), "room": ({"rooms": ["r1"]}, ["n1", "o1"]), "rooms": ({"rooms": ["r1", "r2"]}, EVERYBODY),
                 "except": ({"rooms": ["r1", "r2"], "except": ["r2"]}, ["n1", "o1"]),
                 "binary": ({"rooms": ["r1"], "binary": True}, ["n1", "o1"])}
        for name, (audience, wanted) in cases.items():
            event = f"{prefix}-{name}-{asker.name}"
            asker.value(f"{'emitterEmit' if prefix == 'emitter' else 'emit'}", args=[event, "x", 1.5, None], **audience)
            soon(event, lambda event=event: self.got(event), wanted)
            for node, sid in ((self.first, "n1"), (self.ours, "o1")):
                data = node.data(sid, event)[0]
                check(f"{event} at {node.name}", data[1:4], ["x", 1.5, None])
                if name == "binary":
                    check(f"{event} at {node.name}", data[4], {"bytes": "0102ff"})

    def requests(self, asker):
        others = [node for node in self.nodes if node is not asker]
        check("fetchSockets", self.users(asker.value("fetchSockets")), EVERYBODY)
        check("fetchSockets of a room", self.users(asker.value("fetchSockets", rooms=["r1"])), ["n1", "o1"])
        answers = asker.value("emitWithAck", args=["ask", "q"], timeout=3000)
        check("emitWithAck", sorted(answers), [f"answer of {sid} to q" for sid in EVERYBODY])
        answers = asker.value("emitWithAck", rooms=["r2"], args=["ask", "q"], timeout=3000)
        check("emitWithAck of a room", sorted(answers), [f"answer of {sid} to q" for sid in ("n2", "o2")])
        check("serverSideEmitWithAck", sorted(asker.value("serverSideEmitWithAck", args=["hello", f"w-{asker.name}"])),
              sorted(node.hello() for node in others))
        event = ["hello", {"from": asker.name}]
        asker.value("serverSideEmit", args=event)
        for node in others:
            soon("serverSideEmit", lambda node=node: {"server": event} in node.events, True)
            check("serverSideEmitWithAck's event", {"server": ["hello", f"w-{asker.name}"]} in node.events, True)
        check("serverSideEmit at its sender", {"server": event} in asker.events, False)

    def rooms(self, asker, join="socketsJoin", leave="socketsLeave"):
        room = f"extra-{asker.name}-{join}"
        asker.value(join, rooms=["r1"], names=[room])
        soon(join, lambda: self.users(self.first.value("fetchSockets", rooms=[room])), ["n1", "o1"])
        asker.value(leave, rooms=["r1"], names=[room])
        soon(leave, lambda: self.users(self.first.value("fetchSockets", rooms=[room])), [])

    def disconnects(self, asker, op, sid, node):
        room = f"gone-{sid}"
        node.value("add", sid=sid, names=[room])
        asker.value(op, rooms=[room], close=True)
        soon(f"{op} from {asker.name}", lambda: [e["disconnected"] for e in node.events if e.get("disconnected") == sid], [sid])

    def left(self):
        """Who watches is told of a client that goes, and of the rooms that it was in."""
        self.ours.value("add", sid="w", names=["watch"])
        self.first.value("add", sid="w-first", names=["watch"])
        gone = self.ours.value("add", sid="x4", names=["a", "b"])
        self.ours.value("close", sid="x4")
        soon("left", lambda: [[*each[1:3], sorted(each[3])] for each in self.ours.data("w", "left")],
             [[gone, "client namespace disconnect", sorted([gone, "a", "b"])]])
        check("left elsewhere", self.first.data("w-first", "left"), [])
        self.ours.value("disconnectSockets", rooms=["watch"], close=False)
        soon("watchers are gone", lambda: self.users(self.ours.value("fetchSockets")), EVERYBODY)

    def emitter(self):
        self.broadcasts(self.second, "emitter")
        self.rooms(self.second, "emitterJoin", "emitterLeave")
        self.disconnects(self.second, "emitterDisconnect", "x3", self.ours)
        self.second.value("emitterServerSideEmit", args=["hello", "from-emitter"])
        soon("the emitter's server-side event", lambda: {"server": ["hello", "from-emitter"]} in self.ours.events, True)

    def recovery(self):
        """A client whose connection breaks gets what it missed, once: where it was, and at another server."""
        places = [self.ours.url, self.first.url if isinstance(self.first, Testbed) else self.first.value("url")]
        # A client takes any event's last text for the offset: the last one before it goes has to be one of the stream's.
        self.first.value("emit", rooms=["r1"], args=["before"])
        soon("before", lambda: len(self.ours.data("o1", "before")), 1)
        wanted = []
        for round_, at in enumerate([places[0], places[1], places[0]]):
            self.ours.value("drop", sid="o1")
            soon("it is gone", lambda: self.users(self.ours.value("fetchSockets")), ["n1", "n2", "o2"])
            for asker, n in ((self.first, 1), (self.ours, 2)):
                asker.value("emit", rooms=["r1"], args=["missed", round_, n])
                asker.value("emit", rooms=["r2"], args=["other"])
                wanted.append([round_, n])
            soon("the missed events are in the stream", lambda: len(self.first.data("n1", "missed")), 2 * (round_ + 1))
            back = self.ours.value("resume", sid="o1", at=at)
            check(f"recovered at {at}", back["recovered"], True)
            soon("what was missed", lambda: [each[1:3] for each in self.ours.data("o1", "missed")], wanted)
            self.second.value("emit", rooms=["r1"], args=["after", round_])
            soon("what follows", lambda: [each[1] for each in self.ours.data("o1", "after")], list(range(round_ + 1)))
            check("once", [each[1:3] for each in self.ours.data("o1", "missed")], wanted)
        check("of other rooms", self.ours.data("o1", "other"), [])

    def frozen(self, exact):
        """A node that does not answer costs its part of the answers, and is named."""
        uid = self.second.value("uid") if not isinstance(self.second, Testbed) else None
        self.second.server.send_signal(signal.SIGSTOP)
        numbers = [self.ours.send("fetchSockets"), self.ours.send("serverSideEmitWithAck", args=["hello", "w"]),
                   self.ours.send("emitWithAck", args=["ask", "q"], timeout=1000)]
        sockets, answers, acks = [self.ours.answer(number) for number in numbers]
        self.second.server.send_signal(signal.SIGCONT)
        check("fetchSockets beside a frozen node", (sockets["ok"], self.users(sockets["value"])), (False, ["n1", "o1", "o2"]))
        check("serverSideEmit beside a frozen node", (answers["ok"], answers["value"]), (False, [self.first.hello()]))
        check("emitWithAck beside a frozen node", (acks["ok"], acks["error"], sorted(acks["value"])),
              (False, "timeout", [f"answer of {sid} to q" for sid in ("n1", "o1", "o2")]))
        for answer in (sockets, answers):
            if uid and uid not in answer["missing"]:
                raise Failed(f"the frozen node {uid} is not named: {answer['missing']}")
            if exact:
                check("named", len(answer["missing"]), 1)
        say(f"frozen: {uid}; named: {sockets['missing']}, {answers['missing']}")


def everything(which, others, redis, nodes):
    adapter, mode, specific, _ = MODES[which]
    nodes.append(Testbed("ours", adapter, mode, specific, redis.urls[0]))
    for name in ("first", "second"):
        if others == "node":
            nodes.append(Node(name, ["node", PACKAGES / "node.mjs", adapter, mode, "1" if specific else "0", *redis.urls]))
        else:
            nodes.append(Testbed(name, adapter, mode, specific, redis.urls[0]))
    cluster = Cluster(nodes)
    cluster.fill(adapter == "sharded")
    for asker in (cluster.ours, cluster.first):
        cluster.broadcasts(asker, "emit")
        cluster.requests(asker)
        cluster.rooms(asker)
        say(f"{which}: all requests of {asker.name}")
    cluster.disconnects(cluster.ours, "disconnectSockets", "x1", cluster.first)
    cluster.disconnects(cluster.first, "disconnectSockets", "x2", cluster.ours)
    cluster.left()
    if adapter == "redis":
        for asker in (cluster.ours, cluster.first):
            check("allRooms", {"r1", "r2"} <= set(asker.value("allRooms")), True)
        if others == "node":
            cluster.emitter()
    else:
        check("allRooms", cluster.ours.ask("allRooms")["ok"], False)
    if adapter == "streams":
        cluster.recovery()
    # Node's answers over plain Pub/Sub do not say whose they are.
    cluster.frozen(exact=adapter != "redis" or others != "node")


def away(which, redis, nodes):
    """While Redis is away requests fail with the reason, and clients of one server still hear each other; afterwards all is as before."""
    adapter, mode, specific, _ = MODES[which]
    for name in ("ours", "first"):
        nodes.append(Testbed(name, adapter, mode, specific, redis.urls[0]))
    ours, first = nodes
    until("both count two", lambda: all(node.value("serverCount") == 2 for node in nodes))
    ours.value("add", sid="o1", names=["r1"])
    first.value("add", sid="n1", names=["r1"])
    redis.stop()
    until("requests fail", lambda: not ours.ask("serverCount")["ok"])
    for op, request in (("fetchSockets", {}), ("serverSideEmitWithAck", {"args": ["hello"]}), ("serverCount", {}),
                        ("emitWithAck", {"args": ["ask", "q"], "timeout": 1000})):
        answer = ours.ask(op, **request)
        check(f"{op} without Redis", (answer["ok"], "Redis 127.0.0.1:" in answer.get("error", "")), (False, True))
    ours.value("emit", rooms=["r1"], args=["alone"])
    soon("a broadcast without Redis", lambda: ours.got("alone"), ["o1"])
    redis.processes = [redis.start(port) for port in redis.ports]
    for asker, other, sid in ((ours, first, "n1"), (first, ours, "o1")):
        event = f"again-{asker.name}"
        until("messages flow again", lambda: (asker.value("emit", rooms=["r1"], args=[event]), sid in other.got(event))[-1])
    soon("all nodes are there", lambda: [node.ask("serverCount").get("value") for node in nodes], [2, 2])
    check("fetchSockets", Cluster.users(ours.value("fetchSockets")), ["n1", "o1"])
    check("what was said meanwhile", first.got("alone"), [])


def main():
    which, others = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="netbuild-cluster-") as folder:
        redis, nodes = Redis(MODES[which][3], pathlib.Path(folder)), []
        try:
            if others == "away":
                away(which, redis, nodes)
            else:
                everything(which, others, redis, nodes)
        finally:
            ends = [node.stop() for node in nodes]
            redis.stop()
        check("how the servers ended", [each for each in ends if each], [])
    say(f"{which}, {others}: ok")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
