#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives a real Camunda through its operations; after each one the read model, its events and
GET /v1/executions agree with Camunda's own REST answers.

  exercise_test.py [--mongodb] [--redis]
"""
import argparse
import base64
import time

from harness import ROOT, Comparison, Failed, Json, Netbuild, deploy, multipart, say, stack_up, until, value


class Exercise:
    def __init__(self, stack, netbuild, consistencies):
        self.camunda, self.netbuild, self.consistencies = Json(stack["camunda"]), netbuild, consistencies
        self.instances = []
        self.last_event = "0-0"
        self.operations = self.checks = 0
        self.types = []  # of all events so far

    def events(self):
        """The types of the events since the last call, in order."""
        self.netbuild.api.get("/v1/executions?limit=1", **{"X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "10000"})
        _, answer = self.netbuild_events()
        return answer

    def netbuild_events(self):
        import json
        import subprocess
        from harness import NETBUILD
        out = subprocess.run([NETBUILD, "events", "--from", self.last_event, "--config", str(self.netbuild.config), "--json"],
                             capture_output=True, text=True, check=True)
        events = [json.loads(line) for line in out.stdout.splitlines()]
        positions = [tuple(map(int, event["position"].split("-"))) for event in events]
        if positions != sorted(set(positions)):
            raise Failed("events out of order or doubled")
        if events:
            self.last_event = events[-1]["position"]
        return events, [event["type"] for event in events]

    def step(self, label, method, path, body=None, expect=(), forbid=(), allowed=(), **more):
        answer = self.camunda.send(method, path, body, allowed=allowed, **more)
        self.check(label, expect, forbid)
        return answer

    def check(self, label, expect=(), forbid=(), since=None):
        self.operations += 1
        types = self.events()
        self.types += types
        # The job executor works on its own: what it does may have come with an earlier check.
        heard = types if since is None else self.types[since:]
        missing = [one for one in expect if one not in heard]
        wrong = [one for one in forbid if one in types]
        if missing or wrong:
            raise Failed(f"after \"{label}\": events {types}; missing {missing}, unwanted {wrong}")
        comparison = Comparison(self.camunda, self.netbuild, self.consistencies)
        for pid in self.instances:
            comparison.instance(pid)
        comparison.raise_problems(label)
        self.checks += comparison.checks
        say(f"  ok {label}  [{' '.join(types)}]")

    def task(self, pid):
        return self.camunda.get(f"/task?processInstanceId={pid}")[0]["id"]

    def start(self, label, path, body, expect=("process:started",)):
        answer = self.camunda.send("POST", path, body)
        self.instances.append(answer["id"])
        self.check(label, expect)
        return answer["id"]

    def no_longer_watch(self, *pids):
        self.instances = [pid for pid in self.instances if pid not in pids]


ORDER = "/process-definition/key/order/tenant-id/acme/start"


def variables_of_every_type():
    return {
        "s": value("hello", "String"), "i": value(42, "Integer"), "l": value(9007199254740993, "Long"),
        "sh": value(7, "Short"), "d": value(3.25, "Double"), "b": value(True, "Boolean"),
        "dt": value("2026-01-02T03:04:05.678+0000", "Date"), "nul": value(None, "Null"), "js": value('{"a":[1,2]}', "Json"),
        "obj": value('{"x":1}', "Object", valueInfo={"objectTypeName": "java.util.LinkedHashMap",
                                                       "serializationDataFormat": "application/json"}),
        "by": value(base64.b64encode(b"\x00\x01\xff bytes").decode(), "Bytes"),
        "big": value('{"k":"' + "x" * 20000 + '"}', "Json"), "with.dot$": value("name", "String"),
        "nested": value('{"a.b":{"$c":1}}', "Json"),
    }


def variables_and_tasks(x):
    pid = x.start("start with variables of every type", ORDER, {"businessKey": "BK/1", "variables": variables_of_every_type()},
                  ["process:started", "variable:created", "task:created", "activity:started"])
    x.camunda.send("POST", ORDER, {"businessKey": "BK-x", "variables": {"s": value("y" * 4001, "String")}}, allowed=(500,))
    x.check("a String of 4001 characters is refused by the engine", forbid=["process:started"])
    x.start("a String of 4000 characters", ORDER, {"businessKey": "BK-y", "variables": {"s": value("y" * 4000, "String")}})
    raw, headers = multipart([("data", "a.txt", "text/plain", "file body"), ("valueType", None, None, "File")])
    x.step("file variable", "POST", f"/process-instance/{pid}/variables/f1/data", raw=raw, headers=headers, expect=["variable:created"])
    t = x.task(pid)
    x.step("set assignee", "POST", f"/task/{t}/assignee", {"userId": "mary"}, ["task:assigned"])
    x.step("unclaim", "POST", f"/task/{t}/unclaim", {}, ["task:assigned"])
    x.step("claim", "POST", f"/task/{t}/claim", {"userId": "john"}, ["task:assigned"])
    x.step("delegate", "POST", f"/task/{t}/delegate", {"userId": "kim"}, ["task:assigned"])
    x.step("resolve", "POST", f"/task/{t}/resolve", {}, ["task:assigned"])
    owner = x.camunda.get(f"/task/{t}")["owner"]
    x.step("update name, priority, due", "PUT", f"/task/{t}",
           {"name": "Review!", "description": "dsc", "priority": 70, "due": "2030-01-01T00:00:00.000+0000", "followUp": None,
            "assignee": "john", "owner": owner, "delegationState": None, "parentTaskId": None, "caseInstanceId": None, "tenantId": "acme"},
           ["task:updated"])
    x.step("add candidate user", "POST", f"/task/{t}/identity-links", {"userId": "zoe", "type": "candidate"})
    x.step("add candidate group", "POST", f"/task/{t}/identity-links", {"groupId": "ops", "type": "candidate"})
    x.step("remove candidate user", "POST", f"/task/{t}/identity-links/delete", {"userId": "zoe", "type": "candidate"})
    x.step("comment", "POST", f"/task/{t}/comment/create", {"message": "hi there"})
    x.step("task-local variable", "PUT", f"/task/{t}/localVariables/loc", value("tl", "String"), ["variable:created"])
    variable = f"/process-instance/{pid}/variables"
    x.step("update Integer", "PUT", f"{variable}/i", value(43, "Integer"), ["variable:updated"], ["variable:created"])
    x.step("put the same value", "PUT", f"{variable}/i", value(43, "Integer"))
    x.step("update Json", "PUT", f"{variable}/js", value('{"a":[1,2,3]}', "Json"), ["variable:updated"])
    x.step("update a big Json", "PUT", f"{variable}/big", value('{"k":"' + "z" * 20000 + '"}', "Json"), ["variable:updated"])
    x.step("type change Integer to Json", "PUT", f"{variable}/i", value('{"n":1}', "Json"), ["variable:updated"])
    x.step("create a variable", "PUT", f"{variable}/newv", value("n", "String"), ["variable:created"])
    x.step("delete it", "DELETE", f"{variable}/newv", expect=["variable:deleted"])
    x.step("delete a Json", "DELETE", f"{variable}/js", expect=["variable:deleted"])
    x.step("complete review", "POST", f"/task/{t}/complete", {"variables": {"route": value("charge", "String")}},
           ["task:completed", "externalTask:created", "variable:created"])
    fetch = {"workerId": "w1", "maxTasks": 5, "topics": [{"topicName": "charge", "lockDuration": 60000}]}
    e = x.step("fetch and lock", "POST", "/external-task/fetchAndLock", fetch)[0]["id"]
    x.step("external failure, retries left", "POST", f"/external-task/{e}/failure",
           {"workerId": "w1", "errorMessage": "boom1", "errorDetails": "stack", "retries": 1, "retryTimeout": 0}, ["externalTask:failed"])
    x.step("fetch and lock again", "POST", "/external-task/fetchAndLock", fetch)
    x.step("external failure, incident", "POST", f"/external-task/{e}/failure",
           {"workerId": "w1", "errorMessage": "boom", "errorDetails": "stack", "retries": 0, "retryTimeout": 0}, ["incident:created"])
    incident = x.camunda.get(f"/incident?processInstanceId={pid}")[0]["id"]
    x.step("annotate the incident", "PUT", f"/incident/{incident}/annotation", {"annotation": "looking"})
    x.step("set retries, incident resolved", "PUT", f"/external-task/{e}/retries", {"retries": 1}, ["incident:resolved"])
    x.step("fetch and lock once more", "POST", "/external-task/fetchAndLock", fetch)
    x.step("complete external", "POST", f"/external-task/{e}/complete", {"workerId": "w1", "variables": {"paid": value(True, "Boolean")}},
           ["externalTask:completed", "task:created", "job:created"])
    x.step("suspend", "PUT", f"/process-instance/{pid}/suspended", {"suspended": True}, ["process:suspended"])
    x.step("activate", "PUT", f"/process-instance/{pid}/suspended", {"suspended": False}, ["process:activated"])
    x.step("complete ship, the end", "POST", f"/task/{x.task(pid)}/complete", {},
           ["task:completed", "process:completed"], ["variable:deleted", "variable:updated"])
    return pid


def timers_and_messages(x):
    pid = x.start("start without variables", ORDER, {"businessKey": "BK-2"})
    x.step("complete review", "POST", f"/task/{x.task(pid)}/complete", {"variables": {"route": value("none", "String")}}, ["job:created"])
    job = x.camunda.get(f"/job?processInstanceId={pid}")[0]["id"]
    x.step("timer's due date", "PUT", f"/job/{job}/duedate", {"duedate": "2026-12-30T00:00:00.000+0000", "cascade": False})
    x.step("timer fires", "POST", f"/job/{job}/execute", expect=["job:completed"])
    waiting = x.start("start BK-3", ORDER, {"businessKey": "BK-3", "variables": {"route": value("wait", "String")}})
    x.step("complete, waits for a message", "POST", f"/task/{x.task(waiting)}/complete", {})
    x.step("correlate", "POST", "/message", {"messageName": "PaymentReceived", "businessKey": "BK-3", "tenantId": "acme",
                                              "processVariables": {"amount": value(12.5, "Double")}}, ["task:created"])
    x.step("delete the instance", "DELETE", f"/process-instance/{waiting}", expect=["process:terminated", "task:cancelled"])
    return pid


def failing_job(x):
    pid = x.start("start BK-4", ORDER, {"businessKey": "BK-4", "variables": {"route": value("bad", "String")}})
    before = len(x.types)
    x.step("complete, async job", "POST", f"/task/{x.task(pid)}/complete", {}, ["job:created"])

    def job():
        return x.camunda.get(f"/job?processInstanceId={pid}")[0]

    for _ in range(3):  # do not wait for the executor's backoff
        if job()["retries"] > 0:
            x.camunda.send("POST", f"/job/{job()['id']}/execute", allowed=(500,))
    until("the job has failed for good", lambda: job()["retries"] == 0)
    x.check("the job failed three times", ["job:failed", "incident:created"], since=before)
    before = len(x.types)
    x.step("one more retry", "PUT", f"/job/{job()['id']}/retries", {"retries": 1}, ["incident:resolved"])
    until("it failed again", lambda: job()["retries"] == 0)
    x.check("it failed again", ["incident:created"], since=before)
    x.step("modify: cancel bad, start ship", "POST", f"/process-instance/{pid}/modification",
           {"skipCustomListeners": True, "instructions": [{"type": "startBeforeActivity", "activityId": "ship"},
                                                           {"type": "cancel", "activityId": "bad"}]},
           ["incident:deleted", "job:cancelled", "task:created"])
    before = len(x.types)
    x.step("delete in a batch", "POST", "/process-instance/delete", {"processInstanceIds": [pid], "deleteReason": "batch del"})
    until("the batch is done", lambda: x.camunda.request("GET", f"/process-instance/{pid}")[0] == 404)
    x.check("deleted by the batch", ["process:terminated"], since=before)


def calls(x):
    message = {"messageName": "OrderReceived", "tenantId": "acme", "resultEnabled": True}
    parent = x.camunda.send("POST", "/message", {**message, "businessKey": "BK-5", "processVariables": {"route": value("none", "String")}})
    parent = parent[0]["processInstance"]["id"]
    child = x.camunda.get(f"/process-instance?superProcessInstance={parent}")[0]["id"]
    x.instances += [parent, child]
    x.check("call activity by message start", ["process:started"])
    x.step("child review", "POST", f"/task/{x.task(child)}/complete", {})
    x.step("child ship, both end", "POST", f"/task/{x.task(child)}/complete", {}, ["process:completed"])
    parent = x.camunda.send("POST", "/message", {**message, "businessKey": "BK-6"})[0]["processInstance"]["id"]
    child = x.camunda.get(f"/process-instance?superProcessInstance={parent}")[0]["id"]
    x.instances += [parent, child]
    x.step("delete the parent with its child", "DELETE", f"/process-instance/{parent}", expect=["process:terminated"])


def standalone_task(x):
    solo = f"solo-{time.time_ns()}"
    x.step("standalone task", "POST", "/task/create", {"id": solo, "name": "Solo", "assignee": "mary", "tenantId": "acme"}, ["task:created"])
    x.step("standalone task completed", "POST", f"/task/{solo}/complete", {}, ["task:completed"])


def own_processes(x):
    deploy(x.camunda, ROOT / "tests/e2e/shapes.bpmn")
    x.check("deployment without tenant", ["deployment:created"])
    start = "/process-definition/key/{}/start".format
    pid = x.start("parallel branches", start("parallel"), {"businessKey": "P-1"})
    first, second = [task["id"] for task in x.camunda.get(f"/task?processInstanceId={pid}")]
    x.step("one branch", "POST", f"/task/{first}/complete", {}, ["task:completed"], ["process:completed"])
    x.step("the other", "POST", f"/task/{second}/complete", {}, ["process:completed"])
    pid = x.start("multi-instance tasks", start("multi"), {"businessKey": "M-1"})
    for task in x.camunda.get(f"/task?processInstanceId={pid}"):
        x.step("one instance of many", "POST", f"/task/{task['id']}/complete", {}, ["task:completed"])
    pid = x.start("a sub-process with a scope of its own", start("scoped"), {"businessKey": "S-1", "variables": {"outer": value(1, "Integer")}})
    execution = x.camunda.get(f"/task?processInstanceId={pid}")[0]["executionId"]
    x.step("a variable of the inner scope", "PUT", f"/execution/{execution}/localVariables/inner", value("in", "String"), ["variable:created"])
    x.step("its update", "PUT", f"/execution/{execution}/localVariables/inner", value("in2", "String"), ["variable:updated"])
    x.step("interrupting boundary event", "POST", "/message", {"messageName": "Interrupt", "processInstanceId": pid}, ["activity:cancelled", "task:cancelled"])
    x.step("after the boundary", "POST", f"/task/{x.task(pid)}/complete", {}, ["process:completed"])
    pid = x.start("modification into a sub-process", start("scoped"), {"businessKey": "S-2"})
    x.step("modify with a local variable", "POST", f"/process-instance/{pid}/modification",
           {"instructions": [{"type": "startBeforeActivity", "activityId": "inside",
                               "variables": {"local": {"value": "l", "type": "String", "local": True},
                                             "global": {"value": "g", "type": "String", "local": False}}}]}, ["task:created"])
    version1 = x.camunda.get("/process-definition/key/scoped")["id"]
    changed = x.netbuild.folder / "shapes.bpmn"
    changed.write_text((ROOT / "tests/e2e/shapes.bpmn").read_text().replace('name="Inside"', 'name="Inside 2"'))
    deploy(x.camunda, changed)
    version2 = x.camunda.get("/process-definition/key/scoped")["id"]
    plan = x.camunda.send("POST", "/migration/generate", {"sourceProcessDefinitionId": version1, "targetProcessDefinitionId": version2})
    x.step("migration", "POST", "/migration/execute", {"migrationPlan": plan, "processInstanceIds": [pid]})


def retention(x, first, second):
    x.step("suspend definition and instances", "PUT", "/process-definition/key/order/tenant-id/acme/suspended",
           {"suspended": True, "includeProcessInstances": True}, ["process:suspended"])
    x.step("activate them", "PUT", "/process-definition/key/order/tenant-id/acme/suspended",
           {"suspended": False, "includeProcessInstances": True}, ["process:activated"])
    x.step("history delete", "DELETE", f"/history/process-instance/{first}", forbid=["process:terminated"])
    x.step("set removal time in a batch", "POST", "/history/process-instance/set-removal-time",
           {"absoluteRemovalTime": "2020-01-01T00:00:00.000+0000", "historicProcessInstanceIds": [second]})
    until("the batch is done", lambda: not x.camunda.get("/batch"))
    x.check("removal time set", forbid=["process:started", "process:completed"])
    x.camunda.send("POST", "/history/cleanup?immediatelyDue=true")
    until("history is cleaned up", lambda: x.camunda.request("GET", f"/history/process-instance/{second}")[0] == 404)
    x.check("history clean-up")
    deployment = deploy(x.camunda, ROOT / "lab/camunda/order.bpmn", "acme", "lab-again")
    x.step("delete a deployment, cascading", "DELETE", f"/deployment/{deployment['id']}?cascade=true")


def undeploy_running(x, deployment):
    x.step("delete the deployment of running instances", "DELETE", f"/deployment/{deployment['id']}?cascade=true", expect=["process:terminated"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mongodb", action="store_true")
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--consistencies", default="model,engine,rest")
    arguments = parser.parse_args()
    stack = stack_up()
    name = f"exercise_{'m' if arguments.mongodb else 's'}{time.time_ns() // 1000000}"
    with Netbuild(stack, name, mongodb=arguments.mongodb, redis=arguments.redis) as netbuild:
        netbuild.start()
        x = Exercise(stack, netbuild, arguments.consistencies.split(","))
        deployed = deploy(x.camunda, ROOT / "lab/camunda/order.bpmn", "acme", name)
        x.check("deployment", ["deployment:created"])
        first = variables_and_tasks(x)
        second = timers_and_messages(x)
        failing_job(x)
        calls(x)
        standalone_task(x)
        own_processes(x)
        x.start("one that goes on running", ORDER, {"businessKey": "BK-9"})
        retention(x, first, second)
        undeploy_running(x, deployed)
        code, report = netbuild.cli("verify")
        if code != 0 or report["differences"]:
            raise Failed(f"verify: exit {code}, {report}")
        say(f"{x.operations} operations, {x.checks} comparisons with Camunda's REST, verify: {report['documents']} documents equal")


if __name__ == "__main__":
    main()
