// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/clock.hpp"

namespace netbuild {

/// One piece of work, as whoever wants it done gives it.
struct NewJob {
    /// Bytes; HTTP puts JSON here.
    std::string payload;
    /// While its window lasts, another add with the same key adds nothing and gets the first one's
    /// id. With a key an add whose outcome is unknown may be sent again. Empty: none.
    std::string key = {};
    std::chrono::milliseconds key_window = std::chrono::hours(24);
    /// Not before so long after the add; or not before this time, milliseconds since 1970.
    std::chrono::milliseconds delay{0};
    std::optional<std::int64_t> at_ms = {};
    /// Runs, the first one included, before it is a dead letter.
    std::uint32_t attempts_max = 5;
    /// Before the n-th retry: first·2^(n-1), at most `max`, of which half is drawn.
    std::chrono::milliseconds backoff_first = std::chrono::seconds(1);
    std::chrono::milliseconds backoff_max = std::chrono::hours(1);
    /// Of one run, heartbeats or not; zero: none.
    std::chrono::milliseconds timeout{0};
    /// How long its outcome can be read after it has ended; zero: not at all.
    std::chrono::milliseconds keep = std::chrono::hours(1);
};

enum class JobState : unsigned char { ready, delayed, running, dead, completed, cancelled };
[[nodiscard]] std::string_view job_state_name(JobState state) noexcept;
[[nodiscard]] std::optional<JobState> parse_job_state(std::string_view name) noexcept;

/// What a worker has been given. The token is this run's alone: it stops being good when the lease
/// ends, the run times out or the job is cancelled.
struct ClaimedJob {
    std::string id, token, payload;
    /// 1 the first time.
    std::uint32_t attempt = 1;
    std::uint32_t attempts_max = 1;
    /// How long the run may take; zero: as long as its lease is renewed.
    std::chrono::milliseconds timeout{0};
    /// Why the run before this one failed.
    std::string error = {};
};

/// A job as people look at it. What does not apply is zero or empty.
struct JobView {
    std::string id;
    JobState state = JobState::ready;
    std::string payload, result, error, worker;
    std::uint32_t attempts = 0, attempts_max = 0;
    /// Milliseconds since 1970.
    std::int64_t added_ms = 0, due_ms = 0, claimed_ms = 0, lease_until_ms = 0, ended_ms = 0;
};

struct QueueStats {
    std::string queue;
    bool paused = false;
    std::uint64_t ready = 0, delayed = 0, running = 0, dead = 0;
    /// Ended ones whose outcome can still be read.
    std::uint64_t kept = 0;
    /// Of the job that has been ready for longest.
    std::chrono::milliseconds oldest_ready{0};
    /// Since the queue began. `failed` counts runs, the others jobs.
    std::uint64_t added = 0, duplicates = 0, completed = 0, failed = 0, died = 0, reclaimed = 0,
                  cancelled = 0;
};

/// Work that outlives whoever asked for it. At least once: what was added is given to workers until
/// one of them completes it, or it is a dead letter, or somebody cancels it; a run whose worker is
/// silent for a lease is given to another one. All times are the server's.
///
/// Errors of every call: `invalid_argument` for a name or a value that is not allowed;
/// `unavailable`: nothing was done; `outcome_unknown`: it may have been done. Calls with several
/// jobs do all of them or none.
class JobQueue {
public:
    static constexpr std::size_t payload_bytes_max = std::size_t{256} << 10;
    static constexpr std::size_t result_bytes_max = std::size_t{256} << 10;
    static constexpr std::size_t error_bytes_max = 4096;
    static constexpr std::size_t key_bytes_max = 128;
    static constexpr std::size_t worker_bytes_max = 64;
    /// Jobs of one call, and the bytes of their payloads or results.
    static constexpr std::size_t jobs_max = 1000;
    static constexpr std::size_t call_bytes_max = std::size_t{16} << 20;
    static constexpr std::chrono::milliseconds lease_min{100};
    static constexpr std::chrono::milliseconds lease_max = std::chrono::hours(12);
    static constexpr std::chrono::milliseconds time_max = std::chrono::hours(24 * 366);
    /// Outcomes that are kept of one queue; past it the oldest go early.
    static constexpr std::size_t kept_max = 100'000;

    virtual ~JobQueue() = default;

    struct Added {
        std::string id;
        /// The key was there already; `id` is the job's that had it first.
        bool duplicate = false;
    };
    /// In the order of the jobs. `out_of_memory`: the server takes nothing more; `overloaded`: the
    /// queue holds as many jobs as it may.
    virtual awaitable<result<std::vector<Added>>> add(std::string queue,
                                                      std::vector<NewJob> jobs) = 0;

    struct ClaimTerms {
        std::size_t count = 1;
        std::chrono::milliseconds lease = std::chrono::seconds(30);
        /// For a first job; zero: does not wait.
        std::chrono::milliseconds wait{0};
        /// Who runs it, for people.
        std::string worker = "worker";
    };
    /// Oldest ready ones first; none when the wait is over. Fewer than there are where they are
    /// large.
    virtual awaitable<result<std::vector<ClaimedJob>>> claim(std::string queue,
                                                             ClaimTerms terms) = 0;

    struct Run {
        std::string id, token;
    };
    enum class Ack : unsigned char {
        done,
        /// This token has done it before.
        repeated,
        /// The token is not good (any more): nothing was changed.
        stale,
    };
    struct Completion {
        Run run;
        std::string result = {};
    };
    virtual awaitable<result<std::vector<Ack>>> complete(std::string queue,
                                                         std::vector<Completion> completions) = 0;
    enum class After : unsigned char {
        /// By the job's backoff, or dead after its last attempt.
        retry,
        /// A dead letter at once: no retry would help.
        dead,
        /// Ready again at once, and the run does not count: the worker ends.
        release,
    };
    struct Failure {
        Run run;
        std::string error = {};
        After after = After::retry;
        /// Instead of the job's backoff.
        std::optional<std::chrono::milliseconds> retry_in = {};
    };
    virtual awaitable<result<std::vector<Ack>>> fail(std::string queue,
                                                     std::vector<Failure> failures) = 0;
    /// Renews leases, from now. `stale`: the run is not this worker's any more, and should end.
    virtual awaitable<result<std::vector<Ack>>> heartbeat(std::string queue, std::vector<Run> runs,
                                                          std::chrono::milliseconds lease) = 0;

    /// Whatever its state; a running one's worker learns it at its next heartbeat. not_found;
    /// conflict: it has ended.
    virtual awaitable<result<void>> cancel(std::string queue, std::string id) = 0;
    /// A paused queue takes jobs and gives none.
    virtual awaitable<result<void>> pause(std::string queue, bool paused) = 0;
    /// Dead letters become ready, with all their attempts. Empty: all of them. How many.
    virtual awaitable<result<std::uint64_t>> retry_dead(std::string queue,
                                                        std::vector<std::string> ids) = 0;
    /// Removes what is ready or delayed. How many.
    virtual awaitable<result<std::uint64_t>> drain(std::string queue) = 0;

    /// not_found: never added, or its outcome is not kept any more.
    virtual awaitable<result<JobView>> show(std::string queue, std::string id) = 0;
    struct Page {
        std::vector<JobView> jobs;
        /// Empty: that was the last one.
        std::string next;
    };
    /// `completed` and `cancelled` are one list: of those that have ended. invalid_argument: a
    /// cursor that is none.
    virtual awaitable<result<Page>> list(std::string queue, JobState state, std::string cursor,
                                         std::size_t limit) = 0;
    virtual awaitable<result<QueueStats>> stats(std::string queue) = 0;
    /// Of queues to which something was ever added, in order.
    virtual awaitable<result<std::vector<std::string>>> queues() = 0;
};

/// 1 to 64 of letters, digits, `_`, `-`, `.` and `:`, the first of them a letter or digit.
[[nodiscard]] result<void> check_queue_name(std::string_view queue);
/// What every adapter holds calls to, before it does anything.
[[nodiscard]] result<void> check_new_jobs(std::string_view queue, const std::vector<NewJob>& jobs);
[[nodiscard]] result<void> check_claim(std::string_view queue, const JobQueue::ClaimTerms& terms);
[[nodiscard]] result<void> check_completions(std::string_view queue,
                                             const std::vector<JobQueue::Completion>& completions);
[[nodiscard]] result<void> check_failures(std::string_view queue,
                                          const std::vector<JobQueue::Failure>& failures);
[[nodiscard]] result<void> check_runs(std::string_view queue,
                                      const std::vector<JobQueue::Run>& runs,
                                      std::chrono::milliseconds lease);
/// Ids are "MILLISECONDS-NUMBER": when the job was added, and a number that rises.
struct JobId {
    std::int64_t added_ms = 0;
    std::uint64_t number = 0;
};
[[nodiscard]] std::optional<JobId> parse_job_id(std::string_view id) noexcept;

} // namespace netbuild
