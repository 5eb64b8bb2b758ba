#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/guide/conversations.md tells people to type is typed, on the embedded default; then the server is killed and what
it had acknowledged is there, in order and once."""
import os
import pathlib
import subprocess
import sys
import tempfile

from harness import NETBUILD, ROOT, Failed, Json, free_port, say, until


def serve(folder, port, log):
    environment = {"PATH": os.environ["PATH"], "NETBUILD_HTTP_PORT": str(port), "NETBUILD_STORE_PATH": folder,
                   "NETBUILD_SIMULATOR_RATE": "1", "NETBUILD_HTTP_AUTH": "none"}
    return subprocess.Popen([NETBUILD, "serve"], env=environment, cwd=folder, stdout=log, stderr=log)


def answers(api):
    try:
        return api.request("GET", "/healthz")[0] == 200
    except OSError:
        return False


def type_the_guide(port):
    text = (ROOT / "docs/guide/conversations.md").read_text()
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    # jq for machines that have none: a path such as .items[0].id
    pick = ("import functools,json,re,sys;"
            "print(functools.reduce(lambda v,k:v[int(k) if k.isdigit() else k],re.findall(r'\\w+',sys.argv[2]),json.load(sys.stdin)))")
    script = "set -euo pipefail\njq() { " + f"{sys.executable} -c \"{pick}\" \"$@\"; }}\n" + "\n".join(lines)
    script = script.replace("localhost:8080", f"127.0.0.1:{port}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"the guide: exit {done.returncode}\n{done.stdout[-500:]}{done.stderr[-500:]}")
    if done.stdout.count('"estimator":"netbuild-1"') != 1 or done.stdout.count("Where is order 7?") < 2:
        raise Failed("the guide: " + done.stdout[-1500:])
    return len(lines)


def main():
    folder = tempfile.mkdtemp(prefix="netbuild-talk-")
    port = free_port()
    log = open(pathlib.Path(folder) / "log", "wb")
    api = Json(f"http://127.0.0.1:{port}")
    process = serve(folder, port, log)
    try:
        until("the server answers", lambda: answers(api))
        lines = type_the_guide(port)
        conversation = api.send("POST", "/v1/conversations", {"domainId": "acme"})["id"]
        path = f"/v1/conversations/{conversation}/messages"
        told = [api.send("POST", path, {"role": "user", "text": f"message {i}", "clientMessageId": str(i)})["id"] for i in range(50)]
        process.kill()
        process.wait()
        process = serve(folder, port, log)
        api = Json(f"http://127.0.0.1:{port}")
        until("the server answers again", lambda: answers(api))
        again = api.send("POST", path, {"role": "user", "text": "message 49", "clientMessageId": "49"})
        if again["id"] != told[-1]:
            raise Failed(f"the retry made another message: {again}")
        api.send("POST", path, {"role": "user", "text": "after the kill"})
        listed = api.get(path + "?sort=sequence&limit=500")["items"]
        if [m["id"] for m in listed[:-1]] != told or [m["sequence"] for m in listed] != list(range(1, 52)):
            raise Failed(f"{len(listed)} messages: {[m['sequence'] for m in listed]}")
        status, body, _ = api.request("POST", path, raw='{"role":"user","text":"' + "x" * 17_000_000 + '"}')
        if status != 413:
            raise Failed(f"17 MB: {status} {body}")
    finally:
        process.kill()
        process.wait()
        sys.stderr.write((pathlib.Path(folder) / "log").read_text()[-1500:])
    say(f"{lines} lines of the guide")


if __name__ == "__main__":
    main()
