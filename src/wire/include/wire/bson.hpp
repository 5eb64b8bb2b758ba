// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild {

/// BSON (https://bsonspec.org/spec.html, version 1.1) for the types that Value has; members in
/// order.
[[nodiscard]] std::string encode_bson(const Object& document);
void append_bson(std::string& out, const Object& document);

/// Deepest nesting that is read; a document of MongoDB has at most 100.
inline constexpr int bson_depth_max = 200;

/// Strict: lengths, terminators and UTF-8-agnostic strings are checked; `corrupt` names the offset.
/// Of foreign types, ObjectId becomes its 24 hex digits, timestamp its int64, decimal128 and other
/// rare ones are `unsupported`.
[[nodiscard]] result<Object> decode_bson(std::string_view bytes);

} // namespace netbuild
