# SPDX-License-Identifier: Apache-2.0
"""Latency: from before COMMIT to a Redis subscriber and to the document in GET /v1/executions/{id}.
With SQLite at 200 and 1,000 transactions a second, beside pg_recvlogical's output of the same commits;
with MongoDB at the highest rate that its server bears, beside a bare loop of single upserts."""
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

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


# Tried from the top until one is borne.
MONGODB_RATES = (1_000, 700, 500, 350, 250, 200, 150, 100, 70, 50, 30, 20)
DOCUMENT_BYTES = 2_000  # about what an execution's document has


def borne(answer):
    """All that was committed came out, and waiting did not grow during the run."""
    return answer['published'] >= 0.89 * answer['transactions'] and answer['late_p50_ms'] < max(2 * answer['early_p50_ms'], 50)


def upsert_loop(servers, seconds, rate=0):
    return common.run_json([common.program('netbuild_bench'), 'upsert-loop', '--uri', servers['mongodb'], '--database', DATABASE,
                            '--collection', 'bare', '--documents', str(INSTANCES), '--bytes', str(DOCUMENT_BYTES), '--rate',
                            str(rate), '--seconds', str(seconds)])


def catch_up(port, seconds=120):
    """Waits until what is committed by now is in the read model."""
    request = urllib.request.Request(f'http://127.0.0.1:{port}/v1/executions/latency-0',
                                     headers={'X-NetBuild-Min-Position': 'now', 'X-NetBuild-Wait': '5000'})
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(request, timeout=20):
                return
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                raise


def ours(servers, database, store, rates, seconds, folder, until=lambda answer: False):
    """Answers by rate; after one that pleases `until` no further rate is tried."""
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
            if until(answers[rate]):
                break
            # The next run begins without the backlog of this one.
            catch_up(port)
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
        raw['mongodb'] = ours(servers, database, 'mongodb', MONGODB_RATES, seconds, folder, until=borne)
        rate = raw['mongodb_rate'] = min(key for key in raw['mongodb'] if key != 'cost')
        raw['mongodb_borne'] = borne(raw['mongodb'][rate])
        common.drop_mongodb_database(servers, DATABASE)
        raw['mongodb_floor'] = upsert_loop(servers, seconds, rate)
        raw['mongodb_floor_rate'] = upsert_loop(servers, seconds)
        common.log(f"bare upserts: {raw['mongodb_floor']}, as fast as they go: {raw['mongodb_floor_rate']}")
        common.drop_mongodb_database(servers, DATABASE)

    measures = []

    def add(suffix, answer, floor_answer, prefix, peer):
        for target, field in (('redis', 'published'), ('document', 'visible')):
            for p in ('p50', 'p99'):
                measures.append(common.measure(f'{target}_{p}_ms{suffix}', 'ms', 'lower', answer[f'{field}_{p}_ms'],
                                               floor_answer[f'{prefix}{p}_ms'], peer))

    add('', raw['sqlite'][1_000], raw['floor'][1_000], 'published_', 'pg_recvlogical to a pipe')
    add('_200', raw['sqlite'][200], raw['floor'][200], 'published_', 'pg_recvlogical to a pipe')
    add('_mongodb', raw['mongodb'][rate], raw['mongodb_floor'], '', f'bare libmongoc loop, one upsert each, at {rate}/s')
    measures.append(common.measure('rate_mongodb', 'transactions/s', 'higher', rate if raw['mongodb_borne'] else 0,
                                   round(raw['mongodb_floor_rate']['rate']), 'bare libmongoc loop, one upsert each'))
    common.report('latency', measures, raw, options)


if __name__ == '__main__':
    main()
