// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "model/transaction.hpp"
#include "runtime/time_zone.hpp"

namespace netbuild::sync {

/// PostgreSQL's text forms as values. A null or absent cell is null.
[[nodiscard]] inline Value text_value(const Cell& cell) {
    return cell.kind == Cell::Kind::text ? Value(cell.text) : Value();
}

/// As text_value; an empty string is null too (a business key).
[[nodiscard]] inline Value nonempty_value(const Cell& cell) {
    return cell.text.empty() ? Value() : Value(cell.text);
}

template <class Integer>
[[nodiscard]] std::optional<Integer> parse_integer(std::string_view text) {
    Integer number{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// "2026-11-23 07:18:13.004", wall time of `zone`; nullopt if it is none.
[[nodiscard]] std::optional<Date> date_value(const Cell& cell, const TimeZone& zone);

/// "\x0001ff" as bytes; nullopt if it is no hex form.
[[nodiscard]] std::optional<std::string> decode_bytea(std::string_view text);

} // namespace netbuild::sync
