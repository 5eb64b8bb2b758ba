# SPDX-License-Identifier: Apache-2.0
"""What the benches share: servers, scratch databases, processes with their cost, the report.

`./dev bench AREA` runs bench/AREA.py. Figures are ratios to a peer or a floor of the same run; the
last line of the output is one JSON object, and bench/results/ keeps it with the raw numbers.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / 'bench'
RESULTS = BENCH / 'results'
BUILD = pathlib.Path(os.environ.get('NETBUILD_BENCH_BUILD', ROOT / 'build' / 'release'))
PUBLICATION = 'netbuild'


def log(text):
    print(text, file=sys.stderr, flush=True)


def arguments(area):
    parser = argparse.ArgumentParser(prog=f'./dev bench {area}')
    parser.add_argument('--json', action='store_true', help='only the JSON line on stdout')
    parser.add_argument('--peers', action='store_true', help='slow peers too (Debezium)')
    parser.add_argument('--quick', action='store_true', help='a tenth of the load: does it work?')
    return parser.parse_args()


# --- programs and servers


def build(*targets):
    """Builds the bench's own programs in the release folder that `./dev build` made."""
    if not (BUILD / 'build.ninja').exists():
        subprocess.run([str(ROOT / 'dev'), 'build'], check=True, stdout=sys.stderr)
    subprocess.run(['ninja', '-C', str(BUILD), *targets], check=True, stdout=sys.stderr)


def program(name):
    for path in (BUILD / name, BUILD / 'bench' / name, BUILD / 'src' / 'cli' / name):
        if path.is_file():
            return str(path)
    raise SystemExit(f'{name} is not built: ./dev build')


def stack():
    """The servers of `./dev stack up`, or those in the JSON file NETBUILD_BENCH_STACK."""
    given = os.environ.get('NETBUILD_BENCH_STACK')
    if given:
        return json.loads(pathlib.Path(given).read_text())
    dev = str(ROOT / 'dev')
    subprocess.run([dev, 'stack', 'up'], check=True, stdout=sys.stderr)
    out = subprocess.run([dev, 'stack', 'status', '--json'], check=True, capture_output=True, text=True)
    return json.loads(out.stdout.strip().splitlines()[-1])


class Postgres:
    """One database of the stack's PostgreSQL, through psql."""

    def __init__(self, settings, dbname=None):
        self.settings = dict(settings)
        if dbname:
            self.settings['dbname'] = dbname

    def environment(self):
        s = self.settings
        return dict(os.environ, PGHOST=str(s['host']), PGPORT=str(s['port']), PGUSER=s['user'],
                    PGPASSWORD=s.get('password') or '', PGDATABASE=s['dbname'], PGOPTIONS='-c client_min_messages=warning')

    def conninfo(self):
        s = self.settings
        text = f"host={s['host']} port={s['port']} user={s['user']} dbname={s['dbname']}"
        return text + (f" password={s['password']}" if s.get('password') else '')

    def run(self, *commands):
        args = ['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1']
        for command in commands:
            args += ['-c', command]
        return subprocess.run(args, env=self.environment(), check=True, capture_output=True, text=True).stdout.strip()

    def run_file(self, path):
        subprocess.run(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', str(path)], env=self.environment(), check=True,
                       stdout=subprocess.DEVNULL)

    def slot(self, name):
        self.run(f"select pg_create_logical_replication_slot('{name}', 'pgoutput')")

    def flushed_lsn(self):
        # A logical message after all, committed with a flush: the flushed end lies behind every commit.
        self.run('set synchronous_commit = on', "select pg_logical_emit_message(true, 'bench', 'end')")
        return self.run('select pg_current_wal_flush_lsn()')


@contextlib.contextmanager
def scratch_database(servers, name='netbuild_bench'):
    """A database with Camunda's schema and the load procedure, dropped afterwards with its slots."""
    engine = Postgres(servers['postgres'])
    scratch = Postgres(servers['postgres'], name)

    def drop():
        engine.run(f"select pg_terminate_backend(active_pid) from pg_replication_slots where database='{name}' and active")
        for _ in range(50):
            with contextlib.suppress(subprocess.CalledProcessError):
                engine.run(f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database='{name}'")
                break
            time.sleep(0.1)
        engine.run(f'drop database if exists {name} with (force)')

    drop()
    engine.run(f'create database {name}')
    try:
        schema = subprocess.run(['pg_dump', '--schema-only', '--no-owner', '--no-publications', '--schema=public'],
                                env=engine.environment(), check=True, capture_output=True).stdout
        schema = schema.replace(b'CREATE SCHEMA public;', b'')
        subprocess.run(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1'], env=scratch.environment(), check=True,
                       input=schema, stdout=subprocess.DEVNULL)
        # Only what the engine's start needs to know: the history level.
        rows = subprocess.run(['pg_dump', '--data-only', '--table=public.act_ge_property'], env=engine.environment(),
                              check=True, capture_output=True).stdout
        subprocess.run(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1'], env=scratch.environment(), check=True, input=rows,
                       stdout=subprocess.DEVNULL)
        scratch.run_file(ROOT / 'lab' / 'camunda_load.sql')
        yield scratch
    finally:
        drop()


def create_publication(database):
    """The tables and columns that the projection reads, as the capture itself publishes them."""
    text = (ROOT / 'src' / 'model' / 'camunda_schema.cpp').read_text()
    tables = []
    for table, body in re.findall(r'constexpr Columns (\w+)_columns\[\] = \{(.*?)\};', text, re.S):
        columns = ', '.join(re.findall(r'"([^"]+)"', body))
        tables.append(f'act_{table} ({columns})')
    database.run(f"drop publication if exists {PUBLICATION}", f"create publication {PUBLICATION} for table {', '.join(tables)}")


def load_instances(database, count, sessions=None, first=1):
    """`count` order processes by the load procedure, from several sessions; seconds taken."""
    sessions = sessions or min(2, os.cpu_count() or 1)
    share = -(-count // sessions)
    begun = time.monotonic()
    running = []
    for index in range(sessions):
        here = min(share, count - index * share)
        if here > 0:
            # No flush for each commit: making the load is not what is measured.
            running.append(subprocess.Popen(
                ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', 'set synchronous_commit = off',
                 '-c', f'call nb_gen({first + index * share}, {here})'], env=database.environment()))
    for process in running:
        if process.wait() != 0:
            raise SystemExit('the load failed')
    return time.monotonic() - begun


# --- processes and what they cost


def run_measured(command, env=None, stdout=subprocess.DEVNULL):
    """Runs to the end: {'seconds', 'cpu_s', 'rss_kb', 'stdout'}."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=stdout, text=True)
    output = process.stdout.read() if stdout == subprocess.PIPE else ''
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command[:3]))} … failed with {process.returncode}")
    return {'seconds': seconds, 'cpu_s': usage.ru_utime + usage.ru_stime, 'rss_kb': usage.ru_maxrss, 'stdout': output}


def run_json(command, env=None):
    """A bench program that prints one JSON object as its last line, and what it cost."""
    done = run_measured(command, env=env, stdout=subprocess.PIPE)
    answer = json.loads(done.pop('stdout').strip().splitlines()[-1])
    return {**done, **answer}


def free_port():
    # Below the range from which the system takes ports for outgoing connections.
    for port in range(21500, 32000):
        with contextlib.closing(socket.socket()) as probe:
            with contextlib.suppress(OSError):
                probe.bind(('127.0.0.1', port))
                return port
    raise SystemExit('no free port')


class Server:
    """A server process of the bench; its output goes to a file that is shown if it dies."""

    def __init__(self, command, env=None, cwd=None):
        self.output = tempfile.NamedTemporaryFile('w+', prefix='netbuild-bench-', suffix='.log')
        self.process = subprocess.Popen(command, env=env, cwd=cwd, stdout=self.output, stderr=self.output)

    def wait_http(self, url, seconds=60, accept=(200,)):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                try:
                    with urllib.request.urlopen(url, timeout=2) as answer:
                        if answer.status in accept:
                            return
                except urllib.error.HTTPError as error:
                    if error.code in accept:
                        return
            time.sleep(0.1)
        self.output.flush()
        raise SystemExit(f'no answer from {url}\n' + pathlib.Path(self.output.name).read_text()[-3000:])

    def cost(self):
        fields = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        ticks = os.sysconf('SC_CLK_TCK')
        status = pathlib.Path(f'/proc/{self.process.pid}/status').read_text()
        return {'cpu_s': (int(fields[11]) + int(fields[12])) / ticks,
                'rss_kb': int(re.search(r'VmHWM:\s+(\d+)', status).group(1))}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def http_load(port, paths, seconds, connections=16):
    with tempfile.NamedTemporaryFile('w', suffix='.paths') as file:
        file.write('\n'.join(paths) + '\n')
        file.flush()
        return run_json([program('netbuild_http_load'), '--port', str(port), '--paths', file.name, '--connections',
                         str(connections), '--seconds', str(seconds)])


def mongodb_database(servers, name):
    return servers['mongodb'].rsplit('/', 1)[0] + '/' + name


def drop_mongodb_database(servers, name):
    if name:
        run_json([program('netbuild_bench'), 'drop-database', '--uri', mongodb_database(servers, name), '--database', name])


# --- the report


def measure(name, unit, better, ours, peer=None, peer_name=None):
    ratio = None
    if ours is not None and peer:
        ratio = round(peer / ours if better == 'lower' else ours / peer, 3) if ours else None
    return {'name': name, 'unit': unit, 'better': better, 'ours': ours, 'peer': peer, 'peerName': peer_name, 'ratio': ratio}


def machine():
    cpu = re.search(r'model name\s*:\s*(.*)', pathlib.Path('/proc/cpuinfo').read_text())
    memory = int(re.search(r'MemTotal:\s+(\d+)', pathlib.Path('/proc/meminfo').read_text()).group(1))
    return {'cpu': cpu.group(1) if cpu else platform.machine(), 'cores': os.cpu_count(),
            'memoryGb': round(memory / 1024 / 1024), 'kernel': platform.release()}


def commit():
    out = subprocess.run(['git', '-C', str(ROOT), 'rev-parse', '--short', 'HEAD'], capture_output=True, text=True)
    return out.stdout.strip() or None


def report(area, measures, raw, options, conditions=None):
    result = {'area': area, 'commit': commit(), 'machine': machine(), 'measures': measures}
    if conditions:
        result['conditions'] = conditions
    RESULTS.mkdir(parents=True, exist_ok=True)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
    (RESULTS / f'{area}-{stamp}.json').write_text(json.dumps({**result, 'at': stamp, 'raw': raw}, indent=1) + '\n')
    if not options.json:
        print(f"{'measure':28} {'ours':>12} {'peer':>12} {'ratio':>8}  unit, peer")
        for m in measures:
            def show(value):
                return '-' if value is None else f'{value:,.2f}'
            print(f"{m['name']:28} {show(m['ours']):>12} {show(m['peer']):>12} {show(m['ratio']):>8}  {m['unit']}, {m['peerName'] or '-'}")
    print(json.dumps(result), flush=True)
