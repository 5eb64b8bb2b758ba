# SPDX-License-Identifier: Apache-2.0
"""What an end-to-end test asks for after faults: stored events and the Redis stream entry by entry,
completeness against Camunda's own tables, documents against a fresh comparison."""
import collections
import hashlib
import json
import os
import subprocess
import urllib.parse

from harness import NETBUILD, Failed, Netbuild, psql, until
from kill_test import sync_state

EPOCH = 2 ** 48  # a Position of a later epoch: the model was loaded anew


def stored_events(netbuild):
    """(id, type, payload) from the store, in order."""
    out = subprocess.run([NETBUILD, "events", "--config", str(netbuild.config), "--json"], capture_output=True,
                         text=True, env=netbuild.cli_environment)
    if out.returncode:
        raise Failed(f"netbuild events: {out.returncode} {out.stderr[-500:]}")
    events = []
    for line in out.stdout.splitlines():
        payload = json.loads(line)
        kind = payload.pop("type")
        payload.pop("source")
        events.append((payload["position"], kind, payload))
    return events


def redis_entries(stack, stream):
    """(id, type, payload) from the Redis stream, in order."""
    url = urllib.parse.urlsplit(stack["redis"])
    command, secret = ["redis-cli", "-h", url.hostname, "-p", str(url.port), "--json"], {}
    if url.scheme == "rediss":
        command += ["--tls", "--cacert", f"{stack['tls']}/ca.pem", "--user", url.username]
        secret = {"REDISCLI_AUTH": urllib.parse.unquote(url.password)}
    out = subprocess.run([*command, "XRANGE", stream, "-", "+"], check=True, capture_output=True, text=True,
                         env={**os.environ, **secret})
    entries = []
    for id_, flat in json.loads(out.stdout):
        fields = dict(zip(flat[::2], flat[1::2]))
        entries.append((id_, fields["type"], json.loads(fields["payload"])))
    return entries


def key(position):
    return tuple(map(int, position.split("-")))


def check_order(events, what):
    keys = [key(position) for position, _, _ in events]
    if keys != sorted(set(keys)):
        raise Failed(f"{what} are out of order or doubled")
    if keys and keys[-1][0] >= EPOCH:
        raise Failed(f"{what}: an epoch has begun at {keys[-1]}: the model was loaded anew, events between are missing")


def check_complete(stack, events):
    """Each start, end and task of Camunda's history tables has exactly its one event."""
    seen = collections.Counter()
    for _, kind, payload in events:
        if kind in ("process:started", "process:completed"):
            seen[kind, payload["processInstanceId"]] += 1
        elif kind in ("task:created", "task:completed"):
            seen[kind, payload["taskId"]] += 1
    expected = collections.Counter()
    for table, names in (("act_hi_procinst", ("process:started", "process:completed")),
                         ("act_hi_taskinst", ("task:created", "task:completed"))):
        for line in psql(stack, f"select id_, end_time_ is not null from {table}").splitlines():
            id_, ended = line.split("|")
            expected[names[0], id_] += 1
            if ended == "t":
                expected[names[1], id_] += 1
    if seen != expected:
        raise Failed(f"events missing {list((expected - seen).items())[:5]}, too many {list((seen - expected).items())[:5]}")


def check_stream(stack, netbuild):
    """Stored events are complete and the Redis stream is the same, entry by entry; how many."""
    stored = stored_events(netbuild)
    check_order(stored, "stored events")
    check_complete(stack, stored)
    if netbuild.redis:
        stream = redis_entries(stack, f"netbuild:events:{netbuild.name}")
        if stream != stored:
            at = next((i for i, (a, b) in enumerate(zip(stream, stored)) if a != b), min(len(stream), len(stored)))
            raise Failed(f"Redis has {len(stream)} entries, the store {len(stored)} events; first difference at {at}:\n"
                         f"  Redis {stream[at:at + 1]}\n  store {stored[at:at + 1]}")
    return len(stored)


def verified(netbuild, *options):
    code, report = netbuild.cli("verify", *options)
    if code != 0 or report["differenceCount"]:
        raise Failed(f"verify: exit {code}, {json.dumps(report)[:2000]}")
    return report


def check_documents(netbuild):
    return verified(netbuild)["documents"]


def check_against_a_fresh_load(netbuild, stack, name):
    """The content hash of the model is that of one that is loaded from Camunda's tables now, into SQLite."""
    ours = verified(netbuild, "--content-hash")
    with Netbuild(stack, name) as fresh:
        fresh.start()
        loaded = verified(fresh, "--content-hash")
    if ours["contentHash"] != loaded["contentHash"]:
        raise Failed(f"content {ours['contentHash']} of {ours['documents']} documents; a fresh load has "
                     f"{loaded['contentHash']} of {loaded['documents']}")
    return ours["documents"]


def content(netbuild):
    """A digest of all executions and tasks as the API gives them, and of the stored events."""
    digest = hashlib.sha256()
    for path in ("/v1/executions?sort=startedAt", "/v1/tasks?status=pending,in_progress,completed,cancelled"):
        cursor = ""
        while True:
            page = netbuild.api.get(f"{path}&limit=500{cursor}")
            for item in page["items"]:
                item.pop("freshness", None)
                digest.update(json.dumps(item, sort_keys=True).encode())
            if not page["nextCursor"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
    digest.update(json.dumps(stored_events(netbuild)).encode())
    return digest.hexdigest()


def catch_up(netbuild, seconds=60):
    """The model has all that is committed now."""
    last = [None]

    def fresh():
        try:
            status, body, _ = netbuild.api.request("GET", "/v1/executions?limit=1", headers={
                "X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "5000"})
            last[0] = (status, body if status != 200 else None)
            return status == 200
        except OSError as error:
            last[0] = error
            return False
    try:
        until("the model has caught up", fresh, seconds)
    except Failed as failure:
        raise Failed(f"{failure}: {last[0]}, {json.dumps(sync_state(netbuild))[:1500]}") from None


def states(workers):
    return [sync_state(worker)["state"] for worker in workers]
