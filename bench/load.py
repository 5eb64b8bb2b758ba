# SPDX-License-Identifier: Apache-2.0
"""Load: a database of 20,000 order processes read in one snapshot, decoded and projected into nothing, beside plain
`COPY t TO STDOUT` of the same tables to /dev/null, one after the other on one connection; also all of them side by side."""
import statistics
import subprocess
import time

import common

ROUNDS = 5
# All that the load reads for a process instance (src/postgres/snapshot_queries.cpp).
TABLES = ['act_hi_procinst', 'act_hi_taskinst', 'act_hi_actinst', 'act_hi_incident', 'act_hi_varinst',
          'act_ge_bytearray', 'act_hi_identitylink', 'act_ru_task', 'act_ru_job']


def psql(database, tables):
    command = ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1']
    for table in tables:
        command += ['-c', f'copy {table} to stdout']
    return subprocess.Popen(command, env=database.environment(), stdout=subprocess.DEVNULL)


def copy(database, parallel):
    begun = time.monotonic()
    running = [psql(database, [table]) for table in TABLES] if parallel else [psql(database, TABLES)]
    for process in running:
        if process.wait() != 0:
            raise SystemExit('COPY failed')
    return time.monotonic() - begun


def ours(database, connections):
    return common.run_json([common.program('netbuild_bench'), 'load', '--conninfo', database.conninfo(),
                            '--connections', str(connections)])


def main():
    options = common.arguments('load')
    instances = 2_000 if options.quick else 20_000
    common.build('netbuild_bench')
    servers = common.stack()
    raw = {'instances': instances, 'rounds': []}
    with common.scratch_database(servers) as database:
        raw['fill_s'] = common.load_instances(database, instances)
        database.run('vacuum analyze')
        raw['table_rows'] = sum(int(database.run(f'select count(*) from {table}')) for table in TABLES)
        for index in range(ROUNDS):  # in turn, so that all see the same state of the machine
            one = {'copy_s': copy(database, parallel=False), 'copy_parallel_s': copy(database, parallel=True),
                   'ours': ours(database, 2)}
            raw['rounds'].append(one)
            common.log(f"round {index + 1}: COPY {one['copy_s']:.2f} s, side by side {one['copy_parallel_s']:.2f} s; "
                       f"ours {one['ours']['load_s']:.2f} s with {one['ours']['cpu_s']:.2f} s of CPU, the event loop "
                       f"busy for {one['ours']['loop_busy_ms']} ms at most")
            if one['ours']['instances'] != instances:
                raise SystemExit(f"{one['ours']['instances']} of {instances} process instances were loaded")

    def median(of):
        return statistics.median(of(one) for one in raw['rounds'])
    copied = raw['table_rows']
    loaded = raw['rounds'][0]['ours']['rows']
    ours_s = median(lambda one: one['ours']['load_s'])
    copy_s = median(lambda one: one['copy_s'])
    parallel_s = median(lambda one: one['copy_parallel_s'])
    common.report('load', [
        # The same tables on both sides. Of activities the load needs, and reads, only those that are open: the rows
        # that came over are the measure after next.
        common.measure('load_rate', 'rows/s', 'higher', round(copied / ours_s), round(copied / copy_s),
                       'COPY t TO STDOUT, one connection'),
        common.measure('load_rate_parallel_peer', 'rows/s', 'higher', round(copied / ours_s), round(copied / parallel_s),
                       'COPY t TO STDOUT, a connection each'),
        common.measure('load_read_rate', 'rows/s', 'higher', round(loaded / ours_s), round(copied / copy_s),
                       'COPY t TO STDOUT, one connection'),
        common.measure('load_s', 's', 'lower', round(ours_s, 3), round(copy_s, 3), 'COPY t TO STDOUT, one connection'),
        common.measure('load_cpu_s', 's', 'lower', round(median(lambda one: one['ours']['cpu_s']), 2)),
        common.measure('load_rss_kb', 'kB', 'lower', max(one['ours']['rss_kb'] for one in raw['rounds'])),
        common.measure('load_loop_busy_ms', 'ms', 'lower', max(one['ours']['loop_busy_ms'] for one in raw['rounds'])),
    ], raw, options)


if __name__ == '__main__':
    main()
