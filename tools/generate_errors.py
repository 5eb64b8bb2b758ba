#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C++ error table (--cpp FOLDER) or the docs table (--docs FILE) from errors.yaml.

The file is a flat subset of YAML: `name:` then indented `key: value` lines. Nothing more is read,
so that a build needs no YAML package.
"""
import argparse
import pathlib
import re
import sys

KEYS = {"class", "http", "exit", "message"}


def read(path):
    table, entry = {}, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := re.fullmatch(r"([a-z_]+):", line):
            entry = table.setdefault(match[1], {})
        elif (match := re.fullmatch(r"  ([a-z]+): (.+)", line)) and entry is not None:
            entry[match[1]] = match[2]
        else:
            sys.exit(f"{path}:{number}: expected `name:` or `  key: value`")
    for name, entry in table.items():
        if entry.keys() != KEYS:
            sys.exit(f"{path}: {name} needs exactly {', '.join(sorted(KEYS))}")
    return table


def switch(table, function, type_, value):
    cases = "\n".join(f"    case ErrorCode::{name}: return {value(entry, name)};"
                      for name, entry in table.items())
    return (f"{type_} {function}(ErrorCode code) noexcept {{\n    switch (code) {{\n{cases}\n    }}\n"
            f"    __builtin_unreachable();\n}}\n")


def cpp(table, folder):
    banner = "// SPDX-License-Identifier: Apache-2.0\n// Generated from errors.yaml: edit that.\n"
    classes = list(dict.fromkeys(entry["class"] for entry in table.values()))
    header = banner + f"""#pragma once
#include <string_view>

namespace netbuild {{

enum class ErrorClass {{ {", ".join(classes)} }};
enum class ErrorCode {{ {", ".join(table)} }};

[[nodiscard]] ErrorClass error_class_of(ErrorCode code) noexcept;
/// The stable name that problem+json and logs show.
[[nodiscard]] std::string_view code_name(ErrorCode code) noexcept;
[[nodiscard]] std::string_view message_of(ErrorCode code) noexcept;
[[nodiscard]] int http_status_of(ErrorCode code) noexcept;
[[nodiscard]] int exit_code_of(ErrorCode code) noexcept;

}} // namespace netbuild
"""
    source = banner + '#include "base/error_code.hpp"\n\nnamespace netbuild {\n\n' + "\n".join([
        switch(table, "error_class_of", "ErrorClass", lambda e, _: f"ErrorClass::{e['class']}"),
        switch(table, "code_name", "std::string_view", lambda _, name: f'"{name}"'),
        switch(table, "message_of", "std::string_view", lambda e, _: f'"{e["message"]}"'),
        switch(table, "http_status_of", "int", lambda e, _: e["http"]),
        switch(table, "exit_code_of", "int", lambda e, _: e["exit"]),
    ]) + "\n} // namespace netbuild\n"
    (folder / "base").mkdir(parents=True, exist_ok=True)
    for path, text in ((folder / "base" / "error_code.hpp", header), (folder / "error_code.cpp", source)):
        if not path.exists() or path.read_text() != text:  # who includes it is not compiled for nothing
            path.write_text(text)


def docs(table, path):
    rows = "\n".join(f"| `{name}` | {e['class']} | {e['http']} | {e['exit']} | {e['message']} |"
                     for name, e in table.items())
    path.write_text("# Errors\n\nGenerated from `src/base/errors.yaml`. `code` is the member of a "
                    "problem+json answer.\n\n| code | class | HTTP | exit | meaning |\n"
                    f"| --- | --- | --- | --- | --- |\n{rows}\n")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("table", type=pathlib.Path)
parser.add_argument("--cpp", type=pathlib.Path)
parser.add_argument("--docs", type=pathlib.Path)
arguments = parser.parse_args()
table = read(arguments.table)
if arguments.cpp:
    cpp(table, arguments.cpp)
if arguments.docs:
    docs(table, arguments.docs)
