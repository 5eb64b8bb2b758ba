#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""example_test.py NETBUILD_EXAMPLE RECORDING : the example's answers are those that the recording's blessed events
(tests/golden) come to, and a second run over the same file gives the same."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests/golden"
STATUS_AFTER = {"process:started": "active", "process:activated": "active", "process:suspended": "suspended",
                "process:completed": "completed", "process:terminated": "terminated"}


def expected():
    """The last Position, and how many executions of each status there are in the end."""
    status = {}
    for line in (GOLDEN / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["type"] in STATUS_AFTER:
            status[event["processInstanceId"]] = STATUS_AFTER[event["type"]]
    counts = {one: list(status.values()).count(one) for one in ("active", "suspended", "completed", "terminated")}
    return json.loads((GOLDEN / "summary.json").read_text())["position"], counts


def main():
    example, recording = sys.argv[1:3]
    position, counts = expected()
    with tempfile.TemporaryDirectory(prefix="netbuild-example-") as folder:
        file = pathlib.Path(folder) / "example.sqlite"
        runs = [subprocess.run([example, recording, file], check=True, capture_output=True, text=True).stdout for _ in range(2)]
    print(runs[0])
    if runs[0] != runs[1]:
        sys.exit(f"the second run said something else:\n{runs[1]}")
    found = {status: int(count) for count, status in re.findall(r"^(\d+) (\w+) executions$", runs[0], re.M)}
    if found != counts or f"complete up to {position}\n" not in runs[0]:
        sys.exit(f"expected {counts} up to {position}")


if __name__ == "__main__":
    main()
