// SPDX-License-Identifier: Apache-2.0
#include "data/time_ordered_id.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace netbuild::data {
namespace {

constexpr std::size_t text_bytes = 36;
constexpr std::uint64_t counter_max = 0xFFF;

std::uint64_t hex(std::string_view digits) {
    std::uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    return value;
}

} // namespace

std::string time_ordered_id(std::int64_t utc_ms, Random& random, std::string_view after) {
    auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(utc_ms, 0));
    // The counter starts in its lower half: there is room for as many in one millisecond.
    std::uint64_t counter = random.below((counter_max + 1) / 2);
    if (after.size() == text_bytes) { // tttttttt-tttt-7ccc-…
        const std::uint64_t after_ms = (hex(after.substr(0, 8)) << 16) | hex(after.substr(9, 4));
        const std::uint64_t after_counter = hex(after.substr(15, 3));
        if (ms < after_ms || (ms == after_ms && counter <= after_counter)) {
            ms = after_ms;
            counter = after_counter + 1;
            if (counter > counter_max) {
                ++ms;
                counter = 0;
            }
        }
    }
    const std::uint64_t low = random.next();
    return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", ms >> 16, ms & 0xFFFF, counter,
                       0x8000 | ((low >> 48) & 0x3FFF), low & 0xFFFF'FFFF'FFFF);
}

} // namespace netbuild::data
