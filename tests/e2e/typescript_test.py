#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The TypeScript client and the example service against a running server on the embedded default, with tokens:
compiled by tsc, run by Node's own test runner. `client` or `example` says which. Needs no server but its own, and no
network: npm's packages are there by tools/setup.sh."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import NETBUILD, ROOT, Failed, Json, free_port, say, until

PASSWORD = "a password for tests"
FOLDERS = {"client": ROOT / "clients/typescript", "example": ROOT / "examples/typescript"}
TESTS_SECONDS_MAX = 240


class Server:
    """netbuild serve with http.auth = "token", its default."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="netbuild-typescript-"))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {"PATH": os.environ["PATH"], "NETBUILD_HTTP_PORT": self.url.rsplit(":", 1)[1],
                            "NETBUILD_STORE_PATH": str(self.folder / "data"), "NETBUILD_SIMULATOR_RATE": "20"}
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([NETBUILD, "serve"], env=self.environment, cwd=self.folder, stdout=self.log, stderr=self.log)

    def cli(self, *words):
        done = subprocess.run([NETBUILD, *words, "--json"], env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Failed(f"netbuild {' '.join(words)}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout)

    def token(self, domain, role):
        return self.cli("token", "--domain", domain, "--role", role)["token"]

    def until_answers(self):
        until("the server answers", lambda: b"listening" in (self.folder / "log").read_bytes())

    def until_it_has_orders(self, token):
        api = Json(self.url)

        def enough():
            try:
                status, body, _ = api.request("GET", "/v1/executions?limit=100", headers={"Authorization": f"Bearer {token}"})
            except OSError:
                return False
            return status == 200 and len(body["items"]) >= 40
        until("forty orders have started", enough)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


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
        server.until_answers()
        token = server.token("*", "owner")
        user = server.cli("user", "create", "ada@example.org")
        Json(server.url).send("POST", "/v1/auth/password/reset", {"token": user["resetToken"], "password": PASSWORD})
        server.until_it_has_orders(token)
        environment = {"PATH": os.environ["PATH"], "NETBUILD_URL": server.url, "NETBUILD_TOKEN": token,
                       "NETBUILD_ACME_TOKEN": server.token("acme", "service"),
                       "NETBUILD_EMAIL": "ada@example.org", "NETBUILD_PASSWORD": PASSWORD}
        done = subprocess.run(["node", "--test", *sorted((FOLDERS[which] / "dist/test").glob("*.test.js"))], env=environment, timeout=TESTS_SECONDS_MAX)
        if done.returncode:
            raise Failed(f"node --test: {done.returncode}\n{(server.folder / 'log').read_text()[-1500:]}")
    finally:
        server.stop()
    say(f"the TypeScript {which} agrees with the server")


if __name__ == "__main__":
    main()
