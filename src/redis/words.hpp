// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <string_view>

namespace netbuild {

/// Takes the word up to the next space, or all: values that scripts read are words in a line.
inline std::string_view next_word(std::string_view& text) {
    const auto space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    return word;
}

} // namespace netbuild
