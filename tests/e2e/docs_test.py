#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What README, CONTRIBUTING, ARCHITECTURE and the guide tell people to type is typed: `netbuild` and `psql` lines run
against real servers and a running `serve`, `./dev` commands are there, links lead somewhere, settings have those names.
"""
import os
import re
import shlex
import subprocess
import time

from harness import NETBUILD, ROOT, Failed, Json, Netbuild, deploy, say, stack_up, until

PAGES = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/guarantees.md",
         *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs/guide").glob("*.md"))]
SECONDS_MAX = 60
# These do not end by themselves; the test has them running already, or ends them.
ENDLESS = ("netbuild serve", "netbuild demo", "netbuild events --follow")
# They change servers that other tests use, or need what is not here; each has a test of its own.
ELSEWHERE = ("alter system", "pg_drop_replication_slot", "netbuild record", "netbuild deadletter", "netbuild embeddings import")


def commands(text):
    """Whole lines of indented code, and commands in backticks."""
    lines = [line[4:] for line in text.splitlines() if re.match(r" {4,}(netbuild|psql|build/release/netbuild) ", line)]
    lines += re.findall(r"`((?:netbuild|psql) [^`]+)`", text)
    for line in lines:
        for part in line.split("  #")[0].split(" && "):
            yield part.strip().replace("build/release/netbuild", "netbuild")


def fill_in(command, instance):
    """What stands for something of the reader's."""
    command = command.replace("definition-key KEY", f"definition-key {instance['definition']['key']}")
    command = command.replace("execution ID", f"execution {instance['executionId']}")
    command = command.replace("--instance ID", f"--instance {instance['processInstanceId']}")
    return command.replace("…", "sales").replace(" --config FILE", "").replace(" --config .stack/netbuild.toml", "")


def run(command, netbuild):
    environment = {**netbuild.environment}
    p = netbuild.stack["postgres"]
    environment.update(PGHOST=p["host"], PGPORT=str(p["port"]), PGUSER=p["user"], PGPASSWORD=p["password"], PGDATABASE=p["dbname"])
    words = shlex.split(command)
    if words[0] == "netbuild":
        words[0] = NETBUILD
    try:
        done = subprocess.run(words, cwd=netbuild.folder, env=environment, capture_output=True, text=True,
                              timeout=3 if command.startswith(ENDLESS) else SECONDS_MAX)
    except subprocess.TimeoutExpired:
        if command.startswith(ENDLESS):
            return
        raise Failed(f"{command}: not within {SECONDS_MAX} s") from None
    if done.returncode != 0 or command.startswith(ENDLESS):
        raise Failed(f"{command}: exit {done.returncode}\n{done.stdout[-500:]}{done.stderr[-500:]}")


def check_page(page, text, netbuild, instance, dev_commands, settings):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        if not (ROOT / page).parent.joinpath(target).exists():
            raise Failed(f"{page}: the link {target} leads nowhere")
    for name in re.findall(r"(?:^ {4}|`)\./dev ([a-z]+)", text, re.MULTILINE):
        if name not in dev_commands:
            raise Failed(f"{page}: ./dev has no command {name}")
    for section, key in re.findall(r"`\[([a-z]+)\] ([a-z_]+)", text):
        if f"{section}.{key}" not in settings:
            raise Failed(f"{page}: there is no setting [{section}] {key}")
    count = 0
    for command in commands(text):
        if any(word in command for word in ELSEWHERE) or command.startswith("netbuild serve"):
            continue
        run(fill_in(command, instance), netbuild)
        count += 1
    return count


def main():
    stack = stack_up()
    camunda = Json(stack["camunda"])
    deploy(camunda, ROOT / "lab/camunda/order.bpmn")
    started = camunda.send("POST", "/process-definition/key/order/start", {"businessKey": f"docs-{time.time_ns()}"})
    usage = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    dev_commands = set(re.findall(r"^  ([a-z]+) ", usage, re.MULTILINE))
    with Netbuild(stack, f"docs_{time.time_ns() // 1000000}", redis=True) as netbuild:
        netbuild.start()
        settings = set(netbuild.cli("config")[1])
        path = f"/v1/executions/{started['id']}?by=processInstanceId"
        instance = until("the instance is there", lambda: (lambda answer: answer[0] == 200 and answer[1])(
            netbuild.api.request("GET", path)))
        for page in PAGES:
            count = check_page(page, (ROOT / page).read_text(), netbuild, instance, dev_commands, settings)
            say(f"  {page}: {count} commands typed")
    camunda.send("DELETE", f"/process-instance/{started['id']}", allowed=(404,))


if __name__ == "__main__":
    main()
