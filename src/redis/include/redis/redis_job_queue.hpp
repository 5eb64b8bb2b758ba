// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "ports/cluster_bus.hpp"
#include "ports/job_queue.hpp"
#include "redis/redis_client.hpp"

namespace netbuild {

/// Queues in Redis: a stream with a consumer group says whose turn it is, one script does each
/// operation (job_scripts.hpp has the keys). Single adds and completions of one turn leave in one
/// script; while two are on their way, the next gathers. Who waits for a job is woken over `wakes`,
/// and looks by itself once a second.
class RedisJobQueue final : public JobQueue {
public:
    struct Options {
        /// Before each key and channel.
        std::string prefix = "netbuild:";
        /// Jobs of one queue that have not ended.
        std::size_t queue_jobs_max = 1'000'000;
    };
    /// All of them outlive the queue; `client` and `wakes` are started by whoever owns them.
    RedisJobQueue(asio::any_io_executor executor, Clock& clock, RedisClient& client,
                  ClusterBus& wakes, Options options);
    RedisJobQueue(asio::any_io_executor executor, Clock& clock, RedisClient& client,
                  ClusterBus& wakes);
    ~RedisJobQueue() override;

    awaitable<result<std::vector<Added>>> add(std::string queue, std::vector<NewJob> jobs) override;
    awaitable<result<std::vector<ClaimedJob>>> claim(std::string queue, ClaimTerms terms) override;
    awaitable<result<std::vector<Ack>>> complete(std::string queue,
                                                 std::vector<Completion> completions) override;
    awaitable<result<std::vector<Ack>>> fail(std::string queue,
                                             std::vector<Failure> failures) override;
    awaitable<result<std::vector<Ack>>> heartbeat(std::string queue, std::vector<Run> runs,
                                                  std::chrono::milliseconds lease) override;
    awaitable<result<void>> cancel(std::string queue, std::string id) override;
    awaitable<result<void>> pause(std::string queue, bool paused) override;
    awaitable<result<std::uint64_t>> retry_dead(std::string queue,
                                                std::vector<std::string> ids) override;
    awaitable<result<std::uint64_t>> drain(std::string queue) override;
    awaitable<result<JobView>> show(std::string queue, std::string id) override;
    awaitable<result<Page>> list(std::string queue, JobState state, std::string cursor,
                                 std::size_t limit) override;
    awaitable<result<QueueStats>> stats(std::string queue) override;
    awaitable<result<std::vector<std::string>>> queues() override;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
