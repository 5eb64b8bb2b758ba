# SPDX-License-Identifier: Apache-2.0
"""Realtime: `netbuild realtime-testbed` beside Node's socket.io with @socket.io/redis-adapter, two nodes
of each on one Redis, under the same clients (realtime_bench.cpp) in turn.

A figure is the median of the rounds; a latency counts only if every delivery came, the client had time to
spare and neither side waited long for a core, else it is withheld with the reason."""
import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

import common

NODE = common.BENCH / 'realtime-node'
PRIORITY = -10  # where it is allowed: the same for all that is measured and that measures
CLIENT_BUSY_MAX = 0.9  # of the time that something was on its way: working or waiting for a core
WAITED_MAX = 0.4  # for a core, of that time by the client or of the whole time by the server's threads
QUIET_SECONDS_MAX = 30
START_SECONDS_MAX = 60

# name, unit, what must be, what is aimed at, whether it is a latency, scenario, field of its answer
MEASURES = [
    ('idle_kb', 'KB', 8, 2, False, 'idle', 'idle_kb'),
    ('connect_us', 'µs', 150, 60, False, 'idle', 'connect_us'),
    ('delivery_us', 'µs', 8, 5, False, 'broadcast', 'delivery_us'),
    ('delivery_p99_ms', 'ms', 18, 12, True, 'rate', 'p99_ms'),
    ('bigroom_p99_ms', 'ms', 140, 110, True, 'bigroom', 'p99_ms'),
    ('emitter_p50_ms', 'ms', 0.4, 0.2, True, 'emitter', 'p50_ms'),
    ('emitter_p99_ms', 'ms', 1.0, 0.6, True, 'emitter', 'p99_ms'),
    ('cross_p50_ms', 'ms', 0.8, 0.5, True, 'cross', 'p50_ms'),
    ('cross_p99_ms', 'ms', 3, 1.5, True, 'cross', 'p99_ms'),
    ('echo_us', 'µs', 15, 10, False, 'echo', 'echo_us'),
]


def come_first():
    """Other work on the machine is noise in a latency; Linux weighs sessions first, then their processes."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    with contextlib.suppress(OSError):
        pathlib.Path('/proc/self/autogroup').write_text(str(PRIORITY))


def scenarios(quick):
    """Arguments of the client by scenario. Idle comes first: its servers are fresh."""
    share = 0.2 if quick else 1
    return {
        'idle': ['idle', '--connections', 2_000 if quick else 10_000],
        'echo': ['echo', '--connections', 64, '--seconds', 5 * share],
        'broadcast': ['broadcast', '--members', 1_000, '--in-flight', 4, '--seconds', 5 * share],
        'rate': ['rate', '--members', 1_000, '--rate', 50, '--seconds', 10 * share],
        'emitter': ['emitter', '--rate', 200, '--seconds', 10 * share],
        'cross': ['cross', '--rate', 200, '--seconds', 10 * share],
        'bigroom': ['rate', '--members', 2_000 if quick else 10_000, '--rate', 3, '--seconds', 10 * share],
    }


# --- servers


@contextlib.contextmanager
def redis_server():
    port = common.free_port()
    with common.Server(['redis-server', '--bind', '127.0.0.1', '--port', str(port), '--save', '', '--appendonly', 'no']):
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
                break
            if time.monotonic() > deadline:
                raise SystemExit('Redis did not start')
            time.sleep(0.1)
        yield port


class Node:
    """One server process under load."""

    def __init__(self, stack, command):
        self.port = common.free_port()
        self.server = stack.enter_context(common.Server([str(part) for part in command(self.port)]))
        # Answered by both with an error, once they listen.
        self.server.wait_http(f'http://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=none', START_SECONDS_MAX, accept=(400,))
        self.pid = self.server.process.pid

    def wait_quiet(self):
        """The last load's disconnects are done with."""
        deadline = time.monotonic() + QUIET_SECONDS_MAX
        before = self.server.cost()['cpu_s']
        while time.monotonic() < deadline:
            time.sleep(0.5)
            after = self.server.cost()['cpu_s']
            if after - before < 0.02:
                return
            before = after


def command_of(kind, redis_port):
    url = f'redis://127.0.0.1:{redis_port}'
    if kind == 'node':
        return lambda port: ['node', NODE / 'server.mjs', port, url]
    return lambda port: [common.program('netbuild'), 'realtime-testbed', '--port', port, '--adapter', 'redis', '--redis', url]


# --- the load


def run(kind, scenario, command, servers, redis_port):
    first, second = servers
    first.wait_quiet()
    more = {'cross': ['--from-port', second.port], 'emitter': ['--redis-port', redis_port]}.get(scenario, [])
    command = [common.program('netbuild_realtime_bench'), command[0], '--port', first.port, '--pid', first.pid,
               *command[1:], *more]
    try:
        answer = common.run_json([str(part) for part in command])
    except SystemExit as error:
        answer = {'failed': str(error)}
    common.log(f'{scenario}, {kind}: {json.dumps(answer)}')
    return answer


def refusal(answer, latency):
    """Why this figure does not count, or None."""
    if 'failed' in answer:
        return answer['failed']
    if not latency:
        return None
    if answer['lost']:
        return f"{answer['lost']} deliveries did not come"
    busy = answer['busy']
    if busy['client_cpu'] + busy['client_waited'] > CLIENT_BUSY_MAX:
        return f"the client fell behind: {busy['client_cpu']:.0%} of the time working, {busy['client_waited']:.0%} waiting for a core"
    if max(busy['client_waited'], answer['server_waited']) > WAITED_MAX:
        return f"other work had the cores: the client waited {busy['client_waited']:.0%} of the time, the server {answer['server_waited']:.0%}"
    return None


def figure(answers, latency, field):
    """(median, samples, reasons of those withheld)"""
    reasons = [refusal(answer, latency) for answer in answers]
    good = [answer for answer, reason in zip(answers, reasons) if reason is None]
    samples = sum(answer.get('samples', 0) if field != 'delivery_us' else answer['deliveries'] for answer in good)
    value = round(statistics.median(answer[field] for answer in good), 3) if good else None
    return value, int(samples), [reason for reason in reasons if reason]


def judged(raw):
    measures = []
    for name, unit, must, aim, latency, scenario, field in MEASURES:
        ours, our_samples, our_reasons = figure(raw['ours'].get(scenario, []), latency, field)
        node, node_samples, node_reasons = figure(raw['node'].get(scenario, []), latency, field)
        met = None if ours is None else 'aim' if ours <= aim else 'must' if ours <= must else 'neither'
        measures.append({**common.measure(name, unit, 'lower', ours, node, 'Node socket.io + redis-adapter'), 'node': node,
                         'must': must, 'aim': aim, 'met': met, 'samples': {'ours': our_samples, 'node': node_samples},
                         'rounds': {'ours': len(raw['ours'].get(scenario, [])) - len(our_reasons),
                                    'node': len(raw['node'].get(scenario, [])) - len(node_reasons)},
                         'withheld': {'ours': our_reasons, 'node': node_reasons}})
    return measures


def version(package):
    return json.loads((NODE / 'node_modules' / package / 'package.json').read_text())['version']


def conditions(options, rounds, load_before):
    def output(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    return {'cores': os.cpu_count(), 'loadBefore': load_before, 'loadAfter': os.getloadavg(), 'rounds': rounds,
            'quick': options.quick, 'adapter': 'redis', 'priority': os.getpriority(os.PRIO_PROCESS, 0),
            'transport': 'websocket without deflate or TLS, loopback', 'dataBytes': 64,
            'versions': {'node': output('node', '--version'), 'redis-server': output('redis-server', '--version').split()[2],
                         **{name: version(name) for name in ('socket.io', '@socket.io/redis-adapter', 'redis', 'ws')}}}


def main():
    options = common.arguments('realtime')
    rounds = 1 if options.quick else 3
    common.build('netbuild', 'netbuild_realtime_bench')
    load_before = os.getloadavg()
    come_first()
    raw = {'ours': {}, 'node': {}}
    with redis_server() as redis_port:
        for number in range(rounds):
            with contextlib.ExitStack() as stack:
                kinds = {kind: [Node(stack, command_of(kind, redis_port)) for _ in range(2)]
                         for kind in ('ours', 'node')}
                for scenario, command in scenarios(options.quick).items():
                    for kind in ('ours', 'node') if number % 2 == 0 else ('node', 'ours'):
                        answer = run(kind, scenario, command, kinds[kind], redis_port)
                        raw[kind].setdefault(scenario, []).append(answer)
    common.report('realtime', judged(raw), raw, options, conditions(options, rounds, load_before))


if __name__ == '__main__':
    main()
