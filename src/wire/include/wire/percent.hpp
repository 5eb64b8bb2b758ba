// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace netbuild {

/// For a segment or a query: what RFC 3986 calls unreserved stays.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// %41%2F → "A/"; invalid_argument for a bad escape.
[[nodiscard]] result<std::string> percent_decode(std::string_view text, bool plus_is_space);
/// As browsers read a query: "+" is a space, a bad escape stays as it is.
[[nodiscard]] std::string percent_decode_leniently(std::string_view text);

struct QueryPair {
    std::string_view name, value; // still encoded
};
/// What is behind the "?" of a target; empty if there is none.
[[nodiscard]] std::string_view query_of(std::string_view target);
/// Takes the next pair off the front of `query`; none: that was all.
[[nodiscard]] std::optional<QueryPair> next_query_pair(std::string_view& query);

} // namespace netbuild
