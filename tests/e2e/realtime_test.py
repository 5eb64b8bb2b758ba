#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Realtime of the product: the official JavaScript client (tests/realtime/node/product.test.mjs) against `netbuild serve` with
the simulator and tokens; then sockets listed and kicked from the shell, status and metrics, and a drain at SIGTERM. With the
argument `tls` all of that over https and wss, to which Node trusts no other authority than the server's."""
import json
import os
import subprocess
import sys

from harness import ROOT, EmbeddedServer, Failed, Json, say, until

FOLDER = ROOT / "tests/realtime/node"
TESTS_SECONDS_MAX = 150


class Server(EmbeddedServer):
    def __init__(self, tls):
        super().__init__("realtime", tls=tls, SIMULATOR_RATE=20, HTTP_AUTH="token")

    def node_environment(self):
        return {**os.environ, **({"NODE_EXTRA_CA_CERTS": self.ca} if self.ca else {})}

    def shell(self, *words, code=0):
        done = self.run(*words, "--json")
        if done.returncode != code:
            raise Failed(f"{words}: {done.returncode} {done.stderr[-500:]}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def token(self, domain):
        return self.shell("token", "--domain", domain, "--role", "member")["token"]


def check(what, condition, detail=""):
    if not condition:
        raise Failed(f"{what}: {str(detail)[:800]}")


def node_client(server, token):
    """A client that stays; prints what happens to it, line by line."""
    script = (f"import {{ io }} from 'socket.io-client';"
              f"const s = io('{server.url}', {{transports: ['websocket'], reconnection: false, auth: {{token: '{token}'}}}});"
              "s.on('connect', () => s.emit('subscribe', 'domain:acme', (answer) => console.log(answer.ok, s.id)));"
              "s.on('disconnect', (reason) => { console.log(reason); process.exit(0); });")
    return subprocess.Popen(["node", "--input-type=module", "-e", script], cwd=FOLDER, env=server.node_environment(), stdout=subprocess.PIPE,
                            text=True)


def operated(server, acme, everywhere):
    shell, api = server.shell, server.api
    first = node_client(server, acme)
    try:
        ok, sid = first.stdout.readline().split()
        check("subscribed", ok == "true", ok)
        listed = shell("sockets", "list")["items"]
        check("it is listed", [one["rooms"] for one in listed if one["id"] == sid] == [["domain:acme"]], listed)
        rooms = shell("sockets", "rooms")["items"]
        check("its room is", {"room": "domain:acme", "sockets": 1} in rooms, rooms)
        status = api.get("/v1/sync", Authorization=f"Bearer {everywhere}")["realtime"]
        check("status", status["sockets"] == 1 and status["rooms"] == 1 and status["resumed"] > 0, status)
        metrics = api.request("GET", "/metrics", headers={"Authorization": f"Bearer {everywhere}"})[1].decode()
        check("metrics", "netbuild_realtime_sockets 1\n" in metrics and "netbuild_realtime_deliveries_total" in metrics, metrics[-2000:])
        check("a member may not kick", api.request("DELETE", f"/v1/realtime/sockets/{sid}", headers={"Authorization": f"Bearer {acme}"})[0] == 403)
        shell("sockets", "kick", sid)
        check("it is kicked", first.stdout.readline().strip() == "io server disconnect")
        shell("sockets", "kick", sid, code=1)
    finally:
        first.kill()
        first.wait()


def refused(server):
    """Who does not know the authority has no connection; who speaks without TLS is told so."""
    stranger = subprocess.run(["node", "-e", f"fetch('{server.url}/healthz').catch((e) => console.log(e.cause.code))"],
                              capture_output=True, text=True)
    check("a stranger's authority", stranger.stdout.strip() == "DEPTH_ZERO_SELF_SIGNED_CERT", stranger)
    status, body, _ = Json(f"http://127.0.0.1:{server.port}").request("GET", "/healthz")
    check("without TLS", status == 400 and b"https://" in body, (status, body))


def main():
    if not (FOLDER / "node_modules/socket.io-client").exists():
        raise Failed(f"{FOLDER}/node_modules is not there: run tools/setup.sh stack")
    server = Server(tls="tls" in sys.argv[1:])
    try:
        server.start()
        tokens = {"acme": server.token("acme"), "cedar-foods": server.token("cedar-foods"), "all": server.token("*")}
        until("orders run", lambda: len(server.api.get("/v1/executions?limit=200", Authorization=f"Bearer {tokens['all']}")["items"]) >= 100)
        environment = {**server.node_environment(), "NETBUILD_REALTIME_URL": server.url, "NETBUILD_TOKENS": json.dumps(tokens)}
        done = subprocess.run(["node", "--test", FOLDER / "product.test.mjs"], env=environment, timeout=TESTS_SECONDS_MAX)
        check("the client's tests", done.returncode == 0)
        operated(server, tokens["acme"], tokens["all"])
        if server.ca:
            refused(server)
        last = node_client(server, tokens["acme"])
        check("subscribed", last.stdout.readline().startswith("true"))
        server.process.terminate()
        check("a client is let go", last.stdout.readline().strip() == "transport close")
        last.wait()
        check("ends on SIGTERM with 0", server.process.wait(timeout=60) == 0, server.process.returncode)
    finally:
        server.kill()
        sys.stderr.write(server.log()[-1500:])
    say("realtime of the product agrees with the official client")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"failed: {failure}")
