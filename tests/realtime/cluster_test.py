#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cluster of two real Node servers and one node of ours, on Redis servers of its own: everything that one node can ask
of the others, in both directions. The argument is the adapter and its mode."""
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "e2e"))
from harness import Failed, free_port, say, until  # noqa: E402

OURS = os.environ.get("CLUSTER_TEST_NODE", "build/release/tests/cluster_test_node")
WAIT_S = 15
MODES = {"redis": ("redis", "static", "0", 1), "redis-specific": ("redis", "static", "1", 1),
         "sharded-dynamic": ("sharded", "dynamic", "0", 1), "sharded-static": ("sharded", "static", "0", 1),
         "sharded-cluster": ("sharded", "dynamic", "0", 3), "streams": ("streams", "static", "0", 1)}


class Redis:
    def __init__(self, servers, folder):
        self.processes, self.ports = [], []
        for i in range(servers):
            port = free_port()
            where = folder / f"redis-{i}"
            where.mkdir()
            cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(free_port())] if servers > 1 else []
            self.processes.append(subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", where, *cluster],
                                                   stdout=open(where / "log", "wb"), stderr=subprocess.STDOUT))
            self.ports.append(port)
        for port in self.ports:
            until("Redis answers", lambda port=port: "PONG" in self.cli(port, "ping"))
        if servers > 1:
            addresses = [f"127.0.0.1:{port}" for port in self.ports]
            subprocess.run(["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"], check=True, stdout=subprocess.DEVNULL)
            for port in self.ports:
                until("the Redis Cluster is whole", lambda port=port: "cluster_state:ok" in self.cli(port, "cluster", "info"))
        self.urls = [f"redis://127.0.0.1:{port}" for port in self.ports]

    @staticmethod
    def cli(port, *words):
        return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True).stdout

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Node:
    def __init__(self, name, command):
        self.name, self.events, self.answers, self.count = name, [], queue.Queue(), 0
        self.process = subprocess.Popen([str(each) for each in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.started = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        if not self.started.wait(WAIT_S):
            raise Failed(f"{name} did not start")

    def read(self):
        for text in self.process.stdout:
            line = json.loads(text)
            if "started" in line:
                self.started.set()
            elif "id" in line:
                self.answers.put(line)
            else:
                self.events.append(line)

    def ask(self, op, **request):
        self.count += 1
        self.process.stdin.write(json.dumps({"id": self.count, "op": op, **request}) + "\n")
        self.process.stdin.flush()
        answer = self.answers.get(timeout=WAIT_S)
        assert answer["id"] == self.count
        return answer

    def value(self, op, **request):
        answer = self.ask(op, **request)
        if not answer["ok"]:
            raise Failed(f"{self.name}: {op}: {answer}")
        return answer.get("value")

    def got(self, event):
        return sorted(each["got"] for each in self.events if each.get("got") and each["data"][0] == event)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def check(what, actual, wanted):
    if actual != wanted:
        raise Failed(f"{what}: {actual}, not {wanted}")


def soon(what, actual, wanted):
    end = time.monotonic() + WAIT_S
    while actual() != wanted:
        if time.monotonic() > end:
            raise Failed(f"{what}: {actual()}, not {wanted}")
        time.sleep(0.01)


class Cluster:
    def __init__(self, ours, first, second):
        self.ours, self.first, self.second = ours, first, second
        self.nodes = [ours, first, second]

    def got(self, event):
        return sorted(sid for node in self.nodes for sid in node.got(event))

    def users(self, sockets):
        return sorted(each["data"]["user"] for each in sockets)

    def broadcasts(self, asker, prefix):
        cases = {"all": ({}, ["n1", "n2", "o1", "o2"]), "room": ({"rooms": ["r1"]}, ["n1", "o1"]),
                 "rooms": ({"rooms": ["r1", "r2"]}, ["n1", "n2", "o1", "o2"]),
                 "except": ({"rooms": ["r1", "r2"], "except": ["r2"]}, ["n1", "o1"]),
                 "binary": ({"rooms": ["r1"], "binary": True}, ["n1", "o1"])}
        for name, (audience, wanted) in cases.items():
            event = f"{prefix}-{name}-{asker.name}"
            asker.value(f"{'emitterEmit' if prefix == 'emitter' else 'emit'}", args=[event, "x", 1.5, None], **audience)
            soon(event, lambda event=event: self.got(event), wanted)
            if name == "binary":
                for node, form in ((self.first, {"bytes": "0102ff"}), (self.ours, "AQL/")):
                    data = [each["data"] for each in node.events if each.get("got") and each["data"][0] == event]
                    check(f"{event} at {node.name}", [each[4] for each in data][:1], [form])

    def requests(self, asker):
        check("serverCount", asker.value("serverCount"), 3)
        check("fetchSockets", self.users(asker.value("fetchSockets")), ["n1", "n2", "o1", "o2"])
        check("fetchSockets of a room", self.users(asker.value("fetchSockets", rooms=["r1"])), ["n1", "o1"])
        answers = asker.value("emitWithAck", args=["ask", "q"], timeout=3000)
        check("emitWithAck", sorted(answers), [f"answer of {sid} to q" for sid in ("n1", "n2", "o1", "o2")])
        answers = sorted(asker.value("serverSideEmitWithAck", args=["hello", "w"]))
        check("serverSideEmitWithAck", answers, ["hi-from-node", "hi-from-node"] if asker is self.ours else ["hi-from-node", "hi-from-ours"])
        event = ["hello", {"from": asker.name}]
        asker.value("serverSideEmit", args=event)
        for node in self.nodes:
            if node is not asker:
                soon("serverSideEmit", lambda node=node: {"server": event} in node.events, True)
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


def partial(cluster, uid):
    cluster.second.process.send_signal(signal.SIGSTOP)
    answer = cluster.ours.ask("fetchSockets")
    check("fetchSockets beside a frozen node", (answer["ok"], cluster.users(answer["value"])), (False, ["n1", "o1", "o2"]))
    if uid not in answer["missing"]:
        raise Failed(f"the frozen node {uid} is not named: {answer['missing']}")
    say(f"frozen: {uid}; named: {answer['missing']}")
    named = len(answer["missing"])
    answer = cluster.ours.ask("serverSideEmitWithAck", args=["hello", "w"])
    check("serverSideEmit beside a frozen node", (answer["ok"], answer["value"], uid in answer["missing"]), (False, ["hi-from-node"], True))
    cluster.second.process.send_signal(signal.SIGCONT)
    return named


def main():
    which = sys.argv[1]
    adapter, mode, specific, servers = MODES[which]
    with tempfile.TemporaryDirectory(prefix="netbuild-cluster-") as folder:
        redis, nodes = Redis(servers, pathlib.Path(folder)), []
        try:
            script = FOLDER / "node-cluster/node.mjs"
            nodes.append(Node("ours", [OURS, adapter, redis.urls[0], mode, specific, 60000]))
            for name in ("first", "second"):
                nodes.append(Node(name, ["node", script, adapter, mode, specific, *redis.urls]))
            cluster = Cluster(*nodes)
            until("all three count three", lambda: all(node.value("serverCount") == 3 for node in nodes))
            cluster.first.value("add", sid="n1", names=["r1"])
            cluster.second.value("add", sid="n2", names=["r2"])
            cluster.ours.value("add", sid="o1", names=["r1"])
            cluster.ours.value("add", sid="o2", names=["r2"])
            if adapter == "sharded":  # a room's channel is subscribed to without a way to wait for it
                until("rooms are listened to", lambda: (nodes[0].value("emit", rooms=["r1"], args=["ready"]), nodes[1].value("emit", rooms=["r1"], args=["ready"]),
                                                        {"n1", "o1"} <= set(cluster.got("ready")))[-1])
                until("rooms are listened to", lambda: (nodes[0].value("emit", rooms=["r2"], args=["ready"]), nodes[1].value("emit", rooms=["r2"], args=["ready"]),
                                                        {"n2", "o2"} <= set(cluster.got("ready")))[-1])
            for asker in (cluster.ours, cluster.first):
                cluster.broadcasts(asker, "emit")
                cluster.requests(asker)
                cluster.rooms(asker)
                say(f"{which}: all requests of {asker.name}")
            cluster.disconnects(cluster.ours, "disconnectSockets", "x1", cluster.first)
            cluster.disconnects(cluster.first, "disconnectSockets", "x2", cluster.ours)
            if adapter == "redis":
                for asker in (cluster.ours, cluster.first):
                    rooms = asker.value("allRooms")
                    check("allRooms", {"r1", "r2", "o1"} <= set(rooms), True)
                cluster.broadcasts(cluster.second, "emitter")
                cluster.rooms(cluster.second, "emitterJoin", "emitterLeave")
                cluster.disconnects(cluster.second, "emitterDisconnect", "x3", cluster.ours)
                cluster.second.value("emitterServerSideEmit", args=["hello", "from-emitter"])
                soon("the emitter's server-side event", lambda: {"server": ["hello", "from-emitter"]} in cluster.ours.events, True)
                say(f"{which}: all of redis-emitter")
            if adapter == "streams":
                offset = next(each["data"][-1] for each in reversed(cluster.ours.events) if each.get("got") == "o1" and "-" in str(each["data"][-1]))
                cluster.ours.value("save")
                cluster.first.value("emit", rooms=["r1"], args=["missed", 1])
                cluster.first.value("emit", rooms=["r2"], args=["other"])
                soon("the missed event is in the stream", lambda: cluster.got("missed"), ["n1", "o1"])
                soon("the other event is in the stream", lambda: cluster.got("other"), ["n2", "o2"])
                restored = cluster.ours.value("restore", pid="p1", offset=offset)
                missed = [each[:-1] for each in restored["missed"] if each[0] in ("missed", "other")]
                check("what was missed", missed, [["missed", 1]])
                check("restored once", cluster.ours.ask("restore", pid="p1", offset=offset)["ok"], False)
            named = partial(cluster, cluster.second.value("uid"))
            if adapter != "redis":
                check("named", named, 1)
        finally:
            for node in nodes:
                node.stop()
            redis.stop()
    say(f"{which}: ok")


if __name__ == "__main__":
    main()
