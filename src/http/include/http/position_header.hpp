// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/position.hpp"

namespace netbuild::http {

/// The engine's Position as X-NetBuild-Position has it, an RFC 9651 dictionary:
/// engine="23803720-12".
[[nodiscard]] std::string position_header(Position position);
/// The `engine` of such a dictionary, or a bare Position; invalid_argument.
[[nodiscard]] result<Position> parse_position_header(std::string_view text);

} // namespace netbuild::http
