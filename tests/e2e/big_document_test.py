#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A process instance and a task whose variables together pass the 16 MB of a MongoDB document: the biggest
are left out and marked, the rest and all later changes are there; streamed, loaded anew, and by `verify`.

  big_document_test.py [--mongodb]      without it: SQLite, with the same limit
"""
import argparse
import json
import time

from evidence import catch_up, check_documents
from harness import ROOT, Failed, Json, Netbuild, deploy, say, stack_up, value

MEGABYTES = (5, 6, 7)  # together too many; without the biggest, few enough
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024


def big(megabytes):
    return value(json.dumps({"text": "x" * (megabytes << 20)}), "Json")


def check(what, variables):
    for megabytes in MEGABYTES:
        found = variables[f"big{megabytes}"]
        if megabytes == MEGABYTES[-1]:
            if not found.get("truncated") or found["type"] != "Json" or found["sizeBytes"] < megabytes << 20 or "text" in found:
                raise Failed(f"{what}: the biggest is not marked: {str(found)[:200]}")
        elif len(found.get("text", "")) != megabytes << 20:
            raise Failed(f"{what}: {megabytes} MB are not there: {str(found)[:200]}")
    if variables["note"] != "after all":
        raise Failed(f"{what}: the last change is missing: {variables['note']}")
    if len(json.dumps(variables)) > DOCUMENT_BYTES_MAX:
        raise Failed(f"{what}: {len(json.dumps(variables))} bytes")


def look(netbuild, process, task):
    catch_up(netbuild)
    execution = netbuild.api.get(f"/v1/executions/{process}?by=processInstanceId")
    check("the execution", execution["variables"])
    tasks = netbuild.api.get(f"/v1/tasks?variable.owner={process}")["items"]
    if [one["taskId"] for one in tasks] != [task]:
        raise Failed(f"tasks: {[one['taskId'] for one in tasks]}")
    check("the task", tasks[0]["localVariables"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mongodb", action="store_true")
    arguments = parser.parse_args()
    stack = stack_up()
    camunda = Json(stack["camunda"])
    deploy(camunda, ROOT / "lab/camunda/order.bpmn")
    name = f"big_{time.time_ns() // 1000000}"
    with Netbuild(stack, name, arguments.mongodb) as netbuild:
        netbuild.start()
        process = camunda.send("POST", "/process-definition/key/order/start", {"businessKey": name})["id"]
        try:
            task = camunda.get(f"/task?processInstanceId={process}")[0]["id"]
            camunda.send("PUT", f"/process-instance/{process}/variables/owner", value(process, "String"))
            for where in (f"/process-instance/{process}/variables", f"/task/{task}/localVariables"):
                for megabytes in MEGABYTES:
                    camunda.send("PUT", f"{where}/big{megabytes}", big(megabytes))
                camunda.send("PUT", f"{where}/note", value("after all", "String"))
            look(netbuild, process, task)
            say(f"  streamed: {check_documents(netbuild)} documents equal")
            code, answer = netbuild.cli("resync")
            if code != 0:
                raise Failed(f"resync: {code} {answer}")
            look(netbuild, process, task)
            say(f"  loaded anew: {check_documents(netbuild)} documents equal")
        finally:
            camunda.send("DELETE", f"/process-instance/{process}", allowed=(404,))


if __name__ == "__main__":
    main()
