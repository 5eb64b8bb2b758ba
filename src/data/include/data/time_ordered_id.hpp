// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/random.hpp"

namespace netbuild::data {

/// A UUID of version 7 (RFC 9562, section 5.7, with the counter of section 6.2, method 1): as text
/// it sorts by time, and behind `after`, an earlier one, even where the clock went back.
[[nodiscard]] std::string time_ordered_id(std::int64_t utc_ms, Random& random,
                                          std::string_view after = {});

} // namespace netbuild::data
