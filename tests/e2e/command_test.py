#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, clear errors, --json; and that README speaks of commands that exist."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from harness import NETBUILD, ROOT, Failed, say

CHECKS = 0


def run(*arguments, expect=0, folder=None, **environment):
    global CHECKS
    CHECKS += 1
    out = subprocess.run([NETBUILD, *arguments], capture_output=True, text=True, cwd=folder,
                         env={"PATH": os.environ["PATH"], **environment})
    if out.returncode != expect:
        raise Failed(f"netbuild {' '.join(arguments)}: exit {out.returncode}, not {expect}\n{out.stdout[-500:]}{out.stderr[-500:]}")
    if "terminate called" in out.stderr or "Traceback" in out.stderr:
        raise Failed(out.stderr)
    return out


def has(text, *parts):
    global CHECKS
    CHECKS += 1
    for part in parts:
        if part not in text:
            raise Failed(f"{part!r} is not in {text[-600:]!r}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        toml = pathlib.Path(folder) / "netbuild.toml"
        # usage: 2
        for arguments in [(), ("nothing",), ("get",), ("serve", "--nothing"), ("serve", "--roles", "all"), ("events", "--from", "x")]:
            run(*arguments, expect=2, folder=folder)
        # configuration: 3, one line that names key, file and line
        toml.write_text("[http]\n\nprot = 1\n")
        has(run("config", expect=3, folder=folder).stderr, "netbuild.toml:3", "http.prot", "host, port")
        toml.write_text("[engine]\nsource = \"wal\"\n")
        has(run("serve", expect=3, folder=folder).stderr, "postgres.host", "POSTGRES_HOST")
        toml.unlink()
        has(run("config", expect=3, folder=folder, NETBUILD_HTTP_HOST="0.0.0.0", NETBUILD_HTTP_AUTH="none").stderr, "not loopback")
        has(run("config", expect=3, folder=folder, NETBUILD_HTTP_PORT="eighty").stderr, "NETBUILD_HTTP_PORT", "whole number")
        has(run("status", expect=3, folder=folder, NETBUILD_ENGINE_TIME_ZONE="Mars/Base").stderr, "engine.time_zone")
        # secrets are masked
        shown = run("config", "--json", folder=folder, POSTGRES_PASSWORD="hunter2", REDIS_URL="redis://a:hunter2@h").stdout
        has(shown, '"postgres.password":{"value":"***","source":"POSTGRES_PASSWORD"}', "redis://a:***@h")
        if "hunter2" in shown:
            raise Failed("a secret is shown")
        # a server that is away: 4, named
        has(run("serve", expect=4, folder=folder, POSTGRES_HOST="127.0.0.1", POSTGRES_PORT="1").stderr, "127.0.0.1:1", "cannot be reached")
        has(run("serve", expect=4, folder=folder, REDIS_URL="redis://127.0.0.1:1").stderr, "Redis 127.0.0.1:1")
        # the embedded default from the shell
        run("demo", "--once", "--folder", "data", folder=folder)
        store = {"NETBUILD_STORE_PATH": "data"}
        items = json.loads(run("list", "executions", "--json", folder=folder, **store).stdout)["items"]
        key = next(item["executionId"] for item in items if item["executionId"])
        answer = json.loads(run("get", "execution", key, "--json", folder=folder, **store).stdout)
        has(json.dumps(answer), '"processState"', '"freshness"')
        has(run("list", "tasks", "status=completed", folder=folder, **store).stdout, "taskId", "position")
        has(run("get", "execution", "none", expect=1, folder=folder, **store).stderr, "none")
        has(run("list", "executions", "color=red", expect=2, folder=folder, **store).stderr, "color")
        has(run("events", "--limit", "3", folder=folder, **store).stdout, "deployment:created")
        has(run("status", folder=folder, **store).stdout, "applied.position", "servers.sqlite.status")
        has(run("verify", expect=2, folder=folder, **store).stderr, "engine.source")
        json.loads(run("doctor", "--json", folder=folder, **store).stdout)
    help_text = run("--help").stdout
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^    (\./dev \w+)", readme, re.M)
    if commands[:2] != ["./dev demo", "./dev test"]:
        raise Failed(f"README does not start with the two commands: {commands}")
    for command in set(re.findall(r"`?netbuild ([a-z]+)", readme)) - {"data"}:
        has(help_text, f"  {command} ")
    dev_help = subprocess.run([str(ROOT / "dev"), "help"], capture_output=True, text=True, check=True).stdout
    for command in set(re.findall(r"\./dev (\w+)", readme + (ROOT / "CONTRIBUTING.md").read_text())):
        has(dev_help, f"  {command} ")
    say(f"{CHECKS} checks")


if __name__ == "__main__":
    sys.exit(main())
