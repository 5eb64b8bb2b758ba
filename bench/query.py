# SPDX-License-Identifier: Apache-2.0
"""Query: GET /v1/executions/{id} with 16 connections, beside the Node service that this replaces
(express, mongoose, axios) on the same MongoDB server and the same real Camunda."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

import common

CONNECTIONS = 16
DATABASE = 'netbuild_bench_query'
PREFIX = 'bench-query-'


class Camunda:
    """Camunda's REST over one connection a thread."""

    def __init__(self, base):
        self.base = urllib.parse.urlparse(base)
        self.connection = http.client.HTTPConnection(self.base.hostname, self.base.port, timeout=60)

    def call(self, method, path, body=None, raw=None, headers=None):
        headers = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body)
            headers['Content-Type'] = 'application/json'
        self.connection.request(method, self.base.path.rstrip('/') + path, data, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise SystemExit(f'Camunda: {method} {path} → {answer.status} {content[:300]}')
        return json.loads(content) if content else None


def deploy(base):
    bpmn = (common.ROOT / 'lab' / 'camunda' / 'order.bpmn').read_bytes()
    boundary = 'netbuild-bench'
    parts = [('deployment-name', None, b'netbuild-bench'), ('enable-duplicate-filtering', None, b'true'),
             ('tenant-id', None, b'bench'), ('data', 'order.bpmn', bpmn)]
    body = b''
    for name, file, value in parts:
        filename = f'; filename="{file}"' if file else ''
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + value + b'\r\n'
    body += f'--{boundary}--\r\n'.encode()
    Camunda(base).call('POST', '/deployment/create', raw=body,
                       headers={'Content-Type': f'multipart/form-data; boundary={boundary}'})


def start_instances(base, count):
    """Running instances with a few variables each; what an earlier run left is used again."""
    query = f'/process-instance?businessKeyLike={PREFIX}%25&active=true&maxResults=100000'
    there = {item['businessKey']: item['id'] for item in Camunda(base).call('GET', query)}
    wanted = [f'{PREFIX}{index}' for index in range(count)]

    def start(keys):
        camunda = Camunda(base)
        started = {}
        for key in keys:
            variables = {'customer': {'value': f'Customer {key}', 'type': 'String'}, 'amount': {'value': 12.5, 'type': 'Double'},
                         'items': {'value': 3, 'type': 'Integer'}, 'express': {'value': True, 'type': 'Boolean'}}
            answer = camunda.call('POST', '/process-definition/key/order/tenant-id/bench/start',
                                  {'businessKey': key, 'variables': variables})
            started[key] = answer['id']
        return started

    missing = [key for key in wanted if key not in there]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for started in pool.map(start, [missing[offset::4] for offset in range(4)]):
            there.update(started)
    return {key: there[key] for key in wanted}


def stop_instances(base, ids):
    camunda = Camunda(base)
    for instance in ids:
        with contextlib.suppress(SystemExit):
            camunda.call('DELETE', f'/process-instance/{instance}?skipCustomListeners=true')


def node_rate(servers, instances, seconds):
    folder = common.BENCH / 'peers' / 'node-query'
    if not (folder / 'node_modules').is_dir():
        subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--silent'], cwd=folder, check=True, stdout=sys.stderr)
    port = common.free_port()
    environment = dict(os.environ, PORT=str(port), MONGODB_URI=servers['mongodb'], MONGODB_DATABASE=DATABASE,
                       CAMUNDA_URL=servers['camunda'], NODE_ENV='production')
    with common.Server(['node', 'server.js'], env=environment, cwd=folder) as node:
        node.wait_http(f'http://127.0.0.1:{port}/', accept=(200, 404))
        documents = [{'executionId': key, 'processInstanceId': instance, 'domainId': 'bench', 'currentTaskName': 'Review',
                      'status': 'in_progress'} for key, instance in instances.items()]
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
        connection.request('POST', '/fill', json.dumps(documents), {'Content-Type': 'application/json'})
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f'the Node peer: {answer.read()[:300]}')
        paths = [f'/v1/executions/{key}' for key in instances]
        return {**common.http_load(port, paths, seconds, CONNECTIONS), **node.cost()}


def ours(servers, store, instances, seconds, folder):
    """Our server on its own store and slot: rates in `model` and, where asked, `engine` mode."""
    port = common.free_port()
    slot = f'netbuild_bench_{store}'
    environment = dict(os.environ, NETBUILD_HTTP_PORT=str(port), NETBUILD_ENGINE_SLOT=slot, NETBUILD_STORE_PATH=folder,
                       REDIS_URL='', MONGODB_URI=common.mongodb_database(servers, DATABASE) if store == 'mongodb' else '')
    engine = common.Postgres(servers['postgres'])
    drop = f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{slot}' and not active"
    engine.run(drop)
    common.drop_mongodb_database(servers, DATABASE if store == 'mongodb' else None)
    answers = {}
    try:
        with common.Server([common.program('netbuild'), 'serve', '--config', servers['config']], env=environment) as server:
            server.wait_http(f'http://127.0.0.1:{port}/readyz', seconds=120)
            last = list(instances)[-1]
            server.wait_http(f'http://127.0.0.1:{port}/v1/executions/{last}', seconds=60)
            for mode in ('model', 'engine') if store == 'sqlite' else ('model',):
                paths = [f'/v1/executions/{key}?consistency={mode}' for key in instances]
                answers[mode] = common.http_load(port, paths, seconds, CONNECTIONS)
            answers['cost'] = server.cost()
    finally:
        time.sleep(0.3)
        engine.run(drop)
    return answers


def main():
    options = common.arguments('query')
    seconds = 3 if options.quick else 8
    count = 50 if options.quick else 500
    common.build('netbuild', 'netbuild_http_load', 'netbuild_bench')
    servers = common.stack()
    deploy(servers['camunda'])
    instances = start_instances(servers['camunda'], count)
    raw = {'instances': count, 'connections': CONNECTIONS}
    try:
        with tempfile.TemporaryDirectory(prefix='netbuild-bench-') as folder:
            raw['ours_sqlite'] = ours(servers, 'sqlite', instances, seconds, folder)
            raw['ours_mongodb'] = ours(servers, 'mongodb', instances, seconds, folder)
        raw['node'] = node_rate(servers, instances, seconds)
        raw['find_loop'] = common.run_json([common.program('netbuild_bench'), 'find-loop', '--uri', servers['mongodb'],
                                            '--database', DATABASE, '--collection', 'node_task_executions',
                                            '--threads', '8', '--seconds', str(seconds / 2)])
    finally:
        stop_instances(servers['camunda'], instances.values())
        common.drop_mongodb_database(servers, DATABASE)
    for name in ('ours_sqlite', 'ours_mongodb'):
        for mode in ('model', 'engine'):
            if raw[name].get(mode, {}).get('errors'):
                raise SystemExit(f"{name} {mode}: {raw[name][mode]['errors']} answers were no 200")

    node = raw['node']
    sqlite, mongodb = raw['ours_sqlite'], raw['ours_mongodb']
    peer = 'Node: express, mongoose, axios'
    measures = [
        common.measure('query_model_rate', 'requests/s', 'higher', sqlite['model']['rate'], node['rate'], peer),
        common.measure('query_model_mongodb_rate', 'requests/s', 'higher', mongodb['model']['rate'], node['rate'], peer),
        common.measure('query_engine_rate', 'requests/s', 'higher', sqlite['engine']['rate'], node['rate'], peer),
        common.measure('query_model_p50_ms', 'ms', 'lower', sqlite['model']['p50_ms'], node['p50_ms'], peer),
        common.measure('query_model_p99_ms', 'ms', 'lower', sqlite['model']['p99_ms'], node['p99_ms'], peer),
        common.measure('query_model_mongodb_p50_ms', 'ms', 'lower', mongodb['model']['p50_ms'], node['p50_ms'], peer),
        common.measure('query_engine_p50_ms', 'ms', 'lower', sqlite['engine']['p50_ms'], node['p50_ms'], peer),
        common.measure('query_model_mongodb_floor', 'requests/s', 'higher', mongodb['model']['rate'], raw['find_loop']['rate'],
                       'bare libmongoc find loop'),
    ]
    common.report('query', measures, raw, options)


if __name__ == '__main__':
    main()
