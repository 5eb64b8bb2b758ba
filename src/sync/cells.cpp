// SPDX-License-Identifier: Apache-2.0
#include "sync/cells.hpp"

#include "wire/wall_time.hpp"

namespace netbuild::sync {
namespace {

int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

Value date_value(const Cell& cell, const TimeZone& zone) {
    const auto wall_ms = parse_wall_time(cell.text);
    return wall_ms ? Value(Date{zone.to_utc_ms(*wall_ms)}) : Value();
}

std::string decode_bytea(std::string_view text) {
    if (!text.starts_with("\\x")) return std::string(text);
    text.remove_prefix(2);
    std::string bytes(text.size() / 2, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    }
    return bytes;
}

} // namespace netbuild::sync
