// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "http/rate_limits.hpp"
#include "http/routes.hpp"

namespace netbuild::http {

/// /v1/ratelimit:… for other services: their own policies, which they send along, and those of the
/// configuration by name.
class RateLimitRoutes {
public:
    RateLimitRoutes(limits::RateGate& gate,
                    const std::vector<limits::ConfiguredPolicy>& configured);
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> act(Call& call, RateAction action);
    awaitable<result<Reply>> block(Call& call);
    awaitable<result<Reply>> unblock(Call& call);
    [[nodiscard]] result<RatePolicyPtr> policy_of(const Object& given) const;
    [[nodiscard]] result<RateCharge> charge_of(const Object& given) const;

    limits::RateGate& gate_;
    std::map<std::string, RatePolicyPtr, std::less<>> configured_;
};

} // namespace netbuild::http
