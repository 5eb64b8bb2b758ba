// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/position.hpp"

namespace netbuild {

/// The engine's Position as X-NetBuild-Position has it, an RFC 9651 dictionary:
/// engine="23803720-12".
[[nodiscard]] std::string position_header(Position position);
/// With the one of NetBuild's own data: engine="23803720-12", documents="7711253004517703681-0".
[[nodiscard]] std::string position_header(Position engine, Position documents);
/// The `engine` of such a dictionary, or a bare Position; invalid_argument.
[[nodiscard]] result<Position> parse_position_header(std::string_view text);
/// Its `documents`; nullopt if it has none.
[[nodiscard]] result<std::optional<Position>> parse_documents_position(std::string_view text);

} // namespace netbuild
