# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of a test's own, to be set, stopped, copied, restored and promoted at will."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import ROOT, Failed, free_port, psql, until

sys.path.insert(0, str(ROOT / "tools"))
from stack import Stack  # noqa: E402

SETTINGS = {"listen_addresses": "127.0.0.1", "wal_level": "logical", "max_wal_senders": 10, "max_replication_slots": 10,
            "shared_buffers": "64MB", "timezone": "UTC", "fsync": "off", "wal_keep_size": 0, "min_wal_size": "32MB"}


class PrivatePostgres:
    def __init__(self, **settings):
        tools = Stack(tempfile.gettempdir(), 26400)
        self.program, self.user = tools.postgres_program, tools.postgres_user()
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="netbuild-private-postgres-", dir="/var/tmp"))
        if self.user:
            shutil.chown(self.base, self.user)
        self.data, self.port, self.process = self.base / "data", free_port(), None
        self.settings = {**SETTINGS, **settings}

    def run(self, program, *arguments):
        subprocess.run([self.program(program), *map(str, arguments)], check=True, user=self.user, cwd="/",
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def create(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust")
        self.start()
        self.sql("create role camunda login superuser replication", "postgres")
        self.sql("create database camunda owner camunda", "postgres")
        return self

    def start(self):
        settings = {**self.settings, "port": self.port, "unix_socket_directories": self.base}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.process = subprocess.Popen([self.program("postgres"), "-D", str(self.data), *options], user=self.user, cwd="/",
                                        stdout=open(self.base / "log", "ab"), stderr=subprocess.STDOUT)
        until("the private PostgreSQL answers", self.ready)

    def ready(self):
        if self.process.poll() is not None:
            raise Failed(f"the private PostgreSQL ended: {(self.base / 'log').read_text()[-2000:]}")
        try:
            return self.sql("select 1", "postgres")
        except Failed:
            return False

    def sql(self, text, user="camunda"):
        database = "postgres" if user == "postgres" else "camunda"
        return psql({"postgres": {**self.address(), "user": user, "dbname": database}}, text)

    def address(self):
        return {"host": "127.0.0.1", "port": self.port, "dbname": "camunda", "user": "camunda", "password": "camunda"}

    def stop(self):
        """The fast shutdown."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(2)
            self.process.wait(timeout=60)

    def copy(self, name):
        """The data folder as it is while the server is stopped."""
        shutil.copytree(self.data, self.base / name, symlinks=True)
        if self.user:
            subprocess.run(["chown", "-R", self.user, str(self.base / name)], check=True)

    def restore(self, name):
        shutil.rmtree(self.data)
        (self.base / name).rename(self.data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)
