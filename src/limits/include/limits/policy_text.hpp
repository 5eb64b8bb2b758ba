// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "ports/rate_limiter.hpp"

namespace netbuild::limits {

/// A policy and the routes of ours that it is for.
struct ConfiguredPolicy {
    RatePolicyPtr policy;
    /// Prefixes of paths, with a method and a colon in front of them or without: "/v1/payments",
    /// "POST:/v1/auth/login". None: only others ask for it.
    std::vector<std::string> on;
};

/// Policies, a line or a semicolon each:
///     NAME LIMIT/PERIOD [burst=N] [cost=N] [by=user,domain,ip,route] [on=PATH,…]
///     [window] [closed]
/// as in "sign-in 20/1m by=ip on=POST:/v1/auth/login closed". Nothing after `by` is one key for
/// all, no `on` is no route. invalid_configuration tells which policy is wrong, and how.
[[nodiscard]] result<std::vector<ConfiguredPolicy>> parse_policies(std::string_view text);

/// "user" …
[[nodiscard]] std::string_view to_string(RateKeyPart part) noexcept;

} // namespace netbuild::limits
