#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev stack: PostgreSQL 15, Redis 7, a MongoDB-wire server and Camunda 7.24 on loopback.

  up       [--only NAME,…]  start what does not run, write netbuild.toml, wait until all answer
  down                      end them; their data stays (--wipe removes it)
  status   [--json]         addresses and process ids
  restart  NAME             end one of postgres, redis, mongodb, camunda and start it with its data

Everything lies in one folder (--folder, default .stack); ports count from --port-base.
"""
import argparse
import hashlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"
NAMES = ["postgres", "redis", "mongodb", "camunda"]
PORT_BASE = 25400
PORT_MAX = 32767
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 30
DATABASE = USER = PASSWORD = "camunda"


def say(text):
    print(f"stack: {text}", file=sys.stderr, flush=True)


def die(text):
    say(f"error: {text}")
    sys.exit(1)


def connects(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Stack:
    def __init__(self, folder, port_base):
        self.folder = pathlib.Path(folder).resolve()
        self.state_file = self.folder / "state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        base = self.state.get("port_base") or port_base
        if base + 99 > PORT_MAX:
            die(f"--port-base {base}: ports end at {PORT_MAX}")
        self.state.setdefault("pids", {})
        self.state["port_base"] = base
        self.ports = {"postgres": base + 32, "redis": base + 79, "mongodb": base + 17, "camunda": base + 80}
        self.http_port = base + 90

    # --- processes

    def save(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.state_file.with_suffix(".part")
        part.write_text(json.dumps(self.state, indent=1))
        part.replace(self.state_file)

    def running(self, name):
        """The process id if the process that this stack started still runs."""
        entry = self.state["pids"].get(name)
        if not entry:
            return None
        try:
            fields = pathlib.Path(f"/proc/{entry['pid']}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return None
        # Field 22 is the start time: a process id that was used again is another process.
        if fields[0] == "Z" or fields[19] != entry["started"]:
            return None
        return entry["pid"]

    def spawn(self, name, command, env=None, user=None):
        log = open(self.folder / f"{name}.log", "ab")
        extra = {}
        if user:
            account = pwd.getpwnam(user)
            extra = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            cwd="/" if user else self.folder, env={**os.environ, **(env or {})}, **extra)
        started = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        self.state["pids"][name] = {"pid": process.pid, "started": started}
        self.save()

    def stop(self, name):
        pid = self.running(name)
        if pid:
            # PostgreSQL: SIGINT is its fast shutdown.
            os.kill(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS_MAX
            while self.running(name) and time.monotonic() < deadline:
                self.reap(pid)
                time.sleep(0.05)
            if self.running(name):
                say(f"{name} did not end within {STOP_SECONDS_MAX} s: killed")
                os.kill(pid, signal.SIGKILL)
                self.reap(pid)
        self.state["pids"].pop(name, None)
        self.save()

    @staticmethod
    def reap(pid):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass  # another ./dev started it

    # --- the four servers

    def postgres_user(self):
        """PostgreSQL refuses to run as root: Debian's account takes over."""
        return "postgres" if os.geteuid() == 0 else None

    def postgres_folder(self):
        if os.geteuid() != 0:
            return self.folder / "postgres"
        # The account may not be allowed into the checkout.
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        return pathlib.Path(f"/var/tmp/netbuild-stack-{digest}/postgres")

    def postgres_program(self, name):
        for folder in sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
            if (folder / name).exists():
                return str(folder / name)
        found = shutil.which(name)
        return found or die(f"{name} is not installed: ./dev setup stack")

    def start_postgres(self):
        data = self.postgres_folder()
        user = self.postgres_user()
        if not (data / "PG_VERSION").exists():
            data.parent.mkdir(parents=True, exist_ok=True)
            password_file = data.parent / "password"
            password_file.write_text(PASSWORD)
            if user:
                shutil.chown(data.parent, user)
                shutil.chown(password_file, user)
            subprocess.run(
                [self.postgres_program("initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8",
                 "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}"],
                check=True, stdout=subprocess.DEVNULL, user=user, cwd="/")
            password_file.unlink()
        settings = {
            "port": self.ports["postgres"], "listen_addresses": "127.0.0.1", "wal_level": "logical",
            "unix_socket_directories": str(data), "max_wal_senders": 20, "max_replication_slots": 20,
            "max_connections": 200, "max_slot_wal_keep_size": "8GB", "shared_buffers": "256MB",
            "timezone": "UTC", "log_timezone": "UTC",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.spawn("postgres", [self.postgres_program("postgres"), "-D", str(data), *options], user=user)

    def psql(self, sql, database="postgres", check=True):
        env = {**os.environ, "PGPASSWORD": PASSWORD}
        return subprocess.run(
            ["psql", "-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "postgres", "-d", database,
             "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql], env=env, check=check, capture_output=True, text=True)

    def ready_postgres(self):
        if self.psql("select 1", check=False).returncode != 0:
            return False
        if not self.psql(f"select 1 from pg_roles where rolname='{USER}'").stdout.strip():
            self.psql(f"create role {USER} login replication createdb password '{PASSWORD}'")
            self.psql(f"create database {DATABASE} owner {USER}")
        return True

    def start_redis(self):
        data = self.folder / "redis"
        data.mkdir(exist_ok=True)
        self.spawn("redis", ["redis-server", "--port", str(self.ports["redis"]), "--bind", "127.0.0.1",
                             "--dir", str(data), "--appendonly", "yes", "--maxmemory-policy", "noeviction",
                             "--daemonize", "no"])

    def ready_redis(self):
        try:
            with socket.create_connection(("127.0.0.1", self.ports["redis"]), 1) as s:
                s.sendall(b"PING\r\n")
                return s.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def start_mongodb(self):
        data = self.folder / "mongodb"
        data.mkdir(exist_ok=True)
        config = self.folder / "mongodb.toml"
        config.touch()
        self.spawn("mongodb", [str(DEPS / "venv/bin/secantusd-py"), "--config", str(config), "--host", "127.0.0.1",
                               "--port", str(self.ports["mongodb"]), "--storage-path", str(data),
                               "--log-level", "WARNING", "--enable-test-commands"])

    def ready_mongodb(self):
        return connects(self.ports["mongodb"])

    def start_camunda(self):
        self.spawn("camunda", ["java", "-Xms256m", "-Xmx1g", "-XX:+UseSerialGC", "-Duser.timezone=UTC", "-jar",
                               str(DEPS / "camunda/camunda-lab.jar")],
                   env={"PORT": str(self.ports["camunda"]), "PG_USER": USER, "PG_PASSWORD": PASSWORD,
                        "PG_URL": f"jdbc:postgresql://127.0.0.1:{self.ports['postgres']}/{DATABASE}"})

    def ready_camunda(self):
        try:
            with urllib.request.urlopen(self.camunda_url() + "/engine", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    # --- commands

    def camunda_url(self):
        return f"http://127.0.0.1:{self.ports['camunda']}/engine-rest"

    def start(self, names):
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            if self.running(name):
                continue
            if connects(self.ports[name]):
                die(f"port {self.ports[name]}, for {name}, is taken by another process: choose --port-base")
            if name == "camunda":
                self.wait("postgres")
            getattr(self, f"start_{name}")()
        for name in names:
            self.wait(name)

    def wait(self, name):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not getattr(self, f"ready_{name}")():
            if not self.running(name):
                tail = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                die(f"{name} ended at once; the end of {self.folder / (name + '.log')}:\n  " + "\n  ".join(tail))
            if time.monotonic() > deadline:
                die(f"{name} does not answer after {START_SECONDS_MAX} s; see {self.folder / (name + '.log')}")
            time.sleep(0.1)
        say(f"{name} answers on 127.0.0.1:{self.ports[name]}")

    def up(self, names):
        names = [name for name in NAMES if name in names]
        if "camunda" in names and "postgres" not in names:
            names.insert(0, "postgres")
        self.start(names)
        self.write_configuration()
        say(f"configuration: {self.folder / 'netbuild.toml'}")

    def write_configuration(self):
        text = f"""# Written by ./dev stack up: the servers of the development stack.
[engine]
source = "wal"
time_zone = "UTC"

[postgres]
host = "127.0.0.1"
port = {self.ports['postgres']}
dbname = "{DATABASE}"
user = "{USER}"
password = "{PASSWORD}"

[mongodb]
uri = "{self.mongodb_uri()}"

[redis]
url = "{self.redis_url()}"

[camunda]
url = "{self.camunda_url()}"

[http]
port = {self.http_port}
auth = "none"
"""
        (self.folder / "netbuild.toml").write_text(text)

    def mongodb_uri(self):
        return f"mongodb://127.0.0.1:{self.ports['mongodb']}/netbuild"

    def redis_url(self):
        return f"redis://127.0.0.1:{self.ports['redis']}"

    def status(self):
        return {
            "camunda": self.camunda_url(),
            "postgres": {"host": "127.0.0.1", "port": self.ports["postgres"], "dbname": DATABASE,
                         "user": USER, "password": PASSWORD},
            "mongodb": self.mongodb_uri(),
            "redis": self.redis_url(),
            "config": str(self.folder / "netbuild.toml"),
            "pids": {name: self.running(name) for name in NAMES},
        }

    def down(self, wipe):
        for name in reversed(NAMES):
            self.stop(name)
        if wipe:
            shutil.rmtree(self.postgres_folder().parent if os.geteuid() == 0 else self.postgres_folder(),
                          ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev stack", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=str(ROOT / ".stack"))
    parser.add_argument("--port-base", type=int, default=PORT_BASE)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("--only", default=",".join(NAMES))
    down = commands.add_parser("down")
    down.add_argument("--wipe", action="store_true")
    status = commands.add_parser("status")
    status.add_argument("--json", action="store_true")
    restart = commands.add_parser("restart")
    restart.add_argument("name", choices=NAMES)
    arguments = parser.parse_args()
    stack = Stack(arguments.folder, arguments.port_base)
    if arguments.command == "up":
        names = arguments.only.split(",")
        unknown = [name for name in names if name not in NAMES]
        if unknown:
            die(f"no server {', '.join(unknown)}; there are {', '.join(NAMES)}")
        stack.up(names)
    elif arguments.command == "down":
        stack.down(arguments.wipe)
    elif arguments.command == "restart":
        stack.stop(arguments.name)
        stack.start([arguments.name])
    elif arguments.json:
        print(json.dumps(stack.status()))
    else:
        answer = stack.status()
        for name in NAMES:
            pid = answer["pids"][name]
            print(f"{name:9} {'pid ' + str(pid) if pid else 'down':12} 127.0.0.1:{stack.ports[name]}")
        print(f"config    {answer['config']}")


if __name__ == "__main__":
    main()
