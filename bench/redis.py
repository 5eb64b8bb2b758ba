# SPDX-License-Identifier: Apache-2.0
"""The toolkit on one Redis of the bench's own, without persistence: rate limits beside rate-limiter-flexible, the queue beside
BullMQ, sessions beside redis-benchmark, the cache. Client and server have a core each, for ours and for the peers.

Peers and ours run in turn; a figure is the median of the rounds."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import common

NODE = common.BENCH / 'redis-node'
START_SECONDS_MAX = 10
IN_FLIGHT = (50, 200)  # the span for rate limits; the worse of the two counts
DEPTH = 50
SERVER_CORE, CLIENT_CORE = '0', '1'


def pinned(core, command):
    return ['taskset', '-c', core, *command] if os.cpu_count() > 1 and shutil.which('taskset') else command


@contextlib.contextmanager
def redis_server():
    """Its port."""
    port = common.free_port()
    with tempfile.TemporaryDirectory(prefix='netbuild-bench-redis-') as folder:
        server = subprocess.Popen(pinned(SERVER_CORE, ['redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '',
                                                       '--appendonly', 'no', '--dir', folder]), stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while subprocess.run(['redis-cli', '-p', str(port), 'ping'], capture_output=True, text=True).stdout.strip() != 'PONG':
                if time.monotonic() > deadline:
                    raise SystemExit('Redis does not answer')
                time.sleep(0.05)
            yield port
        finally:
            server.terminate()
            server.wait()


def run(command):
    out = subprocess.run(pinned(CLIENT_CORE, [str(part) for part in command]), check=True, capture_output=True, text=True)
    return out.stdout


def last_json(command):
    return json.loads(run(command).strip().splitlines()[-1])


def node(script, *arguments):
    return last_json(['node', NODE / script, *arguments])


def redis_benchmark(port, requests, *shape):
    out = run(['redis-benchmark', '-p', port, '-t', 'get', '-n', requests, '-d', 100, '-r', 1000, *shape, '-q'])
    return float(re.findall(r'([\d.]+) requests per second', out)[-1])


def one_round(port, seconds, share):
    url = f'redis://127.0.0.1:{port}'
    bench, requests = common.program('netbuild_bench'), int(1_000_000 * share)
    found = {}
    for in_flight in IN_FLIGHT:
        found[f'limits_{in_flight}'] = last_json([bench, 'ratelimit', '--redis', url, '--in-flight', in_flight, '--seconds', seconds])
        found[f'limits_peer_{in_flight}'] = node('ratelimit.mjs', port, in_flight, seconds, 10_000)
    found['local'] = last_json([bench, 'ratelimit-local', '--seconds', seconds])
    jobs = int(20_000 * share)
    found['queue'] = last_json([common.program('netbuild_queue_bench'), '--url', url, '--jobs', 10 * jobs, '--rounds', int(2000 * share)])
    found['queue_peer'] = node('queue.mjs', port, jobs, 200, int(500 * share))
    found['session'] = last_json([bench, 'session', '--redis', url, '--depth', DEPTH, '--seconds', seconds])
    found['get'] = redis_benchmark(port, requests // 4, '-c', DEPTH)
    found['get_pipelined'] = redis_benchmark(port, requests, '-c', 1, '-P', DEPTH)
    found['cache'] = last_json([common.program('netbuild_cache_bench'), 'cache', '--redis', url, '--seconds', seconds])
    return found


def main():
    options = common.arguments('redis')
    common.build('netbuild_bench', 'netbuild_queue_bench', 'netbuild_cache_bench')
    if not (NODE / 'node_modules').is_dir():
        raise SystemExit('npm packages of the peers are not there: ./dev setup bench')
    share = 0.1 if options.quick else 1
    rounds = []
    with redis_server() as port:
        for number in range(1 if options.quick else 3):
            common.log(f'round {number + 1}')
            rounds.append(one_round(port, max(1, int(3 * share)), share))

    def median(*path):
        def value(found):
            for key in path:
                found = found[key]
            return found
        return statistics.median(value(found) for found in rounds)

    limiter, bullmq = 'rate-limiter-flexible on ioredis', 'BullMQ'
    worse = min(IN_FLIGHT, key=lambda n: median(f'limits_{n}', 'rate') / median(f'limits_peer_{n}', 'rate'))
    get, pipelined = f'redis-benchmark GET, {DEPTH} connections', f'redis-benchmark GET, {DEPTH} in one pipeline'
    measures = [
        common.measure('ratelimit_rate', '1/s', 'higher', median(f'limits_{worse}', 'rate'), median(f'limits_peer_{worse}', 'rate'), limiter),
        common.measure('ratelimit_cpu_us', 'µs', 'lower', median(f'limits_{worse}', 'cpuUs'), median(f'limits_peer_{worse}', 'cpu_us'), limiter),
        common.measure('ratelimit_local_rate', '1/s', 'higher', median('local', 'rate'), median(f'limits_peer_{worse}', 'local_rate'), limiter),
        common.measure('queue_add_rate', '1/s', 'higher', median('queue', 'queue_add_rate'), median('queue_peer', 'add_rate'), bullmq),
        common.measure('queue_process_rate', '1/s', 'higher', median('queue', 'queue_process_rate'), median('queue_peer', 'process_rate'), bullmq),
        common.measure('queue_pickup_p50_ms', 'ms', 'lower', median('queue', 'queue_pickup_p50_ms'), median('queue_peer', 'pickup_p50_ms'), bullmq),
        common.measure('queue_pickup_p99_ms', 'ms', 'lower', median('queue', 'queue_pickup_p99_ms'), median('queue_peer', 'pickup_p99_ms'), bullmq),
        common.measure('cache_hit_rate', '1/s', 'higher', median('cache', 'cache_hit_rate')),
        common.measure('cache_loads', '', 'lower', max(found['cache']['cache_loads'] for found in rounds)),
        common.measure('session_rate', '1/s', 'higher', median('session', 'session_rate'), median('get'), get),
        common.measure('session_rate_pipelined', '1/s', 'higher', median('session', 'session_rate'), median('get_pipelined'), pipelined),
    ]
    conditions = {'rounds': len(rounds), 'inFlight': worse, 'depth': DEPTH, 'cores': 'one for the server, one for the client',
                  'queue': '100-byte payloads, results not kept, as the peer is told to'}
    common.report('redis', measures, rounds, options, conditions)


if __name__ == '__main__':
    main()
