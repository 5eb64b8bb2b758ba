// SPDX-License-Identifier: Apache-2.0
#include "jobs.hpp"

#include <algorithm>

#include <unistd.h>

#include <fmt/format.h>

#include "memory/memory_job_queue.hpp"
#include "metric_text.hpp"
#include "redis/redis_job_queue.hpp"
#include "telemetry/log.hpp"

namespace netbuild::app {
namespace {

constexpr std::size_t queues_watched_max = 100;

} // namespace

Jobs::Jobs(const Configuration& configuration, asio::any_io_executor executor, Clock& clock,
           RedisClient* redis)
    : executor_(std::move(executor)),
      clock_(clock),
      watch_interval_(configuration.duration("queue.watch_interval")),
      worker_(fmt::format("netbuild-{}", getpid())) {
    const auto jobs_max = static_cast<std::size_t>(configuration.integer("queue.jobs_max"));
    if (!redis) {
        queue_ = std::make_unique<MemoryJobQueue>(
            executor_, clock_, MemoryJobQueue::Options{.queue_jobs_max = jobs_max});
        return;
    }
    wakes_ = std::make_unique<RedisClusterBus>(
        executor_, clock_,
        RedisClusterBus::Options{.url = configuration.text("redis.url"),
                                 .ca_file = configuration.text("redis.ca_file")});
    queue_ = std::make_unique<RedisJobQueue>(executor_, clock_, *redis, *wakes_,
                                             RedisJobQueue::Options{.queue_jobs_max = jobs_max});
}
Jobs::~Jobs() = default;

JobQueue& Jobs::queue() { return *queue_; }

result<void> Jobs::start() {
    if (wakes_) TRY_VOID(wakes_->start());
    return {};
}

awaitable<void> Jobs::stop() {
    if (wakes_) co_await wakes_->stop();
}

awaitable<result<void>> Jobs::work(std::string_view queue, jobs::JobWorker::Handler handler) {
    jobs::JobWorker worker(executor_, clock_, *queue_,
                           {.queue = std::string(queue), .worker = worker_, .concurrency = 1},
                           std::move(handler));
    co_return co_await worker.run();
}

awaitable<result<void>> Jobs::schedule(std::string_view queue, Clock::duration interval,
                                       std::function<bool()> due) {
    if (interval == Clock::duration::zero()) co_return result<void>{};
    using std::chrono::milliseconds;
    while (true) {
        CO_TRY_VOID(co_await clock_.sleep(interval));
        if (!due()) continue;
        NewJob job{.payload = "{}", .key = "schedule"};
        // A little less than the interval: processes' timers are not exact.
        job.key_window =
            std::clamp<milliseconds>(std::chrono::duration_cast<milliseconds>(interval * 9 / 10),
                                     milliseconds(1), JobQueue::time_max);
        std::vector<NewJob> jobs;
        jobs.push_back(std::move(job));
        const auto added = co_await queue_->add(std::string(queue), std::move(jobs));
        if (!added && added.error().error_class() == ErrorClass::cancelled) co_return added.error();
        if (!added) log::warning("{} waits for its next turn: {}", queue, added.error().message());
    }
}

awaitable<result<void>> Jobs::look() {
    CO_TRY(auto names, co_await queue_->queues());
    names.resize(std::min(names.size(), queues_watched_max));
    std::vector<QueueStats> seen;
    for (std::string& name : names) {
        CO_TRY(QueueStats stats, co_await queue_->stats(std::move(name)));
        seen.push_back(std::move(stats));
    }
    seen_ = std::move(seen);
    co_return result<void>{};
}

awaitable<result<void>> Jobs::watch() {
    while (true) {
        const auto looked = co_await look();
        if (!looked && looked.error().error_class() == ErrorClass::cancelled)
            co_return looked.error();
        if (!looked) log::debug("queues: {}", looked.error().message()); // readiness says it
        CO_TRY_VOID(co_await clock_.sleep(watch_interval_));
    }
}

std::string queue_metrics(const Jobs& jobs) {
    std::string out;
    const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                         auto value_of) {
        const std::string whole = fmt::format("netbuild_queue_{}", name);
        append_metric_head(out, whole, type, help);
        for (const QueueStats& stats : jobs.seen())
            out += fmt::format("{}{{queue=\"{}\"}} {}\n", whole, stats.queue, value_of(stats));
    };
    add("ready", "gauge", "Jobs that wait for a worker",
        [](const QueueStats& stats) { return stats.ready; });
    add("delayed", "gauge", "Jobs that are not due yet",
        [](const QueueStats& stats) { return stats.delayed; });
    add("running", "gauge", "Jobs that workers have",
        [](const QueueStats& stats) { return stats.running; });
    add("dead", "gauge", "Dead letters", [](const QueueStats& stats) { return stats.dead; });
    add("oldest_ready_seconds", "gauge", "How long the oldest ready job has waited",
        [](const QueueStats& stats) {
            return std::chrono::duration<double>(stats.oldest_ready).count();
        });
    add("paused", "gauge", "Whether the queue gives no jobs",
        [](const QueueStats& stats) { return stats.paused ? 1 : 0; });
    add("added_total", "counter", "Jobs that were added",
        [](const QueueStats& stats) { return stats.added; });
    add("completed_total", "counter", "Jobs that were completed",
        [](const QueueStats& stats) { return stats.completed; });
    add("failed_total", "counter", "Runs that failed",
        [](const QueueStats& stats) { return stats.failed; });
    add("died_total", "counter", "Jobs that became dead letters",
        [](const QueueStats& stats) { return stats.died; });
    add("reclaimed_total", "counter", "Runs whose worker was silent, or that timed out",
        [](const QueueStats& stats) { return stats.reclaimed; });
    return out;
}

} // namespace netbuild::app
