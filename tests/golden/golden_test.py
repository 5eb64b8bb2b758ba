#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The recorded bytes of a real Camunda run → events and documents, compared with what was blessed.

  golden_test.py           compares
  golden_test.py --bless   writes the goldens anew; read the difference before you commit it
"""
import difflib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
NETBUILD = os.environ.get("NETBUILD", str(HERE.parents[1] / "build/release/netbuild"))


def run(*arguments, **environment):
    out = subprocess.run([NETBUILD, *arguments, "--json"], check=True, capture_output=True, text=True,
                         env={"PATH": os.environ["PATH"], **environment})
    return [json.loads(line) for line in out.stdout.splitlines()]


def outcome(folder):
    """The demo's summary without its time, and its events one a line."""
    summary = run("demo", "--once", "--folder", folder)[-1]
    elapsed = summary.pop("elapsedMs")
    if not elapsed >= 0:
        sys.exit("elapsedMs is missing")
    events = run("events", NETBUILD_STORE_PATH=folder)
    return json.dumps(summary, indent=1) + "\n", "".join(json.dumps(event) + "\n" for event in events)


def main():
    with tempfile.TemporaryDirectory() as folder:
        first = outcome(folder + "/first")
        second = outcome(folder + "/second")
    if first != second:
        sys.exit("two runs over the same recording differ")
    failed = False
    for name, text in zip(("summary.json", "events.jsonl"), first):
        path = HERE / name
        if "--bless" in sys.argv:
            path.write_text(text)
            continue
        if not path.exists():
            sys.exit(f"{path.name} is missing: ./dev bless, then read it")
        difference = list(difflib.unified_diff(path.read_text().splitlines(), text.splitlines(), "blessed", "now", lineterm="", n=1))
        if difference:
            failed = True
            print("\n".join(line[:300] for line in difference[:40]))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
