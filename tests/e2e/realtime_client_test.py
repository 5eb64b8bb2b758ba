#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The official JavaScript client (tests/realtime/node) against `netbuild realtime-testbed`: both transports, upgrade,
reconnect, recovery, bytes, acknowledgements, every handler; then that SIGTERM lets the clients go and ends cleanly. Needs
no network: npm's packages are there by tools/setup.sh."""
import os
import pathlib
import subprocess
import sys

from harness import NETBUILD, ROOT, Failed, free_port, say

FOLDER = ROOT / "tests/realtime/node"
TESTS_SECONDS_MAX = 120


def main():
    if not (FOLDER / "node_modules/socket.io-client").exists():
        raise Failed(f"{FOLDER}/node_modules is not there: run tools/setup.sh stack")
    port = free_port()
    server = subprocess.Popen([NETBUILD, "realtime-testbed", "--port", str(port), "--recovery", "20000"],
                              stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline().strip()
        if line != f"listening on http://127.0.0.1:{port}":
            raise Failed(f"the first line is {line!r}")
        environment = {**os.environ, "NETBUILD_REALTIME_URL": f"http://127.0.0.1:{port}"}
        done = subprocess.run(["node", "--test", FOLDER / "client.test.mjs"], env=environment, timeout=TESTS_SECONDS_MAX)
        if done.returncode:
            raise Failed("the client's tests failed")
        drain(server, port)
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()
    say("the official client agrees with the server")


def drain(server, port):
    """A client that is connected at SIGTERM is told, and the server ends with 0."""
    script = (f"import {{ io }} from 'socket.io-client'; const s = io('http://127.0.0.1:{port}', {{transports: ['websocket']}});"
              "s.on('connect', () => console.log('connected'));"
              "s.on('disconnect', (reason) => { console.log(reason); process.exit(0); });")
    client = subprocess.Popen(["node", "--input-type=module", "-e", script], cwd=FOLDER, stdout=subprocess.PIPE, text=True)
    try:
        if client.stdout.readline().strip() != "connected":
            raise Failed("the client did not connect")
        server.terminate()
        reason = client.stdout.readline().strip()
        if reason != "transport close":
            raise Failed(f"the client's reason is {reason!r}")
        if server.wait(timeout=20) != 0:
            raise Failed(f"the server ended with {server.returncode}")
    finally:
        client.kill()
        client.wait()


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
