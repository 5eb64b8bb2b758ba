// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace netbuild::http {

/// api/openapi.yaml as JSON, made by tools/openapi_json.py when the room is built.
[[nodiscard]] std::string_view openapi_json() noexcept;

} // namespace netbuild::http
