#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""openapi_json.py OPENAPI.yaml OUT.cpp: the specification as JSON in a C++ function."""
import json
import pathlib
import sys

import yaml

source, target = sys.argv[1:3]
text = json.dumps(yaml.safe_load(pathlib.Path(source).read_text()), separators=(",", ":"))
# A string literal of at most 64 KiB is portable; pieces are joined by the compiler.
pieces = [text[i : i + 4000] for i in range(0, len(text), 4000)]
literal = "\n".join(f'    R"json({piece})json"' for piece in pieces)
path = pathlib.Path(target)
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(
    "// SPDX-License-Identifier: Apache-2.0\n// Generated from api/openapi.yaml: edit that.\n"
    '#include "openapi.hpp"\n\nnamespace netbuild::http {\n\n'
    f"std::string_view openapi_json() noexcept {{\n    return\n{literal};\n}}\n\n}} // namespace netbuild::http\n"
)
