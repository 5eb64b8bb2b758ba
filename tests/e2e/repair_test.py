#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every kind of difference between read model and engine is planted in MongoDB while writers go on; `verify` finds
each, `verify --repair` mends exactly those, `resync` loads anew without a stop of capture or a change of content.
"""
import sys
import time

from harness import ROOT, Failed, Netbuild, say, stack_up, until
from kill_test import drop_database, generate, scratch_database, sync_state

LOADED, LIVE = 600, 400


def mongodb(stack, name):
    sys.path[:0] = [str(path) for path in (ROOT / ".deps/venv/lib").glob("python*/site-packages")]
    import pymongo
    return pymongo.MongoClient(stack["mongodb"])[name]


def plant(database):
    """Kind of difference → the document that has it."""
    executions, tasks = database["workflow_executions"], database["tasks"]
    some = [document["_id"] for document in executions.find({}, {"_id": 1}).sort("_id").limit(8)]
    task = tasks.find_one({"processInstanceId": some[5]})
    planted = {
        "missing": ("workflow_executions", some[0]),
        "wrong field": ("workflow_executions", some[1]),
        "field too many": ("workflow_executions", some[2]),
        "stale": ("workflow_executions", some[3]),
        "missing task_executions": ("task_executions", some[4]),
        "wrong task": ("tasks", task["_id"]),
        "extra": ("workflow_executions", "planted-extra"),
        "extra task": ("tasks", "planted-task"),
        "extra definition": ("process_definitions", "planted:1:definition"),
    }
    executions.delete_one({"_id": some[0]})
    executions.update_one({"_id": some[1]}, {"$set": {"variables.amount": 12345678}})
    executions.update_one({"_id": some[2]}, {"$set": {"nobodyKnows": 1}})
    executions.update_one({"_id": some[3]}, {"$set": {"status": "active", "endedAt": None, "sync.lsn": 1}})
    database["task_executions"].delete_one({"_id": some[4]})
    tasks.update_one({"_id": task["_id"]}, {"$set": {"name": "Another"}})
    extra = executions.find_one({"_id": some[6]})
    executions.insert_one({**extra, "_id": "planted-extra", "processInstanceId": "planted-extra"})
    tasks.insert_one({"_id": "planted-task", "processInstanceId": None, "name": "nobody's"})
    database["process_definitions"].insert_one({"_id": "planted:1:definition", "key": "planted", "sync": {"lsn": 1}})
    return planted, some[7]


def check_repair(netbuild, database):
    code, report = netbuild.cli("verify")
    if code != 0:
        raise Failed(f"before anything is planted: {report}")
    planted, untouched = plant(database)
    before = database["workflow_executions"].find_one({"_id": untouched})
    code, report = netbuild.cli("verify")
    found = {(one["collection"], one["id"]) for one in report["differences"]}
    if code != 5 or found != set(planted.values()):
        raise Failed(f"verify: exit {code}, planted {planted}, found {found}")
    code, report = netbuild.cli("verify", "--repair")
    if code != 0 or report["differencesLeft"] != 0:
        raise Failed(f"verify --repair: exit {code}, {report}")
    code, report = netbuild.cli("verify")
    if code != 0 or report["differenceCount"]:
        raise Failed(f"after the repair: exit {code}, {report}")
    if database["workflow_executions"].find_one({"_id": untouched}) != before:
        raise Failed("the repair wrote a document that had no difference")
    say(f"  {len(planted)} planted differences found and mended, a neighbour untouched")


def check_resync(netbuild, database):
    executions = database["workflow_executions"]
    one = executions.find_one(sort=[("_id", 1)])
    code, answer = netbuild.cli("resync", "--instance", one["_id"])
    after = executions.find_one({"_id": one["_id"]})
    if code != 0 or answer["instances"] != 1 or after["sync"]["lsn"] <= one["sync"]["lsn"]:
        raise Failed(f"resync --instance: exit {code}, {answer}")
    if {**after, "sync": 0} != {**one, "sync": 0}:
        raise Failed("a resync of a right document changed it")
    oldest = executions.find_one(sort=[("sync.lsn", 1)])["sync"]["lsn"]
    code, answer = netbuild.cli("resync")
    now_oldest = executions.find_one(sort=[("sync.lsn", 1)])["sync"]["lsn"]
    if code != 0 or answer["instances"] < LOADED or now_oldest <= oldest:
        raise Failed(f"resync: exit {code}, {answer}, oldest document {oldest} → {now_oldest}")
    code, answer = netbuild.cli("resync", "--status", "completed", "--started-after", "2001-01-01T00:00:00Z",
                                "--started-before", "2001-01-02T00:00:00Z")
    if code != 0 or answer["instances"] != 0:
        raise Failed(f"resync of nothing: exit {code}, {answer}")
    say("  resync of one, of all and of none")


def check_bad_input(netbuild):
    for arguments in (("resync", "--status", "sleeping"), ("resync", "--started-after", "yesterday")):
        try:
            code, _ = netbuild.cli(*arguments)
        except Failed as failed:
            if "netbuild: " not in str(failed) or arguments[1] not in str(failed):
                raise
        else:
            raise Failed(f"{arguments} was taken: {code}")


def main():
    name = f"repair_{time.time_ns() // 1000000}"
    stack = scratch_database(stack_up(), name)
    if generate(stack, 1, LOADED).wait() != 0:
        raise Failed("the load failed")
    with Netbuild(stack, name, mongodb=True, environment={"NETBUILD_VERIFY_INTERVAL": "3s"}) as netbuild:
        netbuild.start()
        database = mongodb(stack, name)
        writer = generate(stack, LOADED + 1, LIVE)
        check_repair(netbuild, database)
        check_resync(netbuild, database)
        check_bad_input(netbuild)
        if writer.wait() != 0:
            raise Failed("the traffic failed")
        netbuild.api.get("/v1/executions?limit=1", **{"X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "60000"})
        code, report = netbuild.cli("verify")
        if code != 0 or report["differenceCount"] or report["newer"]:
            raise Failed(f"in the end: exit {code}, {report}")
        until("the scheduled verify has run", lambda: (sync_state(netbuild).get("verify") or {}).get("differenceCount") == 0)
        if "netbuild_verify_differences 0" not in netbuild.api.request("GET", "/metrics")[1].decode():
            raise Failed("/metrics does not have the scheduled verify")
    drop_database(stack, name)


if __name__ == "__main__":
    main()
