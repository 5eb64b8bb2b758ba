// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace netbuild {

/// PostgreSQL's "2026-11-23 07:18:13.004" (DateStyle ISO, no zone) as wall milliseconds since
/// 1970-01-01T00:00:00; nullopt: it is none.
[[nodiscard]] std::optional<std::int64_t> parse_wall_time(std::string_view text) noexcept;

} // namespace netbuild
