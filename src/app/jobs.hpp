// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "jobs/job_worker.hpp"
#include "ports/job_queue.hpp"
#include "redis/redis_client.hpp"
#include "redis/redis_cluster_bus.hpp"
#include "runtime/task_group.hpp"

namespace netbuild::app {

inline constexpr std::string_view verify_queue = "netbuild:verify";
inline constexpr std::string_view resync_queue = "netbuild:resync";
inline constexpr std::string_view expire_queue = "netbuild:expire";

/// The queues, on Redis where there is one, and NetBuild's own jobs on them.
class Jobs {
public:
    /// `redis`: null without redis.url; its owner starts it, and stops it after `stop`.
    Jobs(const Configuration& configuration, asio::any_io_executor executor, Clock& clock,
         RedisClient* redis);
    ~Jobs();

    /// Begins to connect. invalid_configuration.
    result<void> start();
    /// After its users have ended.
    awaitable<void> stop();
    [[nodiscard]] JobQueue& queue();

    /// Works off one of NetBuild's own queues, until cancelled.
    awaitable<result<void>> work(std::string_view queue, jobs::JobWorker::Handler handler);
    /// Adds a job to it every `interval`, the first one after it, while `due` says so; of several
    /// processes that do, one adds.
    awaitable<result<void>> schedule(std::string_view queue, Clock::duration interval,
                                     std::function<bool()> due);
    /// Looks at all queues every `queue.watch_interval`, for metrics, until cancelled. That also
    /// does what is due in queues that nobody claims from.
    awaitable<result<void>> watch();
    /// What the newest look saw; of the first hundred queues.
    [[nodiscard]] const std::vector<QueueStats>& seen() const { return seen_; }

private:
    awaitable<result<void>> look();

    asio::any_io_executor executor_;
    Clock& clock_;
    Clock::duration watch_interval_;
    std::string worker_;
    /// Null without Redis: over it who waits for a job is woken.
    std::unique_ptr<RedisClusterBus> wakes_;
    std::unique_ptr<JobQueue> queue_;
    std::vector<QueueStats> seen_;
};

/// Prometheus' text exposition of the queues.
[[nodiscard]] std::string queue_metrics(const Jobs& jobs);

} // namespace netbuild::app
