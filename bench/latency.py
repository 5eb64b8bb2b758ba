# SPDX-License-Identifier: Apache-2.0
"""Latency: from before COMMIT to a Redis subscriber and to the document in GET /v1/executions/{id},
at 200 and 1,000 transactions a second. The floor is pg_recvlogical's output of the same commits."""
import os
import subprocess
import tempfile
import time
import urllib.parse

import common

INSTANCES = 2_000
DATABASE = 'netbuild_bench_latency'
runs = 0


def generator(database, rate, seconds, *more):
    global runs
    runs += 1
    return [common.program('netbuild_bench'), 'latency', '--run', str(runs), '--rate', str(rate), '--seconds', str(seconds), '--instances',
            str(INSTANCES), '--conninfo', database.conninfo(), *map(str, more)]


def floor(database, rate, seconds):
    slot = f'bench_floor_{rate}'
    database.slot(slot)
    capture = subprocess.Popen(
        ['pg_recvlogical', '--dbname', database.settings['dbname'], '--slot', slot, '--start', '-o', 'proto_version=1',
         '-o', f'publication_names={common.PUBLICATION}', '--file', '-', '--no-loop'],
        env=database.environment(), stdout=subprocess.PIPE)
    try:
        time.sleep(1)
        done = subprocess.run(generator(database, rate, seconds, '--watch', 'stdin'), stdin=capture.stdout, check=True,
                              capture_output=True, text=True)
    finally:
        capture.terminate()
        capture.wait()
    return common.json.loads(done.stdout.strip().splitlines()[-1])


def ours(servers, database, store, rates, seconds, folder):
    port = common.free_port()
    slot = f'netbuild_bench_{store}'
    redis = urllib.parse.urlparse(servers['redis'])
    s = database.settings
    environment = dict(os.environ, NETBUILD_HTTP_PORT=str(port), NETBUILD_ENGINE_SLOT=slot, NETBUILD_ENGINE_NAME=slot,
                       POSTGRES_DB=s['dbname'], NETBUILD_STORE_PATH=folder, REDIS_URL=servers['redis'],
                       MONGODB_URI=common.mongodb_database(servers, DATABASE) if store == 'mongodb' else '')
    if store == 'mongodb':
        common.drop_mongodb_database(servers, DATABASE)
    answers = {}
    with common.Server([common.program('netbuild'), 'serve', '--config', servers['config']], env=environment) as server:
        server.wait_http(f'http://127.0.0.1:{port}/readyz', seconds=120)
        server.wait_http(f'http://127.0.0.1:{port}/v1/executions/latency-{INSTANCES - 1}', seconds=120)
        for rate in rates:
            answers[rate] = common.run_json(generator(database, rate, seconds, '--redis-port', redis.port, '--redis-host',
                                                      redis.hostname, '--http-port', port))
            common.log(f'{store} at {rate}/s: {answers[rate]}')
        answers['cost'] = server.cost()
    return answers


def main():
    options = common.arguments('latency')
    seconds = 3 if options.quick else 10
    common.build('netbuild', 'netbuild_bench')
    servers = common.stack()
    raw = {'instances': INSTANCES, 'seconds': seconds, 'floor': {}}
    with common.scratch_database(servers) as database, tempfile.TemporaryDirectory(prefix='netbuild-bench-') as folder:
        database.run_file(common.BENCH / 'latency_load.sql')
        database.run(f'call nb_open(0, {INSTANCES})')
        common.create_publication(database)
        for rate in (200, 1_000):
            raw['floor'][rate] = floor(database, rate, seconds)
            common.log(f"floor at {rate}/s: {raw['floor'][rate]}")
        raw['sqlite'] = ours(servers, database, 'sqlite', (200, 1_000), seconds, folder)
        # Three documents and a checkpoint a claim, reads of what is not in the cache, and all of it on two
        # cores: the server of the tests does not keep up at 200 a second.
        raw['mongodb_rate'] = 100
        raw['mongodb'] = ours(servers, database, 'mongodb', (raw['mongodb_rate'],), seconds, folder)
        common.drop_mongodb_database(servers, DATABASE)

    measures = []

    def add(suffix, answer, floor_answer):
        for target, field in (('redis', 'published'), ('document', 'visible')):
            for p in ('p50', 'p99'):
                measures.append(common.measure(f'{target}_{p}_ms{suffix}', 'ms', 'lower', answer[f'{field}_{p}_ms'],
                                               floor_answer[f'published_{p}_ms'], 'pg_recvlogical to a pipe'))

    add('', raw['sqlite'][1_000], raw['floor'][1_000])
    add('_200', raw['sqlite'][200], raw['floor'][200])
    add('_mongodb', raw['mongodb'][raw['mongodb_rate']], raw['floor'][200])
    common.report('latency', measures, raw, options)


if __name__ == '__main__':
    main()
