// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild {

enum class JsonStyle {
    /// For people and HTTP: dates as "2026-01-02T03:04:05.678Z", bytes as base64, members in order.
    plain,
    /// MongoDB Extended JSON v2, canonical form, members sorted by key: equal documents have equal
    /// text (https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/).
    canonical,
};

void append_json(std::string& out, const Value& value, JsonStyle style = JsonStyle::plain);
[[nodiscard]] std::string to_json(const Value& value, JsonStyle style = JsonStyle::plain);
/// A quoted JSON string.
void append_json_string(std::string& out, std::string_view text);

/// Plain JSON to a Value: integers that fit become int32 or int64, the rest double. Refuses (with
/// invalid_argument and the offset) what is no JSON, is deeper than `depth_max`, or holds a doubled
/// key, a NUL in a key, or a number that neither int64 nor double can hold exactly.
[[nodiscard]] result<Value> parse_json(std::string_view text, int depth_max = 100);
/// The same as ECMAScript's JSON.parse has it, for what its clients send: of a doubled key the last
/// value counts, numbers are doubles (those that are whole and exact become integers), a lone half
/// of a surrogate pair becomes U+FFFD.
[[nodiscard]] result<Value> parse_lenient_json(std::string_view text, int depth_max = 100);

/// "2026-01-02T03:04:05.678Z".
[[nodiscard]] std::string format_utc(Date date);
/// Camunda REST's form, "2026-01-02T03:04:05.678+0000".
[[nodiscard]] std::string format_camunda(Date date);
/// ISO 8601 with a zone (Z, +hh:mm, +hhmm), fraction optional.
[[nodiscard]] result<Date> parse_date(std::string_view text);

} // namespace netbuild
