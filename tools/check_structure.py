#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the compiler does not: licence lines, rooms' READMEs, includes along the table of
CMake's DEPENDS, clocks and randomness only where they may be."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Outside runtime/ nothing may look at the machine's clock or dice: a simulation could not own them.
FORBIDDEN = re.compile(
    r"system_clock|steady_clock|random_device|sleep_for|std::thread\b|asio::detached"
)
CLOCK_ROOMS = {"runtime", "cli"}
SOURCE_SUFFIXES = {".cpp", ".hpp", ".py", ".sh", ".ts"}


def tracked() -> list[pathlib.Path]:
    out = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return [ROOT / line for line in out.splitlines() if (ROOT / line).is_file()]


def room_dependencies() -> dict[str, set[str]]:
    rooms = {}
    for path in sorted((ROOT / "src").glob("*/CMakeLists.txt")):
        text = path.read_text()
        match = re.search(r"netbuild_room\(\s*(\w+)(?:\s+DEPENDS\s+([a-z_\s]+?))?\s*(?:LIBRARIES|\))", text)
        if match:
            rooms[match[1]] = set((match[2] or "").split())
    return rooms


def check_file(path: pathlib.Path, rooms: dict[str, set[str]]) -> list[str]:
    relative = path.relative_to(ROOT)
    problems = []
    text = path.read_text(errors="replace")
    if path.suffix in SOURCE_SUFFIXES and "SPDX-License-Identifier" not in text[:300]:
        problems.append(f"{relative}: no SPDX-License-Identifier line")
    if relative.parts[0] != "src" or path.suffix not in {".cpp", ".hpp"}:
        return problems
    room = relative.parts[1]
    test = path.name.endswith("_test.cpp")
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'#include "(\w+)/', line)
        # cli is the program, no room: its commands may name what they operate.
        if include and include[1] in rooms and room in rooms and include[1] != room and not test:
            if include[1] not in rooms[room]:
                problems.append(f"{relative}:{number}: {room} does not depend on {include[1]}")
        if room not in CLOCK_ROOMS and not test and FORBIDDEN.search(line.split("//")[0]):
            problems.append(f"{relative}:{number}: clock, dice, threads and detached tasks live in runtime/")
    return problems


def main() -> int:
    rooms = room_dependencies()
    problems = [
        f"src/{room}: no README.md" for room in rooms if not (ROOT / "src" / room / "README.md").exists()
    ]
    for path in tracked():
        if path.suffix in SOURCE_SUFFIXES | {".md"}:
            problems += check_file(path, rooms)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"structure: {len(rooms)} rooms, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
