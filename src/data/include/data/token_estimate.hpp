// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <string_view>

namespace netbuild::data {

/// Of the rule below; a change of it is a new name.
inline constexpr std::string_view token_estimator = "netbuild-1";

/// How many tokens a model will count at most, near enough for a budget (docs/adr/0007-ai-context):
/// every two characters of a run of ASCII letters (with one blank in front) are one, every other
/// byte is one. Vocabularies differ between models and are megabytes large; all of them cut text at
/// bytes or coarser, so the number of bytes is always enough, and pairs of letters are the one place
/// where that is more than needed by far. est(a) ≤ est(a + b) ≤ est(a) + est(b).
[[nodiscard]] std::size_t estimate_tokens(std::string_view text) noexcept;

} // namespace netbuild::data
