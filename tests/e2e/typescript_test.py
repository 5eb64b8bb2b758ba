#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The TypeScript client and the example service against a running server on the embedded default, with tokens:
compiled by tsc, run by Node's own test runner. `client` or `example` says which. Needs no server but its own, and no
network: npm's packages are there by tools/setup.sh."""
import json
import os
import shutil
import subprocess
import sys

from harness import ROOT, EmbeddedServer, Failed, say, until

PASSWORD = "a password for tests"
FOLDERS = {"client": ROOT / "clients/typescript", "example": ROOT / "examples/typescript"}
TESTS_SECONDS_MAX = 240


class Server(EmbeddedServer):
    """With http.auth = "token", the default."""

    def __init__(self):
        super().__init__("typescript", SIMULATOR_RATE=20, REALTIME_RECHECK="300ms")

    def cli(self, *words):
        done = self.run(*words, "--json")
        if done.returncode:
            raise Failed(f"netbuild {' '.join(words)}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout)

    def token(self, domain, role):
        return self.cli("token", "--domain", domain, "--role", role)["token"]

    def until_it_has_orders(self, token):
        def enough():
            try:
                status, body, _ = self.api.request("GET", "/v1/executions?limit=100", headers={"Authorization": f"Bearer {token}"})
            except OSError:
                return False
            return status == 200 and len(body["items"]) >= 40
        until("forty orders have started", enough)


def compile_project(folder):
    compiler = folder / "node_modules/typescript/bin/tsc"
    if not compiler.exists():
        raise Failed(f"{compiler} is not there: run tools/setup.sh stack")
    subprocess.run(["node", compiler, "--project", folder], check=True)


def main():
    which = sys.argv[1]
    subprocess.run([sys.executable, FOLDERS["client"] / "generate.py", "--check"], check=True)
    for folder in FOLDERS.values() if which == "example" else [FOLDERS["client"]]:
        shutil.rmtree(folder / "dist", ignore_errors=True)
        compile_project(folder)
    server = Server()
    try:
        server.start()
        token = server.token("*", "owner")
        for email, role in (("ada@example.org", ()), ("bob@example.org", ("--domain", "acme", "--role", "viewer"))):
            user = server.cli("user", "create", email, *role)
            server.api.send("POST", "/v1/auth/password/reset", {"token": user["resetToken"], "password": PASSWORD})
        server.until_it_has_orders(token)
        environment = {"PATH": os.environ["PATH"], "NETBUILD_URL": server.url, "NETBUILD_TOKEN": token,
                       "NETBUILD_ACME_TOKEN": server.token("acme", "service"),
                       "NETBUILD_EMAIL": "ada@example.org", "NETBUILD_OTHER_EMAIL": "bob@example.org", "NETBUILD_PASSWORD": PASSWORD}
        done = subprocess.run(["node", "--test", *sorted((FOLDERS[which] / "dist/test").glob("*.test.js"))], env=environment, timeout=TESTS_SECONDS_MAX)
        if done.returncode:
            raise Failed(f"node --test: {done.returncode}\n{server.log()[-1500:]}")
    finally:
        server.stop()
    say(f"the TypeScript {which} agrees with the server")


if __name__ == "__main__":
    main()
