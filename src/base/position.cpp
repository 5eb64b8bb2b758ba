// SPDX-License-Identifier: Apache-2.0
#include "base/position.hpp"

#include <charconv>

#include <fmt/format.h>

namespace netbuild {
namespace {

// The whole text must be digits: "+1", " 1" and "" are refused.
template <class Number>
bool parse_whole(std::string_view text, Number& number, int base = 10) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return ec == std::errc{} && end == text.data() + text.size() && !text.empty();
}

} // namespace

std::string to_string(Lsn lsn) {
    return fmt::format("{:X}/{:X}", to_number(lsn) >> 32, to_number(lsn) & 0xFFFFFFFFu);
}

result<Lsn> parse_lsn(std::string_view text) {
    const auto slash = text.find('/');
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    if (slash == std::string_view::npos || !parse_whole(text.substr(0, slash), high, 16) ||
        !parse_whole(text.substr(slash + 1), low, 16)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is not an LSN such as 0/16B3748", text));
    }
    return Lsn{(std::uint64_t{high} << 32) | low};
}

std::string to_string(Position position) {
    return fmt::format("{}-{}", position.number, position.ordinal);
}

result<Position> parse_position(std::string_view text) {
    Position position;
    const auto dash = text.find('-');
    const bool valid =
        parse_whole(text.substr(0, dash), position.number) &&
        (dash == std::string_view::npos || parse_whole(text.substr(dash + 1), position.ordinal)) &&
        position.number < (std::uint64_t{1} << 63);
    if (!valid) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is not a position such as 23803720-12", text));
    }
    return position;
}

} // namespace netbuild
