#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos: two sync workers, each behind gates of its own to PostgreSQL, MongoDB and Redis, under traffic;
faults drawn from a seed cut, delay, throttle, reset and half-open the connections, kill and restart the
servers, kill and stop the workers. After every round all is healed, the model catches up, and then
`verify` must find no difference to Camunda's tables, the content hash be that of a model that is loaded anew
from them, the stored events be complete, each once and in order, and the Redis stream the same entry by entry.

  chaos_test.py [--rounds N] [--seed S]      ./dev chaos; a failing round prints the line that reproduces it
"""
import argparse
import contextlib
import random
import signal
import sys
import threading
import time

from evidence import catch_up, check_against_a_fresh_load, check_stream, states
from gate import DOWN, UP, Gate, Loop
from harness import Failed, Netbuild, free_port, say, stack_up, until
from kill_test import generate, scratch_database
from servers import PrivateServers

NAMES = ("postgres", "redis", "mongodb")
FAULTS_A_ROUND = 4
INSTANCES_A_CALL = 40
HEAL_SECONDS_MAX = 240  # the tests' MongoDB server bears little beside other work; what is measured is that it heals
# Short ones, so that half-open connections show within a round; the defaults are in the guide.
TIMEOUTS = {"NETBUILD_POSTGRES_WAL_SENDER_TIMEOUT": "3s", "NETBUILD_POSTGRES_RECEIVE_TIMEOUT": "4s",
            "NETBUILD_MONGODB_SOCKET_TIMEOUT": "4s"}


class Worker:
    """A netbuild that reaches the servers through gates only."""

    def __init__(self, loop, stack, name):
        ports = {"postgres": stack["postgres"]["port"], "redis": int(stack["redis"].rsplit(":", 1)[1]),
                 "mongodb": int(stack["mongodb"].rsplit(":", 1)[1].split("/")[0])}
        self.gates = {server: Gate(loop, free_port(), port) for server, port in ports.items()}
        through = {**stack, "postgres": {**stack["postgres"], "port": self.gates["postgres"].port},
                   "redis": f"redis://127.0.0.1:{self.gates['redis'].port}",
                   # The server calls itself by its own port: the driver must stay at the gate's.
                   "mongodb": f"mongodb://127.0.0.1:{self.gates['mongodb'].port}/{name}"}
        self.netbuild = Netbuild(through, name, mongodb=True, redis=True, environment={**TIMEOUTS, "MONGODB_URI": (
            f"{through['mongodb']}?directConnection=true")})
        self.netbuild.stack = stack  # for what goes past the gates
        # What looks at the result is not hurried.
        self.netbuild.cli_environment = {name: value for name, value in self.netbuild.environment.items() if name not in TIMEOUTS}

    def heal(self):
        for gate in self.gates.values():
            gate.heal()
        if self.netbuild.process.poll() is None:
            self.netbuild.process.send_signal(signal.SIGCONT)

    def running(self):
        return self.netbuild.process.poll() is None


class Traffic:
    """Process instances in the background until told to stop; PostgreSQL may go away meanwhile."""

    def __init__(self, stack):
        self.stack, self.next, self.stopping, self.done = stack, 1, threading.Event(), 0

    def work(self):
        while not self.stopping.is_set():
            writer = generate(self.stack, self.next, INSTANCES_A_CALL, quiet=True)
            self.next += INSTANCES_A_CALL  # what a crash cut short stays as it is
            if writer.wait() == 0:
                self.done += 1
            else:
                self.stopping.wait(0.2)

    @contextlib.contextmanager
    def running(self):
        self.stopping.clear()
        thread = threading.Thread(target=self.work)
        thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            thread.join()


class Chaos:
    def __init__(self, servers, stack, workers, observer, dice):
        self.servers, self.stack, self.workers, self.dice = servers, stack, workers, dice
        self.observer = observer  # past the gates, with the default time-outs: for the commands that check
        self.away = set()

    def gate(self):
        return self.dice.choice(self.workers), self.dice.choice(NAMES)

    def network(self, what):
        worker, server = self.gate()
        gate = worker.gates[server]
        if what == "cut":
            gate.cut()
        elif what == "reset":
            gate.reset()
        elif what == "delay":
            gate.delay(self.dice.choice((0.02, 0.2, 1.0)))
        elif what == "throttle":
            gate.throttle(self.dice.choice((2_000, 20_000, 200_000)))
        elif what == "half-open":
            gate.stall()
        else:
            gate.stall({"to the server": UP, "from the server": DOWN}[what])
        return f"{what}: worker {self.workers.index(worker)}, {server}"

    def server_dies(self):
        server = self.dice.choice(NAMES)
        if server not in self.away:
            self.away.add(server)
            self.servers.take_away(server)
        return f"{server} dies"

    def worker_dies(self):
        worker = self.dice.choice(self.workers)
        if worker.running():
            worker.netbuild.kill()
        return f"worker {self.workers.index(worker)} is killed"

    def worker_stops(self):
        worker = self.dice.choice(self.workers)
        if worker.running():
            worker.netbuild.process.send_signal(signal.SIGSTOP)
        return f"worker {self.workers.index(worker)} is stopped"

    def draw(self):
        what = self.dice.choice(("cut", "reset", "delay", "throttle", "half-open", "to the server", "from the server",
                                 "server", "server", "kill", "stop"))
        return {"server": self.server_dies, "kill": self.worker_dies,
                "stop": self.worker_stops}.get(what, lambda: self.network(what))()

    def heal(self):
        for server in sorted(self.away):
            self.servers.bring_back(server)
        self.away.clear()
        for worker in self.workers:
            worker.heal()
            # A worker that finds no server at its start, or that no retry helps, ends: whoever runs it
            # starts it again.
            if not worker.running():
                worker.netbuild.start(wait_ready=False)


def settle(workers):
    """One streams, the other one stands by; a worker that has ended is started again."""
    def settled():
        for worker in workers:
            if not worker.running():
                worker.netbuild.start(wait_ready=False)
        return sorted(states([worker.netbuild for worker in workers])) == ["standby", "streaming"]
    until(f"one streams and the other stands by ({states([w.netbuild for w in workers])})", settled, HEAL_SECONDS_MAX)
    return workers[states([worker.netbuild for worker in workers]).index("streaming")].netbuild


def round_of(chaos, traffic, dice):
    with traffic.running():
        for _ in range(FAULTS_A_ROUND):
            say(f"    {chaos.draw()}")
            time.sleep(dice.choice((0.1, 0.5, 1.5, 3.0)))  # how long it lasts is part of the draw
        chaos.heal()
    started = time.monotonic()
    catch_up(settle(chaos.workers), HEAL_SECONDS_MAX)
    settle(chaos.workers)
    healed_s = time.monotonic() - started
    documents = check_against_a_fresh_load(chaos.observer, chaos.stack, f"{chaos.observer.name}_fresh")
    events = check_stream(chaos.stack, chaos.observer)
    say(f"  healed after {healed_s:.1f} s: {documents} documents equal, {events} events, the same in Redis")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    source = stack_up()
    name = f"chaos_{time.time_ns() // 1000000}"
    with contextlib.ExitStack() as cleanup:
        servers = cleanup.enter_context(PrivateServers())
        stack = scratch_database(source, name, servers.status())
        loop = cleanup.enter_context(Loop())
        observer = Netbuild(stack, name, mongodb=True, redis=True)
        workers = [Worker(loop, stack, name) for _ in range(2)]
        for worker in workers:
            cleanup.enter_context(worker.netbuild)
        cleanup.callback(lambda: [worker.netbuild.stop() for worker in workers])
        for worker in workers:
            worker.netbuild.start(wait_ready=False)
        settle(workers)
        traffic = Traffic(stack)
        for number in range(arguments.rounds):
            seed = arguments.seed + number
            say(f"  round {number + 1} of {arguments.rounds}, seed {seed}")
            dice = random.Random(seed)
            try:
                round_of(Chaos(servers, stack, workers, observer, dice), traffic, dice)
            except Failed as failure:
                for worker in workers:
                    say(f"--- the end of {worker.netbuild.folder / 'log'}:\n{worker.netbuild.tail()}")
                say(f"round {number + 1} failed: {failure}\nagain with: ./dev chaos --rounds 1 --seed {seed}")
                sys.exit(1)
        say(f"  {arguments.rounds} rounds, {traffic.done * INSTANCES_A_CALL} process instances and more")


if __name__ == "__main__":
    main()
