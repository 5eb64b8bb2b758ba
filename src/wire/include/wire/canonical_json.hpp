// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild {

/// The JSON Canonicalization Scheme (RFC 8785): members sorted by UTF-16 code units, the shortest
/// strings, numbers as ECMAScript prints them. The text is that of the value's plain JSON
/// (wire/json.hpp), so that whoever reads the JSON can make it; but for what I-JSON has no number
/// for: integers beyond ±2^53 are {"$numberLong":"…"}, and NaN and the infinities
/// {"$numberDouble":"…"}.
[[nodiscard]] std::string canonical_json(const Value& value);
/// Such a text to a Value: as parse_json(), but a number is what a double makes of it, however many
/// digits it has. What was wrapped stays so.
[[nodiscard]] result<Value> parse_canonical_json(std::string_view text, int depth_max = 100);

} // namespace netbuild
