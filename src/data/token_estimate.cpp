// SPDX-License-Identifier: Apache-2.0
#include "data/token_estimate.hpp"

#include <array>

namespace netbuild::data {
namespace {

/// In halves of a token.
constexpr std::array<unsigned char, 256> weights = [] {
    std::array<unsigned char, 256> table{};
    table.fill(2);
    for (const char letter : std::string_view("eariotnslcudpmhg"))
        table[static_cast<unsigned char>(letter)] = 1;
    return table;
}();

} // namespace

std::size_t estimate_tokens(std::string_view text) noexcept {
    std::size_t halves = 0;
    for (const char byte : text)
        halves += weights[static_cast<unsigned char>(byte)];
    return (halves + 1) / 2;
}

} // namespace netbuild::data
