// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "runtime/random.hpp"

namespace netbuild::realtime {

/// As npm's uid2 makes them: letters, digits, `-` and `_`.
[[nodiscard]] std::string short_id(Random& random, std::size_t characters);
/// 16 hexadecimal digits.
[[nodiscard]] std::string hex_id(Random& random);
/// The text with what a glob would take for more than itself escaped.
[[nodiscard]] std::string glob_of(std::string_view text);
/// Of channels `<prefix><uid>#`, those whose uid has so many characters.
[[nodiscard]] std::vector<std::string> uids_in(const std::vector<std::string>& channels,
                                               std::string_view prefix, std::size_t characters);

} // namespace netbuild::realtime
