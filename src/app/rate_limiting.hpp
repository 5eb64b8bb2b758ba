// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "app/configuration.hpp"
#include "http/ratelimit_routes.hpp"
#include "redis/redis_client.hpp"

namespace netbuild::app {

/// What `[ratelimit]` says, whose texts configuration.cpp has looked at.
class RateLimiting {
public:
    RateLimiting(const Configuration& configuration, asio::any_io_executor executor, Clock& clock);

    result<void> start();
    awaitable<void> stop();

    [[nodiscard]] http::RateLimits& limits() { return limits_; }
    void add_to(http::Routes& routes) { routes_.add_to(routes); }
    /// In Prometheus' text exposition.
    [[nodiscard]] std::string metrics() const;

private:
    std::vector<limits::ConfiguredPolicy> policies_;
    /// Its own: nobody waits for a limit behind what takes long, and its time-out is short.
    std::unique_ptr<RedisClient> redis_;
    std::unique_ptr<RateLimiter> limiter_;
    limits::RateGate gate_;
    http::RateLimits limits_;
    http::RateLimitRoutes routes_;
};

} // namespace netbuild::app
