// SPDX-License-Identifier: Apache-2.0
#include "ports/job_queue.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace netbuild {
namespace {

constexpr std::string_view state_names[] = {"ready", "delayed",   "running",
                                            "dead",  "completed", "cancelled"};
constexpr std::size_t name_bytes_max = 64;

Error bad(std::string detail) { return fail(ErrorCode::invalid_argument, std::move(detail)); }

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
/// Ids and tokens come from outside: what is none of ours is not looked for.
bool is_id(std::string_view text) { return parse_job_id(text).has_value(); }

result<void> check_count(std::size_t count, std::string_view what) {
    if (count >= 1 && count <= JobQueue::jobs_max) return {};
    return bad(fmt::format("{}: must be 1 to {}", what, JobQueue::jobs_max));
}

result<void> check_bytes(std::size_t bytes) {
    if (bytes <= JobQueue::call_bytes_max) return {};
    return fail(ErrorCode::payload_too_large,
                fmt::format("at most {} bytes in one call", JobQueue::call_bytes_max));
}

result<void> check_time(std::chrono::milliseconds time, std::string_view what) {
    if (time >= std::chrono::milliseconds(0) && time <= JobQueue::time_max) return {};
    return bad(fmt::format("{}: must be 0 to {} ms", what, JobQueue::time_max.count()));
}

result<void> check_lease(std::chrono::milliseconds lease) {
    if (lease >= JobQueue::lease_min && lease <= JobQueue::lease_max) return {};
    return bad(fmt::format("lease: must be {} to {} ms", JobQueue::lease_min.count(),
                           JobQueue::lease_max.count()));
}

result<void> check_run(const JobQueue::Run& run) {
    if (!is_id(run.id)) return bad("id: must be a job's id");
    if (!is_id(run.token)) return bad("token: must be one that a claim gave");
    return {};
}

result<void> check_job(const NewJob& job) {
    if (job.payload.size() > JobQueue::payload_bytes_max)
        return fail(ErrorCode::payload_too_large,
                    fmt::format("payload: at most {} bytes", JobQueue::payload_bytes_max));
    if (job.key.size() > JobQueue::key_bytes_max)
        return bad(fmt::format("key: at most {} bytes", JobQueue::key_bytes_max));
    if (std::any_of(job.key.begin(), job.key.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return bad("key: must be printable");
    if (!job.key.empty() && job.key_window < std::chrono::milliseconds(1))
        return bad("keyWindow: must be at least 1 ms");
    if (job.attempts_max < 1 || job.attempts_max > 1'000'000)
        return bad("attemptsMax: must be 1 to 1000000");
    if (job.at_ms && (*job.at_ms < 0 || *job.at_ms > 253'402'300'799'999))
        return bad("at: must be a time from 1970 to 9999");
    for (const auto& [time, what] :
         {std::pair{job.key_window, "keyWindow"}, std::pair{job.delay, "delay"},
          std::pair{job.backoff_first, "backoff.first"}, std::pair{job.backoff_max, "backoff.max"},
          std::pair{job.timeout, "timeout"}, std::pair{job.keep, "keep"}})
        TRY_VOID(check_time(time, what));
    return {};
}

} // namespace

std::string_view job_state_name(JobState state) noexcept {
    return state_names[static_cast<std::size_t>(state)];
}

std::optional<JobState> parse_job_state(std::string_view name) noexcept {
    const auto found = std::find(std::begin(state_names), std::end(state_names), name);
    if (found == std::end(state_names)) return std::nullopt;
    return static_cast<JobState>(found - std::begin(state_names));
}

std::optional<JobId> parse_job_id(std::string_view id) noexcept {
    JobId parsed;
    const char* const end = id.data() + id.size();
    const auto [dash, ec] = std::from_chars(id.data(), end, parsed.added_ms);
    if (ec != std::errc{} || dash == end || *dash != '-' || parsed.added_ms < 0)
        return std::nullopt;
    const auto [last, number_ec] = std::from_chars(dash + 1, end, parsed.number);
    if (number_ec != std::errc{} || last != end) return std::nullopt;
    return parsed;
}

result<void> check_queue_name(std::string_view queue) {
    const bool good = !queue.empty() && queue.size() <= name_bytes_max &&
                      is_alphanumeric(queue.front()) &&
                      std::all_of(queue.begin(), queue.end(), [](char c) {
                          return is_alphanumeric(c) || c == '_' || c == '-' || c == '.' || c == ':';
                      });
    if (good) return {};
    return bad("queue: must be 1 to 64 letters, digits, _, -, . or :, the first a letter or digit");
}

result<void> check_new_jobs(std::string_view queue, const std::vector<NewJob>& jobs) {
    TRY_VOID(check_queue_name(queue));
    TRY_VOID(check_count(jobs.size(), "jobs"));
    std::size_t bytes = 0;
    for (const NewJob& job : jobs) {
        TRY_VOID(check_job(job));
        bytes += job.payload.size();
    }
    return check_bytes(bytes);
}

result<void> check_claim(std::string_view queue, const JobQueue::ClaimTerms& terms) {
    TRY_VOID(check_queue_name(queue));
    TRY_VOID(check_count(terms.count, "count"));
    TRY_VOID(check_lease(terms.lease));
    TRY_VOID(check_time(terms.wait, "wait"));
    const bool printable = std::all_of(terms.worker.begin(), terms.worker.end(),
                                       [](char c) { return c > 0x20 && c < 0x7f; });
    if (!printable || terms.worker.empty() || terms.worker.size() > JobQueue::worker_bytes_max)
        return bad(fmt::format("worker: must be 1 to {} printable ASCII characters without spaces",
                               JobQueue::worker_bytes_max));
    return {};
}

result<void> check_completions(std::string_view queue,
                               const std::vector<JobQueue::Completion>& completions) {
    TRY_VOID(check_queue_name(queue));
    TRY_VOID(check_count(completions.size(), "completions"));
    std::size_t bytes = 0;
    for (const auto& completion : completions) {
        TRY_VOID(check_run(completion.run));
        if (completion.result.size() > JobQueue::result_bytes_max)
            return fail(ErrorCode::payload_too_large,
                        fmt::format("result: at most {} bytes", JobQueue::result_bytes_max));
        bytes += completion.result.size();
    }
    return check_bytes(bytes);
}

result<void> check_failures(std::string_view queue,
                            const std::vector<JobQueue::Failure>& failures) {
    TRY_VOID(check_queue_name(queue));
    TRY_VOID(check_count(failures.size(), "failures"));
    for (const auto& failure : failures) {
        TRY_VOID(check_run(failure.run));
        if (failure.error.size() > JobQueue::error_bytes_max)
            return bad(fmt::format("error: at most {} bytes", JobQueue::error_bytes_max));
        if (failure.retry_in) TRY_VOID(check_time(*failure.retry_in, "retryIn"));
    }
    return {};
}

result<void> check_runs(std::string_view queue, const std::vector<JobQueue::Run>& runs,
                        std::chrono::milliseconds lease) {
    TRY_VOID(check_queue_name(queue));
    TRY_VOID(check_count(runs.size(), "runs"));
    TRY_VOID(check_lease(lease));
    for (const auto& run : runs)
        TRY_VOID(check_run(run));
    return {};
}

} // namespace netbuild
