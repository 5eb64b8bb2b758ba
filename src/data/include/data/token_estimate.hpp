// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string_view>

namespace netbuild::data {

/// Of the rule below; a change of it is a new name.
inline constexpr std::string_view token_estimator = "netbuild-1";

/// How many tokens a model will count at most, for a budget: half a token for each of the letters
/// e a r i o t n s l c u d p m h g, one for every other byte, rounded up. Why, and what it was
/// compared with: docs/adr/0009-conversations.md. est(a) ≤ est(a + b) ≤ est(a) + est(b).
[[nodiscard]] std::size_t estimate_tokens(std::string_view text) noexcept;

} // namespace netbuild::data
