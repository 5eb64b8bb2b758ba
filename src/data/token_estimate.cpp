// SPDX-License-Identifier: Apache-2.0
#include "data/token_estimate.hpp"

namespace netbuild::data {
namespace {

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

} // namespace

std::size_t estimate_tokens(std::string_view text) noexcept {
    std::size_t tokens = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at + 1; // a byte by itself, or the blank in front of letters
        if (is_letter(text[at]) || text[at] == ' ') {
            while (end < text.size() && is_letter(text[end]))
                ++end;
        }
        tokens += (end - at + 1) / 2;
        at = end;
    }
    return tokens;
}

} // namespace netbuild::data
