# SPDX-License-Identifier: Apache-2.0
"""Servers that a test may take away: a stack of its own, beside the one that the tests share."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from harness import ROOT

# The tests' own stack uses the first hundred ports from its base.
PORT_BASE = int(os.environ.get("NETBUILD_TEST_PORT_BASE", "26400")) + 100


class PrivateServers:
    def __init__(self, name="faults", *flags):
        beside = pathlib.Path(os.environ.get("NETBUILD_TEST_STACK", str(ROOT / ".stack-test")))
        folder = beside.with_name(f"{beside.name}-{name}")
        self.command = [sys.executable, str(ROOT / "tools/stack.py"), "--folder", str(folder), "--port-base",
                        str(PORT_BASE), *flags]

    def run(self, *arguments):
        return subprocess.run([*self.command, *arguments], check=True, capture_output=True, text=True).stdout

    def __enter__(self):
        self.run("down", "--wipe")  # what a killed run left
        self.run("up", "--only", "postgres,redis,mongodb")
        return self

    def __exit__(self, *_):
        self.run("down", "--wipe")

    def status(self):
        return json.loads(self.run("status", "--json"))

    def take_away(self, name):
        """Ends the server as a crash would, without starting it again. PostgreSQL gets SIGQUIT, its
        immediate shutdown: a killed postmaster leaves backends that keep a new one from starting."""
        pid = self.status()["pids"][name]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)

    def bring_back(self, name):
        self.run("restart", name)
