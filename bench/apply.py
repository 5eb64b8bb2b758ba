# SPDX-License-Identifier: Apache-2.0
"""Apply: the whole pipeline from prepared transactions into SQLite and into the MongoDB server, beside a
bare loop that writes the very same documents in the same batches."""
import statistics
import tempfile

import common


def run(store, instances, servers):
    with tempfile.TemporaryDirectory(prefix='netbuild-bench-') as folder:
        return common.run_json([common.program('netbuild_bench'), 'apply', '--store', store, '--instances', str(instances),
                                '--folder', folder, '--uri', servers['mongodb'].rsplit('/', 1)[0]])


def main():
    options = common.arguments('apply')
    common.build('netbuild_bench')
    servers = common.stack()
    raw = {'sqlite': [], 'mongodb': []}
    sizes = {'sqlite': 300 if options.quick else 3_000, 'mongodb': 50 if options.quick else 300}
    databases = ('netbuild_bench_apply', 'netbuild_bench_kept', 'netbuild_bench_floor')
    for name in databases:  # what a run that was cut left
        common.drop_mongodb_database(servers, name)
    for round_ in range(1 if options.quick else 3):
        for store, instances in sizes.items():
            raw[store].append(run(store, instances, servers))
            common.log(f'{store}: {raw[store][-1]}')
            if store == 'mongodb':
                for name in databases:
                    common.drop_mongodb_database(servers, name)

    def median(store, key):
        return statistics.median(one[key] for one in raw[store])

    measures = [
        common.measure('apply_sqlite_rate', 'documents/s', 'higher', median('sqlite', 'ours_rate'), median('sqlite', 'floor_rate'),
                       'bare SQLite loop, same documents and batches'),
        common.measure('apply_mongodb_rate', 'documents/s', 'higher', median('mongodb', 'ours_rate'),
                       median('mongodb', 'floor_rate'), 'bare libmongoc bulk loop, same documents and batches'),
    ]
    common.report('apply', measures, raw, options)


if __name__ == '__main__':
    main()
