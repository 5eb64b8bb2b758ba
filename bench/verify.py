# SPDX-License-Identifier: Apache-2.0
"""Verify: `netbuild verify` over 20,000 ended order processes, beside the slower of COPY of the tables that it reads
and a scan of the collections that it reads, all from end to end of a process; on MongoDB, and on SQLite (whose scan
reads every document's bytes)."""
import os
import pathlib
import sqlite3
import statistics
import tempfile
import time

import common
import load

ROUNDS = 5
DATABASE = 'netbuild_bench_verify'
COLLECTIONS = ['workflow_executions', 'task_executions', 'tasks', 'process_definitions']


class Model:
    """The read model of a database in one store, loaded, with nothing running."""

    def __init__(self, servers, database, store, folder):
        self.servers, self.store, self.folder = servers, store, folder
        slot = f'netbuild_bench_verify_{store}'
        self.port = common.free_port()
        self.environment = dict(os.environ, NETBUILD_HTTP_PORT=str(self.port), NETBUILD_ENGINE_SLOT=slot,
                                NETBUILD_ENGINE_NAME=slot, POSTGRES_DB=database.settings['dbname'], NETBUILD_STORE_PATH=folder,
                                REDIS_URL='', MONGODB_URI=self.uri() if store == 'mongodb' else '')
        if store == 'mongodb':
            common.drop_mongodb_database(servers, DATABASE)

    def uri(self):
        return common.mongodb_database(self.servers, DATABASE)

    def serve(self):
        server = common.Server([common.program('netbuild'), 'serve', '--config', self.servers['config']], env=self.environment)
        server.wait_http(f'http://127.0.0.1:{self.port}/readyz', seconds=300)
        return server

    def verify(self):
        done = common.run_json([common.program('netbuild'), 'verify', '--config', self.servers['config'], '--json'],
                               env=self.environment)
        if done['differenceCount']:
            raise SystemExit(f"{done['differenceCount']} differences")
        return {'seconds': done['seconds'], 'cpu_s': done['cpu_s'], 'rss_kb': done['rss_kb'], 'documents': done['documents']}

    def scan(self):
        begun = time.monotonic()
        if self.store == 'mongodb':
            found = common.run_json([common.program('netbuild_bench'), 'scan', '--uri', self.uri(), '--database', DATABASE,
                                     '--collections', ','.join(COLLECTIONS)])
            documents = found['documents']
        else:
            with sqlite3.connect(pathlib.Path(self.folder) / 'store.sqlite') as store:
                documents = sum(1 for name in COLLECTIONS for _ in store.execute(f'select body from {name}'))
            store.close()
        return time.monotonic() - begun, documents


def measured(model, database, raw):
    with model.serve():  # verify waits until the model has passed its snapshot
        model.verify()  # what is read for the first time is read into memory
        for index in range(ROUNDS):  # in turn, so that all see the same state of the machine
            scan_s, documents = model.scan()
            one = {'copy_s': load.copy(database, parallel=False), 'scan_s': scan_s, 'ours': model.verify()}
            raw.append(one)
            common.log(f"{model.store}, round {index + 1}: COPY {one['copy_s']:.2f} s, scan {scan_s:.2f} s; verify "
                       f"{one['ours']['seconds']:.2f} s with {one['ours']['cpu_s']:.2f} s of CPU")
            if one['ours']['documents'] != documents:
                raise SystemExit(f"{one['ours']['documents']} of {documents} documents were compared")


def main():
    options = common.arguments('verify')
    instances = 2_000 if options.quick else 20_000
    common.build('netbuild', 'netbuild_bench')
    servers = common.stack()
    raw = {'instances': instances, 'mongodb': [], 'sqlite': []}
    measures = []
    with common.scratch_database(servers) as database, tempfile.TemporaryDirectory() as folder:
        common.load_instances(database, instances)
        database.run('vacuum analyze')
        for store in ('mongodb', 'sqlite'):
            measured(Model(servers, database, store, folder), database, raw[store])

            def median(of):
                return statistics.median(of(one) for one in raw[store])
            copy_s, scan_s = median(lambda one: one['copy_s']), median(lambda one: one['scan_s'])
            slower = 'COPY of its tables' if copy_s > scan_s else 'a scan of its collections'
            measures.append(common.measure('verify_s' if store == 'mongodb' else 'verify_sqlite_s', 's', 'lower',
                                           median(lambda one: one['ours']['seconds']), max(copy_s, scan_s),
                                           f'the slower: {slower}'))
        common.drop_mongodb_database(servers, DATABASE)
    common.report('verify', measures, raw, options)


if __name__ == '__main__':
    main()
