# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: the stack, a netbuild process, Camunda's REST, and the comparison
of the read model with Camunda's own answers."""
import base64
import contextlib
import fcntl
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETBUILD = os.environ.get("NETBUILD", str(ROOT / "build/release/netbuild"))
WAIT_SECONDS_MAX = 60


class Failed(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


def stack_arguments():
    return [sys.executable, str(ROOT / "tools/stack.py"), "--folder",
            os.environ.get("NETBUILD_TEST_STACK", str(ROOT / ".stack-test")), "--port-base", os.environ.get("NETBUILD_TEST_PORT_BASE", "26400")]


def stack_up():
    subprocess.run([*stack_arguments(), "up"], check=True)
    out = subprocess.run([*stack_arguments(), "status", "--json"], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


# Tests run side by side: a port is taken by a lock that the process holds until it ends.
PORT_LOCKS = pathlib.Path(tempfile.gettempdir()) / f"netbuild-test-ports-{os.getuid()}"
ports_taken = {}


def free_port():
    PORT_LOCKS.mkdir(exist_ok=True)
    for port in range(29000, 30000):
        if port in ports_taken:
            continue
        lock = open(PORT_LOCKS / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        ports_taken[port] = lock
        return port
    raise Failed("no free port from 29000 to 29999")


def until(what, condition, seconds=WAIT_SECONDS_MAX):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.05)


def quickest(what, seconds_max, attempt, attempts=3):
    """A promise in seconds, on a machine that may be busy: `attempt` waits as long as it takes and says how
    long that was; one of several has to keep the promise."""
    took = []
    for _ in range(attempts):
        took.append(attempt())
        if took[-1] <= seconds_max:
            return took[-1]
    raise Failed(f"{what} took {', '.join(f'{one:.1f}' for one in took)} s; {seconds_max} s are promised")


class Json:
    """JSON over one HTTP connection; opened again when it was closed. https: trusts the authority in the file `ca` only."""

    def __init__(self, url, ca=None):
        parts = urllib.parse.urlsplit(url)
        self.address, self.base = (parts.hostname, parts.port), parts.path
        self.tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self.connection = None

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection(*self.address, timeout=60, context=self.tls)
        return http.client.HTTPConnection(*self.address, timeout=60)

    def request(self, method, path, body=None, headers=None, raw=None):
        headers = dict(headers or {})
        data = raw
        if raw is None and body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = self.connect()
                self.connection.request(method, self.base + path, data, headers)
                answer = self.connection.getresponse()
                content = answer.read()
                break
            except (http.client.HTTPException, OSError):
                self.connection = None
                if attempt == 2:
                    raise
        try:
            parsed = json.loads(content) if content else None
        except ValueError:
            parsed = content
        return answer.status, parsed, dict(answer.getheaders())

    def get(self, path, **headers):
        status, body, _ = self.request("GET", path, headers=headers)
        if status != 200:
            raise Failed(f"GET {path}: {status} {body}")
        return body

    def send(self, method, path, body=None, headers=None, raw=None, allowed=()):
        status, answer, _ = self.request(method, path, body, headers, raw)
        if status >= 300 and status not in allowed:
            raise Failed(f"{method} {path}: {status} {answer}")
        return answer


def psql(stack, sql):
    p = stack["postgres"]
    out = subprocess.run(["psql", "-h", p["host"], "-p", str(p["port"]), "-U", p["user"], "-d", p["dbname"], "-AtqX",
                          "-v", "ON_ERROR_STOP=1", "-c", sql], env={**os.environ, "PGPASSWORD": p["password"]},
                         capture_output=True, text=True)
    if out.returncode:
        raise Failed(out.stderr)
    return out.stdout.strip()


class Netbuild:
    """One netbuild process on the stack, with a slot and stores of its own."""

    def __init__(self, stack, name, mongodb=False, redis=False, environment=None, store=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"netbuild-{name}-"))
        self.stack, self.name, self.process, self.redis = stack, name, None, redis
        self.port = free_port()
        p = stack["postgres"]
        lines = [
            '[engine]', 'source = "wal"', f'slot = "{name}"', f'name = "{name}"',
            '[postgres]', f'host = "{p["host"]}"', f'port = {p["port"]}', f'dbname = "{p["dbname"]}"',
            f'user = "{p["user"]}"', f'password = "{p["password"]}"',
            '[camunda]', f'url = "{stack["camunda"]}"',
            '[store]', f'path = "{store or self.folder / "data"}"',
            '[http]', f'port = {self.port}', 'auth = "none"',
        ]
        if mongodb:
            lines += ['[mongodb]', f'uri = "{stack["mongodb"].rsplit("/", 1)[0]}/{name}"']
        if redis:
            lines += ['[redis]', f'url = "{stack["redis"]}"']
        self.config = self.folder / "netbuild.toml"
        self.config.write_text("\n".join(lines) + "\n")
        self.environment = self.cli_environment = {**os.environ, **(environment or {})}
        self.api = Json(f"http://127.0.0.1:{self.port}")

    def start(self, wait_ready=True):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([NETBUILD, "serve", "--config", str(self.config), "--wait", "30s"],
                                        stdout=self.log, stderr=self.log, env=self.environment)
        if wait_ready:
            until("netbuild is ready", self.ready)

    def ready(self):
        if self.process.poll() is not None:
            raise Failed(f"netbuild ended with {self.process.returncode}: {self.tail()}")
        try:
            return self.api.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def tail(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def cli(self, *arguments):
        """Exit code and the JSON answer of a command."""
        out = subprocess.run([NETBUILD, *arguments, "--config", str(self.config), "--json"], capture_output=True,
                             text=True, env=self.cli_environment)
        lines = out.stdout.strip().splitlines()
        if not lines:
            raise Failed(f"netbuild {' '.join(arguments)}: {out.returncode} {out.stderr}")
        return out.returncode, json.loads(lines[-1])

    def drop_slot(self):
        def gone():
            with contextlib.suppress(Failed):
                psql(self.stack, "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                                 f"where slot_name = '{self.name}' and not active")
            return not psql(self.stack, f"select 1 from pg_replication_slots where slot_name = '{self.name}'")
        until("the slot is gone", gone)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()
        with contextlib.suppress(Failed) if kind else contextlib.nullcontext():  # not to hide the failure
            self.drop_slot()
        if kind:
            say(f"--- the end of {self.folder / 'log'}:\n{self.tail()}")


def end(process, seconds=30):
    """SIGTERM, and SIGKILL where that is not enough; nothing where it has ended."""
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class EmbeddedServer:
    """netbuild serve on its embedded default, with a folder of its own; `settings` are NETBUILD_ variables. `tls`: with a
    certificate of its own, for localhost, which is its authority too (`ca`)."""

    def __init__(self, name, *arguments, tls=False, **settings):
        self.arguments = arguments
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"netbuild-{name}-"))
        self.port = free_port()
        self.url, self.ca = f"http://127.0.0.1:{self.port}", None
        if tls:
            self.url, self.ca = f"https://localhost:{self.port}", str(self.folder / "cert.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.folder / "key.pem",
                            "-out", self.ca], check=True, capture_output=True)
            settings.update(HTTP_TLS_CERTIFICATE=self.ca, HTTP_TLS_KEY=self.folder / "key.pem")
        self.api = Json(self.url, self.ca)
        self.environment = {"PATH": os.environ["PATH"], "NETBUILD_HTTP_PORT": str(self.port), "NETBUILD_STORE_PATH": str(self.folder),
                            **{f"NETBUILD_{key}": str(value) for key, value in settings.items()}}
        self.process = None

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([NETBUILD, "serve", *self.arguments], env=self.environment, cwd=self.folder, stdout=log, stderr=log)

        def answers():
            if self.process.poll() is not None:
                raise Failed(f"netbuild ended with {self.process.returncode}: {self.log()[-2000:]}")
            try:
                return self.api.request("GET", "/healthz")[0] == 200
            except OSError:
                return False
        until("the server answers", answers)

    def run(self, *words, stdin=""):
        """A command of the same configuration."""
        return subprocess.run([NETBUILD, *words], env=self.environment, cwd=self.folder, input=stdin, capture_output=True, text=True,
                              timeout=WAIT_SECONDS_MAX)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        end(self.process)


class OwnRedis:
    """A Redis of the test's own, which it may end and start again; `settings` as on redis-server's command line."""

    def __init__(self, *settings):
        self.settings, self.folder, self.port, self.process = settings, pathlib.Path(tempfile.mkdtemp(prefix="netbuild-redis-")), free_port(), None
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
                                             *self.settings], stdout=log, stderr=log)
        until("Redis answers", lambda: self.cli("PING", check=False) == "PONG")

    def cli(self, *words, check=True):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], check=check, capture_output=True, text=True).stdout.strip()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """For good."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


# --- Camunda


def value(v, type_=None, **more):
    return dict({"value": v}, **({"type": type_} if type_ else {}), **more)


def multipart(fields):
    boundary, body = "NETBUILDBOUNDARY", b""
    for name, filename, content_type, content in fields:
        content = content if isinstance(content, bytes) else content.encode()
        file_part = f'; filename="{filename}"' if filename else ""
        type_part = f"Content-Type: {content_type}\r\n" if content_type else ""
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file_part}\r\n{type_part}\r\n').encode()
        body += content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def deploy(camunda, file, tenant=None, name="lab"):
    fields = [("deployment-name", None, None, name), ("deployment-source", None, None, "test"),
              ("data", pathlib.Path(file).name, "application/xml", pathlib.Path(file).read_bytes())]
    if tenant:
        fields.insert(0, ("tenant-id", None, None, tenant))
    raw, headers = multipart(fields)
    return camunda.send("POST", "/deployment/create", raw=raw, headers=headers)


# --- comparison with Camunda's own answers

STATUS = {"ACTIVE": "active", "SUSPENDED": "suspended", "COMPLETED": "completed",
          "EXTERNALLY_TERMINATED": "terminated", "INTERNALLY_TERMINATED": "terminated"}


def iso(camunda_date):
    """2026-01-02T03:04:05.678+0000 as we write it."""
    return None if camunda_date is None else camunda_date.replace("+0000", "Z")


def expected_variable(entry):
    """A variable of Camunda's REST (deserializeValues=false) as a document has it, or a check of it."""
    kind, content = entry["type"], entry["value"]
    if kind == "Date":
        return iso(content)
    if kind == "Json":
        return json.loads(content)
    return content


class Comparison:
    def __init__(self, camunda, netbuild, consistencies):
        self.camunda, self.api, self.consistencies = camunda, netbuild.api, consistencies
        self.problems = []
        self.checks = 0

    def equal(self, what, found, expected):
        self.checks += 1
        if found != expected:
            self.problems.append(f"{what}:\n      netbuild {json.dumps(found)[:600]}\n      camunda  {json.dumps(expected)[:600]}")

    def fetch(self, process_instance_id, consistency):
        return self.api.request("GET", f"/v1/executions/{process_instance_id}?by=processInstanceId&consistency={consistency}",
                                headers={"X-NetBuild-Min-Position": "now", "X-NetBuild-Wait": "10000"})

    def instance(self, pid):
        camunda = self.camunda
        history_status, history, _ = camunda.request("GET", f"/history/process-instance/{pid}")
        runtime_status, runtime, _ = camunda.request("GET", f"/process-instance/{pid}")
        tasks = camunda.get(f"/task?processInstanceId={pid}&sortBy=created&sortOrder=asc") if runtime_status == 200 else []
        for consistency in self.consistencies:
            status, body, headers = self.fetch(pid, consistency)
            name = f"{pid} {consistency}"
            if status != 200:
                self.problems.append(f"{name}: {status} {body}")
                continue
            self.equal(f"{name} has a position", "X-NetBuild-Position" in headers, True)
            if runtime_status == 200:
                self.equal(f"{name} processState", body["processState"], runtime)
                key = lambda task: (task["created"], task["id"])  # noqa: E731
                self.equal(f"{name} activeTasks", sorted(body["activeTasks"], key=key), sorted(tasks, key=key))
            else:
                self.equal(f"{name} ended", body["processState"]["ended"], True)
                self.equal(f"{name} activeTasks", body["activeTasks"], [])
            if consistency == "model":
                self.document(pid, body, history if history_status == 200 else None, runtime_status == 200)

    def document(self, pid, body, history, running):
        camunda = self.camunda
        if history is None:
            self.equal(f"{pid} retainedAt", body.get("retainedAt") is not None, True)
            return
        for ours, theirs in (("executionId", "businessKey"), ("domainId", "tenantId"), ("durationMs", "durationInMillis"),
                             ("deleteReason", "deleteReason"), ("startUserId", "startUserId"),
                             ("parentProcessInstanceId", "superProcessInstanceId"),
                             ("rootProcessInstanceId", "rootProcessInstanceId")):
            self.equal(f"{pid} {ours}", body[ours], history[theirs])
        self.equal(f"{pid} status", body["status"], STATUS[history["state"]])
        self.equal(f"{pid} startedAt", body["startedAt"], iso(history["startTime"]))
        self.equal(f"{pid} endedAt", body["endedAt"], iso(history["endTime"]))
        self.equal(f"{pid} definition", [body["definition"][key] for key in ("id", "key", "version", "name")],
                   [history["processDefinitionId"], history["processDefinitionKey"], history["processDefinitionVersion"],
                    history["processDefinitionName"]])
        open_activities = camunda.get(f"/history/activity-instance?processInstanceId={pid}&unfinished=true")
        self.equal(f"{pid} activeActivities", sorted(body["activeActivities"]), sorted(a["id"] for a in open_activities))
        jobs = camunda.get(f"/job?processInstanceId={pid}")
        self.equal(f"{pid} jobs", {k: [v["dueAt"], v["retries"], v["suspended"]] for k, v in body["jobs"].items()},
                   {j["id"]: [iso(j["dueDate"]), j["retries"], j["suspended"]] for j in jobs})
        incidents = camunda.get(f"/incident?processInstanceId={pid}")
        self.equal(f"{pid} incidents",
                   {k: [v["type"], v["message"], v["activityId"], v["annotation"]] for k, v in body["incidents"].items()},
                   {i["id"]: [i["incidentType"], i["incidentMessage"], i["activityId"], i["annotation"]] for i in incidents})
        if running:
            self.variables(pid, body["variables"], camunda.get(f"/process-instance/{pid}/variables?deserializeValues=false"))
        self.tasks(pid)

    def variables(self, pid, ours, theirs):
        self.equal(f"{pid} variable names", sorted(ours), sorted(theirs))
        for name, entry in theirs.items():
            if name not in ours:
                continue
            found = ours[name]
            if entry["type"] in ("Object", "Bytes", "File"):
                self.equal(f"{pid} variable {name} type", found.get("type") if isinstance(found, dict) else found, entry["type"])
                if entry["type"] == "File":
                    self.equal(f"{pid} variable {name} file", [found["fileName"], found["mimeType"]],
                               [entry["valueInfo"]["filename"], entry["valueInfo"].get("mimeType")])
                if entry["type"] == "Object" and "json" in entry["valueInfo"]["serializationDataFormat"]:
                    self.equal(f"{pid} variable {name}", base64.b64decode(found["bytes"]).decode(), entry["value"])
            else:
                self.equal(f"{pid} variable {name}", found, expected_variable(entry))

    def tasks(self, pid):
        theirs = {task["id"]: task for task in self.camunda.get(f"/history/task?processInstanceId={pid}")}
        ours = {task["taskId"]: task for task in self.api.get(
            f"/v1/tasks?processInstanceId={pid}&status=pending,in_progress,completed,cancelled&limit=500")["items"]}
        self.equal(f"{pid} tasks", sorted(ours), sorted(theirs))
        for task_id in set(ours) & set(theirs):
            one, other = ours[task_id], theirs[task_id]
            for mine, camundas in (("name", "name"), ("assignee", "assignee"), ("owner", "owner"), ("priority", "priority"),
                                   ("description", "description"), ("definitionKey", "taskDefinitionKey"),
                                   ("durationMs", "duration"), ("deleteReason", "deleteReason")):
                self.equal(f"task {task_id} {mine}", one[mine], other[camundas])
            for mine, camundas in (("createdAt", "startTime"), ("endedAt", "endTime"), ("dueAt", "due"), ("followUpAt", "followUp")):
                self.equal(f"task {task_id} {mine}", one[mine], iso(other[camundas]))
            if other["endTime"]:
                expected = "completed" if other["deleteReason"] == "completed" else "cancelled"
            else:
                expected = "in_progress" if other["assignee"] else "pending"
                links = self.camunda.get(f"/task/{task_id}/identity-links?type=candidate")
                self.equal(f"task {task_id} candidates", one["candidates"],
                           {"users": sorted(link["userId"] for link in links if link["userId"]),
                            "groups": sorted(link["groupId"] for link in links if link["groupId"])})
            self.equal(f"task {task_id} status", one["status"], expected)

    def raise_problems(self, label):
        if self.problems:
            text = "\n    ".join(self.problems[:10])
            raise Failed(f"after \"{label}\", {len(self.problems)} differences:\n    {text}")
