// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "http/queue_routes.hpp"
#include "http/routes.hpp"
#include "http/session_routes.hpp"
#include "jobs.hpp"
#include "rate_limiting.hpp"
#include "redis/redis_client.hpp"

namespace netbuild::app {

/// What every NetBuild service needs beside the data: over Redis where `redis.url` is set, in this
/// process otherwise. It owns the connection that its parts share, and their routes.
class Toolkit {
public:
    Toolkit(const Configuration& configuration, asio::any_io_executor executor, Clock& clock);

    /// Begins to connect; what is asked meanwhile waits, within its time-out.
    result<void> start();
    /// After its users have ended.
    awaitable<void> stop();
    void add_to(http::Routes& routes);
    /// Prometheus' text format.
    [[nodiscard]] std::string metrics() const;

    [[nodiscard]] RateLimiting& rate_limits() { return rate_limits_; }
    [[nodiscard]] Jobs& jobs() { return jobs_; }

private:
    std::unique_ptr<RedisClient> redis_; // null without redis.url
    std::shared_ptr<SessionStore> sessions_;
    http::SessionRoutes session_routes_;
    RateLimiting rate_limits_;
    Jobs jobs_;
    http::QueueRoutes queue_routes_;
};

} // namespace netbuild::app
