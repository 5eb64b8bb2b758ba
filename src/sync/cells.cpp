// SPDX-License-Identifier: Apache-2.0
#include "sync/cells.hpp"

#include "wire/wall_time.hpp"

namespace netbuild::sync {
namespace {

int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::optional<Date> date_value(const Cell& cell, const TimeZone& zone) {
    const auto wall_ms = parse_wall_time(cell.text);
    if (!wall_ms) return std::nullopt;
    return Date{zone.to_utc_ms(*wall_ms)};
}

std::optional<std::string> decode_bytea(std::string_view text) {
    if (!text.starts_with("\\x") || text.size() % 2 != 0) return std::nullopt;
    text.remove_prefix(2);
    std::string bytes(text.size() / 2, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const int high = hex_digit(text[2 * i]);
        const int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes[i] = static_cast<char>(high << 4 | low);
    }
    return bytes;
}

} // namespace netbuild::sync
