// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "ports/rate_limiter.hpp"
#include "redis/redis_client.hpp"

namespace netbuild {

/// Rate limits over all processes of a Redis, by its clock. A key a policy and subject,
/// `netbuild:rate:NAME.FORM:{SUBJECT}…`, which expires when nothing is used any more.
///
/// Checks of one policy that are asked for between two turns of the executor leave as one script
/// call (not on a Redis Cluster, whose keys lie in different slots).
///
/// What lies at a key and never expires is not ours: `unsupported`, and it stays. In the form of
/// milliseconds, where the expiry is all of the state, whatever expires is taken for one.
class RedisRateLimiter final : public RateLimiter {
public:
    /// The client is somebody else's, and outlives this.
    RedisRateLimiter(asio::any_io_executor executor, RedisClient& client);
    ~RedisRateLimiter() override;

    using RateLimiter::act;
    void act(RateAction action, std::vector<RateCharge> charges, OnDecision on_decision) override;
    awaitable<result<void>> block(RatePolicyPtr policy, std::string key,
                                  std::chrono::milliseconds time) override;
    awaitable<result<void>> unblock(RatePolicyPtr policy, std::string key) override;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace netbuild
