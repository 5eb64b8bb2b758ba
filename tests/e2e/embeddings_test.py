#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Embeddings on the embedded default, by the program itself: added and searched over HTTP, saved, kill -9, verify;
a damaged file is exit 5 and is mended; a FAISS file of another program is imported. Needs no server."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

from harness import NETBUILD, Failed, Json, free_port, say, until

INDEXES = "/v1/embeddings/indexes"


def command(folder, environment, *arguments, code=0):
    done = subprocess.run([NETBUILD, *arguments], env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    if done.returncode != code:
        raise Failed(f"{arguments}: exit {done.returncode} instead of {code}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout


def verify(folder, environment, code, *flags):
    return json.loads(command(folder, environment, "verify", "embeddings", "--json", *flags, code=code))


def flat_file(path, vectors):
    """FAISS's IndexFlat over l2 (impl/index_write.cpp of FAISS 1.7)."""
    dimension, count = len(vectors[0]), len(vectors)
    with open(path, "wb") as file:
        file.write(b"IxF2" + struct.pack("<iqqq?iQ", dimension, count, 1 << 20, 1 << 20, True, 1, dimension * count))
        for vector in vectors:
            file.write(struct.pack(f"<{dimension}f", *vector))


def served(folder, environment, port):
    process = subprocess.Popen([NETBUILD, "serve", "--roles", "api"], env=environment, cwd=folder, stderr=subprocess.DEVNULL)
    api = Json(f"http://127.0.0.1:{port}")

    def answers():
        try:
            return api.request("GET", "/healthz")[0] == 200
        except OSError:
            return False
    until("the server answers", answers)
    return process, api


def found(api, index, at, k=2, **more):
    answer = api.send("POST", f"{INDEXES}/{index}/search", {"values": [at, 1, 2], "k": k, **more})
    return [item["vectorId"] for item in answer["items"]]


def main():
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="netbuild-e2e-") as folder:
        environment = dict(os.environ, NETBUILD_HTTP_PORT=str(port), NETBUILD_HTTP_AUTH="none",
                           NETBUILD_EMBEDDINGS_SAVE_INTERVAL="1s", NETBUILD_EMBEDDINGS_GRAPH_FROM="20",
                           NETBUILD_STORE_PATH=folder)
        process, api = served(folder, environment, port)
        try:
            index = api.send("POST", INDEXES, {"domainId": "acme", "name": "manuals", "model": "m", "dimension": 3,
                                               "metric": "l2"})["indexId"]
            vectors = [{"vectorId": f"v{i}", "source": f"{i % 2}.txt", "values": [i, 1, 2]} for i in range(40)]
            api.send("POST", f"{INDEXES}/{index}/vectors", {"vectors": vectors})
            if found(api, index, 7.1) != ["v7", "v8"] or found(api, index, 7.1, filter={"source": "0.txt"}) != ["v8", "v6"]:
                raise Failed(f"search: {found(api, index, 7.1)}")
            saved = until("the index is saved", lambda: api.get(f"{INDEXES}/{index}").get("file"))
            # Acknowledged, and in no file yet.
            api.send("POST", f"{INDEXES}/{index}/vectors", {"vectors": [{"vectorId": "w", "source": "w", "values": [99, 1, 2]}]})
        finally:
            process.kill()
            process.wait()
        report = verify(folder, environment, 0)
        if report["vectors"] != 41 or report["indexes"] != 1:
            raise Failed(f"verify: {report}")
        say("saved, killed, verified")

        registered = json.loads(command(folder, environment, "embeddings", "list", "--json"))["items"][0]["file"]
        path = pathlib.Path(folder, "vectors", registered)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        report = verify(folder, environment, 5)
        if not report["differences"] or report["differences"][0]["indexId"] != index:
            raise Failed(f"a damaged file is not named: {report}")
        if verify(folder, environment, 0, "--repair")["differencesLeft"]:
            raise Failed("the repair left differences")
        verify(folder, environment, 0)
        say(f"a damaged file was named and mended (the first was {saved})")

        old = pathlib.Path(folder, "old.faiss")
        flat_file(old, [[float(i), 0.0] for i in range(100)])
        pathlib.Path(folder, "lines").write_text('{"id": 7, "source": "seven.txt", "metadata": {"lang": "en"}}\n')
        imported = json.loads(command(folder, environment, "embeddings", "import", str(old), "--domain", "acme", "--name", "old",
                                      "--model", "m", "--metadata", "lines", "--json"))
        command(folder, environment, "embeddings", "import", str(old), "--domain", "acme", "--name", "old", "--model", "m", code=1)
        old.write_bytes(old.read_bytes()[:-1])
        command(folder, environment, "embeddings", "import", str(old), "--domain", "acme", "--name", "cut", "--model", "m", code=5)
        process, api = served(folder, environment, port)
        try:
            if found(api, index, 98) != ["w", "v39"]:
                raise Failed(f"after the crash: {found(api, index, 98)}")
            answer = api.send("POST", f"{INDEXES}/{imported['indexId']}/search",
                              {"values": [50, 0], "k": 1, "filter": {"metadata": {"lang": "en"}}})
            if [item["source"] for item in answer["items"]] != ["seven.txt"]:
                raise Failed(f"imported: {answer}")
        finally:
            process.terminate()
            process.wait(30)
        say("a FAISS file was imported")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        say(f"FAILED: {failure}")
        sys.exit(1)
