// SPDX-License-Identifier: Apache-2.0
#include "wire/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace netbuild {
namespace {

/// Bytes of the character at the front; 0 if there is none.
std::size_t character(const unsigned char* at, std::size_t size) noexcept {
    const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
        return i < size && at[i] >= low && at[i] <= high;
    };
    const unsigned first = at[0];
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0;
    if (first < 0xE0) return continues(1) ? 2 : 0;
    if (first < 0xF0) {
        const bool second = first == 0xE0   ? continues(1, 0xA0)
                            : first == 0xED ? continues(1, 0x80, 0x9F)
                                            : continues(1);
        return second && continues(2) ? 3 : 0;
    }
    if (first > 0xF4) return 0;
    const bool second = first == 0xF0   ? continues(1, 0x90)
                        : first == 0xF4 ? continues(1, 0x80, 0x8F)
                                        : continues(1);
    return second && continues(2) && continues(3) ? 4 : 0;
}

/// How many bytes at the front are ASCII, in steps of eight.
std::size_t ascii_prefix(std::string_view text) noexcept {
    std::size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + i, 8);
        if (word & 0x8080808080808080u) break;
    }
    return i;
}

} // namespace

bool valid_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        text.remove_prefix(ascii_prefix(text));
        if (text.empty()) break;
        const auto size =
            character(reinterpret_cast<const unsigned char*>(text.data()), text.size());
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string with_valid_utf8(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto size =
            character(reinterpret_cast<const unsigned char*>(text.data()), text.size());
        out += size == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, size);
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return out;
}

} // namespace netbuild
