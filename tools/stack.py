#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev stack: PostgreSQL 15, Redis 7, a MongoDB-wire server and Camunda 7.24 on loopback.

  up       [--only NAME,…]  start what does not run, write netbuild.toml, wait until all answer
  down                      end them; their data stays (--wipe removes it)
  status   [--json]         addresses and process ids
  restart  NAME             end one of postgres, redis, mongodb, camunda and start it with its data

Everything lies in one folder (--folder, default .stack); ports count from --port-base. With --secure all
three servers take TLS only, with certificates of a CA made on the spot (FOLDER/tls), and a password.
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
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPS = ROOT / ".deps"
NAMES = ["postgres", "redis", "mongodb", "camunda"]
# Only where they are asked for: Redis with TLS and a user, and a Redis Cluster of three masters with a replica each.
CLUSTER = [f"redis-cluster-{i}" for i in range(6)]
MORE = ["redis-tls", "redis-cluster"]
PORT_BASE = 25400
PORT_MAX = 32767
START_SECONDS_MAX = 240  # a JVM on a busy machine
STOP_SECONDS_MAX = 30
DATABASE = USER = PASSWORD = "camunda"


# With --secure; the certificates name no address, only this host.
SECURE_HOST, SECURE_USER, SECURE_PASSWORD = "localhost", "netbuild", "only:for@tests/"


def say(text):
    print(f"stack: {text}", file=sys.stderr, flush=True)


def die(text):
    say(f"error: {text}")
    sys.exit(1)


def quoted(text):
    return urllib.parse.quote(text, safe="")


def connects(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Stack:
    def __init__(self, folder, port_base, secure=False):
        self.folder = pathlib.Path(folder).resolve()
        self.state_file = self.folder / "state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        base = self.state.get("port_base") or port_base
        if base + 99 > PORT_MAX:
            die(f"--port-base {base}: ports end at {PORT_MAX}")
        self.state.setdefault("pids", {})
        self.state["port_base"] = base
        self.secure = self.state["secure"] = self.state.get("secure", secure)
        self.tls = self.folder / "tls"
        self.password = SECURE_PASSWORD if self.secure else PASSWORD
        self.ports = {"postgres": base + 32, "redis": base + 79, "mongodb": base + 17, "camunda": base + 80,
                      "redis-tls": base + 77, **{name: base + 50 + i for i, name in enumerate(CLUSTER)}}
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

    # --- certificates of --secure

    def make_certificates(self):
        """ca.pem signs server.pem; other.pem is a CA that has signed nothing."""
        if (self.tls / "server.pem").exists():
            return
        self.tls.mkdir(parents=True, exist_ok=True)

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=self.tls, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        for ca in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN=netbuild test {ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem",
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        (self.tls / "extensions").write_text(f"subjectAltName=DNS:{SECURE_HOST}\nextendedKeyUsage=serverAuth\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={SECURE_HOST}",
                "-keyout", "server.key", "-out", "server.csr")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "extensions", "-out", "server.pem")

    def secure_postgres(self, data, user):
        """Settings; the key must be the server's own, and nobody else may read it."""
        for name in ("server.pem", "server.key"):
            shutil.copy(self.tls / name, data / name)
            os.chmod(data / name, 0o600)
            if user:
                shutil.chown(data / name, user, user)
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n"
                                          "hostssl replication all 127.0.0.1/32 scram-sha-256\n")
        return {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}

    def provision_mongodb(self, command):
        """A user has to be there before the server asks for one."""
        done = self.folder / "mongodb.provisioned"
        if done.exists():
            return
        self.spawn("mongodb", command)
        self.wait("mongodb")
        script = ("import sys, pymongo\n"
                  "client = pymongo.MongoClient(sys.argv[1], tls=True, tlsCAFile=sys.argv[2], directConnection=True)\n"
                  "client.admin.command('createUser', sys.argv[3], pwd=sys.argv[4], roles=['root'])\n")
        subprocess.run([str(DEPS / "venv/bin/python"), "-c", script,
                        f"mongodb://{SECURE_HOST}:{self.ports['mongodb']}/", str(self.tls / "ca.pem"), SECURE_USER,
                        SECURE_PASSWORD], check=True)
        self.stop("mongodb")
        done.touch()

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
            password_file.write_text(self.password)
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
        if self.secure:
            self.make_certificates()
            settings |= self.secure_postgres(data, user)
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.spawn("postgres", [self.postgres_program("postgres"), "-D", str(data), *options], user=user)

    def psql(self, sql, database="postgres", check=True):
        env = {**os.environ, "PGPASSWORD": self.password}
        return subprocess.run(
            ["psql", "-h", "127.0.0.1", "-p", str(self.ports["postgres"]), "-U", "postgres", "-d", database,
             "-AtqX", "-v", "ON_ERROR_STOP=1", "-c", sql], env=env, check=check, capture_output=True, text=True)

    def ready_postgres(self):
        if self.psql("select 1", check=False).returncode != 0:
            return False
        if not self.psql(f"select 1 from pg_roles where rolname='{USER}'").stdout.strip():
            self.psql(f"create role {USER} login replication createdb password '{self.password}'")
            self.psql(f"create database {DATABASE} owner {USER}")
        return True

    def start_redis(self, name="redis", secure=None, more=("--appendonly", "yes")):
        data = self.folder / name
        data.mkdir(exist_ok=True)
        listen = ["--port", str(self.ports[name])]
        if self.secure if secure is None else secure:
            self.make_certificates()
            listen = ["--port", "0", "--tls-port", str(self.ports[name]), "--tls-cert-file", str(self.tls / "server.pem"),
                      "--tls-key-file", str(self.tls / "server.key"), "--tls-ca-cert-file", str(self.tls / "ca.pem"),
                      "--tls-auth-clients", "no", "--user", "default", "off",
                      "--user", SECURE_USER, "on", f">{SECURE_PASSWORD}", "~*", "&*", "+@all"]
        self.spawn(name, ["redis-server", *listen, "--bind", "127.0.0.1", "--dir", str(data), *more,
                          "--maxmemory-policy", "noeviction", "--daemonize", "no"])

    def start_redis_tls(self):
        self.start_redis("redis-tls", secure=True, more=("--save", ""))

    def ready_redis_tls(self):
        return connects(self.ports["redis-tls"])

    def start_redis_cluster(self):
        for name in CLUSTER:
            port = self.ports[name]
            self.start_redis(name, secure=False, more=(
                "--save", "", "--cluster-enabled", "yes", "--cluster-port", str(port + 10), "--cluster-node-timeout", "2000"))

    def ready_redis_cluster(self):
        """Made of its servers when all answer; ready when each knows all slots."""
        ports = [self.ports[name] for name in CLUSTER]

        def cli(port, *words):
            return subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True).stdout

        infos = [cli(port, "cluster", "info") for port in ports]
        if all("cluster_known_nodes:1\r" in info or "cluster_known_nodes:1\n" in info for info in infos):
            addresses = [f"127.0.0.1:{port}" for port in ports]
            subprocess.run(["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"],
                           check=True, stdout=subprocess.DEVNULL)
            return False
        return all("cluster_state:ok" in info and "cluster_known_nodes:6" in info for info in infos)

    def ready_redis(self):
        if self.secure:
            return connects(self.ports["redis"])
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
        command = [str(DEPS / "venv/bin/secantusd-py"), "--config", str(config), "--host", "127.0.0.1",
                   "--port", str(self.ports["mongodb"]), "--storage-path", str(data), "--log-level", "WARNING",
                   "--enable-test-commands"]
        if self.secure:
            self.make_certificates()
            command += ["--tls-cert-file", str(self.tls / "server.pem"), "--tls-key-file", str(self.tls / "server.key")]
            self.provision_mongodb(command)
            command.append("--auth")
        self.spawn("mongodb", command)

    def ready_mongodb(self):
        return connects(self.ports["mongodb"])

    def start_camunda(self):
        self.spawn("camunda", ["java", "-Xms256m", "-Xmx1g", "-XX:+UseSerialGC", "-Duser.timezone=UTC", "-jar",
                               str(DEPS / "camunda/camunda-lab.jar")],
                   env={"PORT": str(self.ports["camunda"]), "PG_USER": USER, "PG_PASSWORD": self.password,
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
            processes = self.processes(name)
            if all(self.running(each) for each in processes):
                continue
            for each in processes:
                if connects(self.ports[each]):
                    die(f"port {self.ports[each]}, for {each}, is taken by another process: choose --port-base")
            if name == "camunda":
                self.wait("postgres")
            getattr(self, f"start_{name.replace('-', '_')}")()
        for name in names:
            self.wait(name)

    @staticmethod
    def processes(name):
        return CLUSTER if name == "redis-cluster" else [name]

    def wait(self, name):
        deadline = time.monotonic() + START_SECONDS_MAX
        while not getattr(self, f"ready_{name.replace('-', '_')}")():
            for each in self.processes(name):
                if self.running(each):
                    continue
                tail = (self.folder / f"{each}.log").read_text(errors="replace").splitlines()[-15:]
                die(f"{each} ended at once; the end of {self.folder / (each + '.log')}:\n  " + "\n  ".join(tail))
            if time.monotonic() > deadline:
                die(f"{name} does not answer after {START_SECONDS_MAX} s; see {self.folder / (name + '.log')}")
            time.sleep(0.1)
        say(f"{name} answers on 127.0.0.1:{self.ports[self.processes(name)[0]]}")

    def up(self, names):
        names = [name for name in NAMES + MORE if name in names]
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
host = "{self.postgres_host()}"
port = {self.ports['postgres']}
dbname = "{DATABASE}"
user = "{USER}"
password = "{self.password}"
{self.tls_lines("sslmode", "verify-full", "sslrootcert")}
[mongodb]
uri = "{self.mongodb_uri()}"

[redis]
url = "{self.redis_url()}"
{self.tls_lines("", "", "ca_file")}
[camunda]
url = "{self.camunda_url()}"

[http]
port = {self.http_port}
auth = "none"
"""
        (self.folder / "netbuild.toml").write_text(text)

    def postgres_host(self):
        return SECURE_HOST if self.secure else "127.0.0.1"

    def tls_lines(self, mode_key, mode, ca_key):
        if not self.secure:
            return ""
        return (f'{mode_key} = "{mode}"\n' if mode_key else "") + f'{ca_key} = "{self.tls / "ca.pem"}"\n'

    def mongodb_uri(self):
        if self.secure:
            return (f"mongodb://{SECURE_USER}:{quoted(SECURE_PASSWORD)}@{SECURE_HOST}:{self.ports['mongodb']}/netbuild"
                    f"?tls=true&tlsCAFile={self.tls / 'ca.pem'}&authSource=admin&directConnection=true")
        return f"mongodb://127.0.0.1:{self.ports['mongodb']}/netbuild"

    def redis_url(self):
        if self.secure:
            return f"rediss://{SECURE_USER}:{quoted(SECURE_PASSWORD)}@{SECURE_HOST}:{self.ports['redis']}"
        return f"redis://127.0.0.1:{self.ports['redis']}"

    def status(self):
        return {
            "camunda": self.camunda_url(),
            "postgres": {"host": self.postgres_host(), "port": self.ports["postgres"], "dbname": DATABASE,
                         "user": USER, "password": self.password},
            "mongodb": self.mongodb_uri(),
            "redis": self.redis_url(),
            "config": str(self.folder / "netbuild.toml"),
            **({"tls": str(self.tls)} if self.secure else {}),
            "pids": {name: self.running(name) for name in NAMES},
        }

    def down(self, wipe):
        for name in reversed([*NAMES, "redis-tls", *CLUSTER]):
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
    parser.add_argument("--secure", action="store_true", help="TLS and passwords; remembered with the folder")
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
    stack = Stack(arguments.folder, arguments.port_base, arguments.secure)
    if arguments.command == "up":
        names = arguments.only.split(",")
        unknown = [name for name in names if name not in NAMES + MORE]
        if unknown:
            die(f"no server {', '.join(unknown)}; there are {', '.join(NAMES + MORE)}")
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
