// SPDX-License-Identifier: Apache-2.0
#include "jobs/job_worker.hpp"

#include <algorithm>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/backoff.hpp"
#include "telemetry/log.hpp"

namespace netbuild::jobs {

struct JobWorker::Run {
    explicit Run(ClaimedJob its_job) : job(std::move(its_job)) {}
    ClaimedJob job;
    asio::cancellation_signal stop;
    /// The handler works; else its outcome is being reported.
    bool working = true;
    /// It is not ours any more.
    bool lost = false;
};

JobWorker::JobWorker(asio::any_io_executor executor, Clock& clock, JobQueue& queue, Options options,
                     Handler handler)
    : executor_(std::move(executor)),
      clock_(clock),
      queue_(queue),
      options_(std::move(options)),
      handler_(std::move(handler)),
      random_(Random::from_system()),
      ended_(executor_) {}
JobWorker::~JobWorker() = default;

awaitable<result<void>> JobWorker::run() {
    using namespace asio::experimental::awaitable_operators;
    ending_ = false;
    // Both end only when they are cancelled.
    (void)co_await (claim() && renew());
    // What follows must not be cut: handlers refer to this object.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    ending_ = true;
    for (auto run = runs_.begin(); run != runs_.end();) {
        Run& one = *run++; // it may end, and leave the list, inside emit()
        if (one.working) one.stop.emit(asio::cancellation_type::terminal);
    }
    while (!runs_.empty())
        (void)co_await ended_.wait();
    co_return fail(ErrorCode::cancelled, "worker of " + options_.queue);
}

awaitable<result<void>> JobWorker::claim() {
    co_await asio::this_coro::throw_if_cancelled(false);
    Backoff backoff({}, random_);
    bool trouble = false;
    while (true) {
        while (runs_.size() >= options_.concurrency)
            CO_TRY_VOID(co_await ended_.wait());
        JobQueue::ClaimTerms terms{
            .count = std::min(options_.concurrency - runs_.size(), JobQueue::jobs_max),
            .lease = options_.lease,
            .wait = options_.wait,
            .worker = options_.worker};
        auto claimed = co_await queue_.claim(options_.queue, std::move(terms));
        if (!claimed) {
            if (claimed.error().error_class() == ErrorClass::cancelled)
                co_return std::move(claimed).error();
            ++counters_.retries;
            if (!std::exchange(trouble, true))
                log::warning("jobs of {} wait: {}", options_.queue, claimed.error().message());
            CO_TRY_VOID(co_await clock_.sleep(backoff.next()));
            continue;
        }
        if (std::exchange(trouble, false)) log::info("jobs of {} go on", options_.queue);
        backoff.reset();
        for (ClaimedJob& job : *claimed)
            begin(std::move(job));
        // A cancellation that came while the claim could not be: its jobs are given back.
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            co_return fail(ErrorCode::cancelled, "claim");
    }
}

awaitable<result<void>> JobWorker::renew() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (true) {
        CO_TRY_VOID(co_await clock_.sleep(options_.lease / 3));
        std::vector<JobQueue::Run> held;
        for (const Run& run : runs_)
            held.push_back({run.job.id, run.job.token});
        for (std::size_t from = 0; from < held.size(); from += JobQueue::jobs_max) {
            const auto first = held.begin() + static_cast<std::ptrdiff_t>(from);
            const auto count = std::min(JobQueue::jobs_max, held.size() - from);
            std::vector<JobQueue::Run> part(first, first + static_cast<std::ptrdiff_t>(count));
            const auto acks = co_await queue_.heartbeat(options_.queue, part, options_.lease);
            if (!acks && acks.error().error_class() == ErrorClass::cancelled)
                co_return acks.error();
            if (!acks) ++counters_.retries; // the next one may come in time
            for (std::size_t i = 0; acks && i < part.size(); ++i) {
                if ((*acks)[i] == JobQueue::Ack::stale) lose(part[i].token);
            }
        }
    }
}

void JobWorker::lose(const std::string& token) {
    const auto run = std::find_if(runs_.begin(), runs_.end(), [&](const Run& one) {
        return one.job.token == token && one.working && !one.lost;
    });
    if (run == runs_.end()) return;
    run->lost = true;
    run->stop.emit(asio::cancellation_type::terminal);
}

void JobWorker::begin(ClaimedJob job) {
    const auto run = runs_.emplace(runs_.end(), std::move(job));
    asio::co_spawn(
        executor_, work(*run),
        asio::bind_cancellation_slot(run->stop.slot(), [this, run](const std::exception_ptr&) {
            runs_.erase(run);
            ended_.notify_all();
        }));
}

awaitable<result<std::string>> JobWorker::handle(const ClaimedJob& job) {
    try {
        co_return co_await handler_(job);
    } catch (const std::exception& escaped) {
        co_return fail(ErrorCode::internal, escaped.what());
    }
}

awaitable<void> JobWorker::work(Run& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    result<std::string> outcome = co_await handle(run.job);
    run.working = false;
    if (run.lost) {
        ++counters_.lost;
        co_return;
    }
    // The outcome is worth some trouble: until the lease has ended without a sign of us.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    const Deadline deadline(clock_, options_.lease);
    Backoff backoff({}, random_);
    while (true) {
        const auto ack = co_await report(run, outcome);
        if (ack && *ack == JobQueue::Ack::stale) ++counters_.lost;
        if (ack) co_return;
        ++counters_.retries;
        if (!ack.error().transient() || ending_ || deadline.passed(clock_)) {
            log::warning("job {} of {} will run again: {}", run.job.id, options_.queue,
                         ack.error().message());
            co_return;
        }
        (void)co_await clock_.sleep(backoff.next());
    }
}

awaitable<result<JobQueue::Ack>> JobWorker::report(Run& run, result<std::string>& outcome) {
    const JobQueue::Run which{run.job.id, run.job.token};
    if (outcome) {
        std::vector<JobQueue::Completion> completions{{which, *outcome}};
        CO_TRY(const auto acks, co_await queue_.complete(options_.queue, std::move(completions)));
        if (acks.front() == JobQueue::Ack::done) ++counters_.completed;
        co_return acks.front();
    }
    JobQueue::Failure failure{which, outcome.error().message()};
    failure.error.resize(std::min(failure.error.size(), JobQueue::error_bytes_max));
    const ErrorClass kind = outcome.error().error_class();
    if (kind == ErrorClass::cancelled) {
        failure.after = JobQueue::After::release;
    } else if (kind == ErrorClass::invalid) {
        failure.after = JobQueue::After::dead;
    }
    const bool released = failure.after == JobQueue::After::release;
    std::vector<JobQueue::Failure> failures;
    failures.push_back(std::move(failure));
    CO_TRY(const auto acks, co_await queue_.fail(options_.queue, std::move(failures)));
    if (acks.front() == JobQueue::Ack::done) ++(released ? counters_.released : counters_.failed);
    co_return acks.front();
}

} // namespace netbuild::jobs
