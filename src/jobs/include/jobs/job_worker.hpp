// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "ports/job_queue.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"

namespace netbuild::jobs {

/// Runs the jobs of one queue.
///
///     jobs::JobWorker worker(executor, clock, queue, {.queue = "mail", .concurrency = 20},
///                            [](const ClaimedJob& job) -> awaitable<result<std::string>> {
///                                CO_TRY_VOID(co_await send_mail(job.payload));
///                                co_return "sent";
///                            });
///     tasks.spawn("mail", worker.run());
///
/// A handler's value is the job's result. A failure is tried again by the job's backoff, but one
/// of class `invalid`, which no retry helps: that is a dead letter at once. An exception is a
/// failure. A handler is cancelled when its run is not this worker's any more (the job was
/// cancelled, its run timed out), and when the worker ends: then the job is given back. It may run
/// twice for one job (at least once), and is to be idempotent.
class JobWorker {
public:
    using Handler = std::function<awaitable<result<std::string>>(const ClaimedJob& job)>;
    struct Options {
        std::string queue;
        /// Shown to people; no spaces.
        std::string worker = "worker";
        /// Handlers at a time.
        std::size_t concurrency = 10;
        /// A worker that dies holds its jobs for so long; renewed every third of it.
        std::chrono::milliseconds lease = std::chrono::seconds(30);
        /// Of one long poll.
        std::chrono::milliseconds wait = std::chrono::seconds(20);
    };
    struct Counters {
        std::uint64_t completed = 0, failed = 0, released = 0;
        /// Runs whose token was not good any more when they ended, or that were cancelled for it.
        std::uint64_t lost = 0;
        /// Calls of the queue that failed and were tried again.
        std::uint64_t retries = 0;
    };

    JobWorker(asio::any_io_executor executor, Clock& clock, JobQueue& queue, Options options,
              Handler handler);
    ~JobWorker();

    /// Until it is cancelled; then running handlers are cancelled, their jobs given back, and it
    /// returns when all have ended. Failures of the queue are waited out.
    awaitable<result<void>> run();
    [[nodiscard]] const Counters& counters() const { return counters_; }
    [[nodiscard]] std::size_t running() const { return runs_.size(); }

private:
    struct Run;
    awaitable<result<void>> claim();
    awaitable<result<void>> renew();
    void lose(const std::string& token);
    void begin(ClaimedJob job);
    awaitable<void> work(Run& run);
    awaitable<result<std::string>> handle(const ClaimedJob& job);
    awaitable<result<JobQueue::Ack>> report(Run& run, result<std::string>& outcome);

    asio::any_io_executor executor_;
    Clock& clock_;
    JobQueue& queue_;
    Options options_;
    Handler handler_;
    Random random_;
    /// A list: a cancellation signal may not move.
    std::list<Run> runs_;
    Signal ended_;
    bool ending_ = false;
    Counters counters_;
};

} // namespace netbuild::jobs
