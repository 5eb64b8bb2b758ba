// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>

#include <boost/asio/any_io_executor.hpp>

#include "ports/job_queue.hpp"
#include "runtime/random.hpp"

namespace netbuild {

/// The embedded default: jobs of one process, which end with it.
class MemoryJobQueue : public JobQueue {
public:
    struct Options {
        /// Jobs of one queue, and queues.
        std::size_t queue_jobs_max = 1'000'000;
        std::size_t queues_max = 1000;
        /// Of the backoff's jitter.
        std::uint64_t seed = 1;
    };
    MemoryJobQueue(asio::any_io_executor executor, Clock& clock, Options options);
    MemoryJobQueue(asio::any_io_executor executor, Clock& clock);
    ~MemoryJobQueue() override;

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
    struct Job;
    struct Queue;
    [[nodiscard]] std::int64_t now_ms() const;
    result<Queue*> open(const std::string& name);

    asio::any_io_executor executor_;
    Clock& clock_;
    Options options_;
    Random random_;
    std::int64_t began_us_;
    Clock::duration began_;
    std::map<std::string, std::unique_ptr<Queue>, std::less<>> queues_;
};

} // namespace netbuild
