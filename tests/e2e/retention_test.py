#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events that are older than [events] keep go; a reader that resumes from before them is told so first, and then
gets every event that is there. On the embedded default: no server is needed."""
import json
import pathlib
import subprocess
import tempfile
import urllib.request

from harness import NETBUILD, Failed, Json, free_port, say, until


def stream(port, start, count):
    """The first `count` server-sent events: (type, data)."""
    found, type_ = [], None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/events?from={start}", timeout=60) as lines:
        for line in lines:
            if line.startswith(b"event: "):
                type_ = line.decode()[7:].strip()
            elif line.startswith(b"data: "):
                found.append((type_, json.loads(line[6:])))
                if len(found) == count:
                    return found
    raise Failed("the stream of events ended")


def main():
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = pathlib.Path(folder) / "netbuild.toml"
        config.write_text(f'[engine]\nsource = "simulator"\n[simulator]\nrate = 20\n[events]\nkeep = "5s"\n'
                          f'[store]\npath = "{folder}/data"\n[http]\nport = {port}\nauth = "none"\n')
        log = open(pathlib.Path(folder) / "log", "wb")
        server = subprocess.Popen([NETBUILD, "serve", "--config", str(config)], stdout=log, stderr=log)
        try:
            api = Json(f"http://127.0.0.1:{port}")

            def first_event():
                try:
                    return api.request("GET", "/readyz")[0] == 200 and stream(port, "0-1", 1)[0]
                except OSError:
                    return None
            until("old events are removed and that is said", lambda: (first_event() or ("", {}))[0] == "gap")
            (type_, gap), (_, following) = stream(port, "0-1", 2)
            if (type_, gap["from"], gap["reason"], gap["source"]) != ("gap", "0-1", "retention", "engine"):
                raise Failed(f"the gap is {gap}")
            number = lambda position: tuple(map(int, position.split("-")))  # noqa: E731
            if number(following["position"]) <= number(gap["to"]):
                raise Failed(f"{following['position']} comes after the gap up to {gap['to']}")
            resumed = stream(port, api.get("/v1/sync")["published"]["position"], 1)[0]
            if resumed[0] == "gap":
                raise Failed("a reader that is in time is told of a gap")
            out = subprocess.run([NETBUILD, "events", "--from", "0-1", "--limit", "3", "--config", str(config), "--json"],
                                 check=True, capture_output=True, text=True).stdout.splitlines()
            if json.loads(out[0])["type"] != "gap" or json.loads(out[1])["type"] == "gap":
                raise Failed(f"netbuild events: {out}")
            say(f"  gap {gap['from']} → {gap['to']}, then {following['position']}")
        finally:
            server.terminate()
            server.wait(timeout=60)


if __name__ == "__main__":
    main()
