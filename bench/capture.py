# SPDX-License-Identifier: Apache-2.0
"""Capture: WAL of 20,000 order processes, decoded and projected into nothing, beside pg_recvlogical
writing the same publication's messages to /dev/null. With --peers Debezium embedded too."""
import statistics
import subprocess
import sys

import common

ROUNDS = 2


def recvlogical(database, slot, end_lsn):
    return common.run_measured(
        ['pg_recvlogical', '--dbname', database.settings['dbname'], '--slot', slot, '--start', '-o', 'proto_version=1',
         '-o', f'publication_names={common.PUBLICATION}', '--file', '/dev/null', '--no-loop', '--endpos', end_lsn],
        env=database.environment())


def ours(database, slot, end_lsn):
    return common.run_json([common.program('netbuild_bench'), 'capture', '--conninfo', database.conninfo(), '--slot', slot,
                            '--publication', common.PUBLICATION, '--end-lsn', end_lsn])


def debezium(database, slot, changes):
    folder = common.BENCH / 'peers' / 'debezium'
    if not (folder / 'target' / 'lib').is_dir():
        subprocess.run(['mvn', '-B', '-q', 'package'], cwd=folder, check=True, stdout=sys.stderr)
    s = database.settings
    return common.run_json(['java', '-Xmx1g', '-cp', f'{folder}/target/debezium-peer-1.jar:{folder}/target/lib/*',
                            'bench.DebeziumPeer', s['host'], str(s['port']), s['dbname'], s['user'],
                            s.get('password') or 'none', slot, common.PUBLICATION, str(changes)])


def main():
    options = common.arguments('capture')
    instances = 2_000 if options.quick else 20_000
    common.build('netbuild_bench')
    servers = common.stack()
    raw = {'instances': instances, 'rounds': []}
    with common.scratch_database(servers) as database:
        common.create_publication(database)
        for index in range(ROUNDS):
            database.slot(f'bench_floor_{index}')
            database.slot(f'bench_ours_{index}')
        if options.peers:
            database.slot('bench_debezium')
        before = database.run('select pg_current_wal_flush_lsn()')
        raw['load_s'] = common.load_instances(database, instances)
        end_lsn = database.flushed_lsn()
        raw['wal_bytes'] = int(database.run(f"select '{end_lsn}'::pg_lsn - '{before}'::pg_lsn"))
        common.log(f"load: {instances} instances, {raw['wal_bytes'] >> 20} MB of WAL in {raw['load_s']:.0f} s")
        for index in range(ROUNDS):  # in turn, so that both see the same state of the machine
            floor = recvlogical(database, f'bench_floor_{index}', end_lsn)
            mine = ours(database, f'bench_ours_{index}', end_lsn)
            raw['rounds'].append({'pg_recvlogical': floor, 'ours': mine})
            common.log(f"round {index + 1}: pg_recvlogical {floor['seconds']:.2f} s, ours {mine['seconds']:.2f} s "
                       f"with {mine['cpu_s']:.2f} s of CPU and {mine['rss_kb'] >> 10} MB")
        changes = raw['rounds'][0]['ours']['row_changes']
        if options.peers:
            raw['debezium'] = debezium(database, 'bench_debezium', changes)

    floor_s = statistics.median(r['pg_recvlogical']['seconds'] for r in raw['rounds'])
    ours_s = statistics.median(r['ours']['seconds'] for r in raw['rounds'])
    peer = raw.get('debezium')
    measures = [
        common.measure('capture_rate', 'row changes/s', 'higher', round(changes / ours_s), round(changes / floor_s),
                       'pg_recvlogical to /dev/null'),
        common.measure('capture_cpu_s', 's', 'lower', round(max(r['ours']['cpu_s'] for r in raw['rounds']), 2),
                       peer and round(peer['cpu_s'], 2), 'Debezium embedded' if peer else None),
        common.measure('capture_rss_kb', 'kB', 'lower', max(r['ours']['rss_kb'] for r in raw['rounds']),
                       peer and peer['rss_kb'], 'Debezium embedded' if peer else None),
    ]
    if peer:
        measures.append(common.measure('capture_rate_debezium', 'row changes/s', 'higher', round(changes / ours_s),
                                       round(peer['changes'] / peer['seconds_with_start']), 'Debezium embedded'))
    common.report('capture', measures, raw, options)


if __name__ == '__main__':
    main()
