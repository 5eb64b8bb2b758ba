// SPDX-License-Identifier: Apache-2.0
#include "http/queue_routes.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "wire/base64.hpp"
#include "wire/json.hpp"

namespace netbuild::http {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t claim_jobs_max = 100;
constexpr std::int64_t wait_ms_max = 60'000;
constexpr std::string_view own_prefix = "netbuild:";

constexpr Field backoff_fields[] = {
    {.name = "firstMs", .type = FieldType::integer},
    {.name = "maxMs", .type = FieldType::integer},
};
/// Without `payload`, which is whatever JSON there is.
constexpr Field job_fields[] = {
    {.name = "key", .size_max = JobQueue::key_bytes_max},
    {.name = "keyWindowMs", .type = FieldType::integer},
    {.name = "delayMs", .type = FieldType::integer},
    {.name = "at", .type = FieldType::date},
    {.name = "attemptsMax", .type = FieldType::integer},
    {.name = "backoff", .type = FieldType::object, .fields = backoff_fields},
    {.name = "timeoutMs", .type = FieldType::integer},
    {.name = "keepMs", .type = FieldType::integer},
};
constexpr Field add_fields[] = {
    {.name = "jobs",
     .type = FieldType::list,
     .required = true,
     .size_max = JobQueue::jobs_max,
     .fields = job_fields,
     .element = FieldType::object},
};
constexpr Field claim_fields[] = {
    {.name = "limit", .type = FieldType::integer},
    {.name = "leaseMs", .type = FieldType::integer},
    {.name = "waitMs", .type = FieldType::integer},
    {.name = "worker", .size_max = JobQueue::worker_bytes_max},
};
constexpr Field complete_fields[] = {
    {.name = "token", .required = true},
};
constexpr Field heartbeat_fields[] = {
    {.name = "token", .required = true},
    {.name = "leaseMs", .type = FieldType::integer},
};
constexpr Field fail_fields[] = {
    {.name = "token", .required = true},
    {.name = "error", .required = true, .size_max = JobQueue::error_bytes_max},
    {.name = "after", .choices = "retry|dead|release"},
    {.name = "retryInMs", .type = FieldType::integer},
};
constexpr Field retry_fields[] = {
    {.name = "ids", .type = FieldType::list, .size_max = JobQueue::jobs_max},
};

/// A member that may be any JSON leaves the object; as text. Nothing: it is not there.
std::optional<std::string> take_json(Object* object, std::string_view name) {
    const Value* member = object ? object->find(name) : nullptr;
    if (!member) return std::nullopt;
    std::string text = to_json(*member);
    object->erase(name);
    return text;
}

milliseconds time_of(const Object& object, std::string_view name, milliseconds otherwise) {
    return milliseconds(object.integer(name, otherwise.count()));
}
result<NewJob> to_job(const Object& sent, std::string payload) {
    NewJob job{.payload = std::move(payload)};
    job.key = std::string(sent.text("key"));
    job.key_window = time_of(sent, "keyWindowMs", job.key_window);
    job.delay = time_of(sent, "delayMs", job.delay);
    if (const Value* at = sent.find("at")) job.at_ms = at->get_if<Date>()->milliseconds;
    const std::int64_t attempts = sent.integer("attemptsMax", job.attempts_max);
    if (attempts < 1 || attempts > 1'000'000)
        return fail(ErrorCode::invalid_argument, "attemptsMax: must be 1 to 1000000");
    job.attempts_max = static_cast<std::uint32_t>(attempts);
    if (const Value* backoff = sent.find("backoff")) {
        const Object& waits = *backoff->get_if<Object>();
        job.backoff_first = time_of(waits, "firstMs", job.backoff_first);
        job.backoff_max = time_of(waits, "maxMs", job.backoff_max);
    }
    job.timeout = time_of(sent, "timeoutMs", job.timeout);
    job.keep = time_of(sent, "keepMs", job.keep);
    return job;
}

/// JSON as it is; of other bytes a member NAMEBase64.
void show_bytes(Object& shown, const std::string& name, const std::string& bytes) {
    if (bytes.empty()) return shown.append(name, Value());
    if (auto parsed = parse_json(bytes)) return shown.append(name, std::move(*parsed));
    shown.append(name, Value());
    shown.append(name + "Base64", encode_base64(bytes));
}

Value date_or_null(std::int64_t ms) { return ms == 0 ? Value() : Value(Date{ms}); }
Value text_or_null(const std::string& text) { return text.empty() ? Value() : Value(text); }

Object shown(const JobView& job) {
    Object shown{{"id", job.id}, {"state", job_state_name(job.state)}};
    show_bytes(shown, "payload", job.payload);
    show_bytes(shown, "result", job.result);
    // An error's bytes are somebody's text; what is no UTF-8 would spoil the answer.
    shown.append("error", is_utf8(job.error) ? text_or_null(job.error) : Value("no text"));
    shown.append("worker", text_or_null(job.worker));
    shown.append("attempts", static_cast<std::int64_t>(job.attempts));
    shown.append("attemptsMax", static_cast<std::int64_t>(job.attempts_max));
    shown.append("addedAt", Date{job.added_ms});
    shown.append("dueAt", date_or_null(job.due_ms));
    shown.append("claimedAt", date_or_null(job.claimed_ms));
    shown.append("leaseUntil", date_or_null(job.lease_until_ms));
    shown.append("endedAt", date_or_null(job.ended_ms));
    return shown;
}

Object shown(const QueueStats& stats) {
    const auto number = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
    return Object{{"queue", stats.queue},
                  {"paused", stats.paused},
                  {"ready", number(stats.ready)},
                  {"delayed", number(stats.delayed)},
                  {"running", number(stats.running)},
                  {"dead", number(stats.dead)},
                  {"kept", number(stats.kept)},
                  {"oldestReadyMs", static_cast<std::int64_t>(stats.oldest_ready.count())},
                  {"added", number(stats.added)},
                  {"duplicates", number(stats.duplicates)},
                  {"completed", number(stats.completed)},
                  {"failed", number(stats.failed)},
                  {"died", number(stats.died)},
                  {"reclaimed", number(stats.reclaimed)},
                  {"cancelled", number(stats.cancelled)}};
}

bool is_own(std::string_view queue) { return queue.starts_with(own_prefix); }

/// To NetBuild's own queues only admins add, and from them only they remove.
result<void> may_add(const Call& call, std::string_view queue) {
    const auto role = call.caller.role_in(every_domain);
    if (!is_own(queue) || (role && rank(*role) >= rank(Role::admin))) return {};
    return fail(ErrorCode::forbidden,
                "only admins of all domains may do this with NetBuild's own queues");
}
/// And nobody takes from them.
result<void> may_work(std::string_view queue) {
    if (!is_own(queue)) return {};
    return fail(ErrorCode::forbidden, "only the server works on NetBuild's own queues");
}

std::string worker_of(const Call& call, const Object& sent) {
    std::string worker(sent.text("worker"));
    if (worker.empty()) worker = call.caller.subject;
    if (sent.contains("worker")) return worker;
    const bool good =
        !worker.empty() && worker.size() <= JobQueue::worker_bytes_max &&
        std::all_of(worker.begin(), worker.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    return good ? worker : "http";
}

result<Reply> acknowledged(const std::vector<JobQueue::Ack>& acks) {
    if (acks.front() != JobQueue::Ack::stale) return Reply{.status = 204};
    return fail(ErrorCode::conflict,
                "the token is not good any more: the lease ended, or the job was cancelled");
}

} // namespace

void QueueRoutes::add_to(Routes& routes) {
    routes.add("GET", "/v1/queues", [this](Call& call) { return queues(call); });
    routes.add("GET", "/v1/queues/{queue}", [this](Call& call) { return stats(call); });
    routes.add("POST", "/v1/queues/{queue}/jobs", [this](Call& call) { return add(call); });
    routes.add("GET", "/v1/queues/{queue}/jobs", [this](Call& call) { return list(call); });
    routes.add("GET", "/v1/queues/{queue}/jobs/{jobId}", [this](Call& call) { return show(call); });
    routes.add("DELETE", "/v1/queues/{queue}/jobs/{jobId}",
               [this](Call& call) { return cancel(call); });
    routes.add("POST", "/v1/queues/{queue}:claim", [this](Call& call) { return claim(call); });
    routes.add("POST", "/v1/queues/{queue}/jobs/{jobId}:complete",
               [this](Call& call) { return complete(call); });
    routes.add("POST", "/v1/queues/{queue}/jobs/{jobId}:fail",
               [this](Call& call) { return fail_run(call); });
    routes.add("POST", "/v1/queues/{queue}/jobs/{jobId}:heartbeat",
               [this](Call& call) { return heartbeat(call); });
    routes.add("POST", "/v1/queues/{queue}:pause",
               [this](Call& call) { return pause(call, true); });
    routes.add("POST", "/v1/queues/{queue}:resume",
               [this](Call& call) { return pause(call, false); });
    routes.add("POST", "/v1/queues/{queue}:drain", [this](Call& call) { return drain(call); });
    routes.add("POST", "/v1/queues/{queue}:retry", [this](Call& call) { return retry(call); });
}

awaitable<result<Reply>> QueueRoutes::queues(Call& call) {
    CO_TRY_VOID(call.only({"limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    CO_TRY(const auto names, co_await queue_.queues());
    Array items;
    std::string last;
    auto name = std::upper_bound(names.begin(), names.end(), call.parameter("cursor"));
    for (; name != names.end() && items.size() < limit; ++name) {
        CO_TRY(const QueueStats stats, co_await queue_.stats(*name));
        items.emplace_back(shown(stats));
        last = *name;
    }
    co_return Reply{.body = Object{{"items", std::move(items)},
                                   {"nextCursor", name == names.end() ? Value() : Value(last)}}};
}

awaitable<result<Reply>> QueueRoutes::stats(Call& call) {
    CO_TRY_VOID(call.only({}));
    CO_TRY(const QueueStats stats, co_await queue_.stats(call.segment("queue")));
    co_return Reply{.body = shown(stats)};
}

awaitable<result<Reply>> QueueRoutes::add(Call& call) {
    CO_TRY(Value sent, call.json_or_empty());
    std::vector<std::string> payloads;
    Object* const whole = sent.get_if<Object>();
    Value* const given = whole ? whole->find("jobs") : nullptr;
    if (Array* const list = given ? given->get_if<Array>() : nullptr) {
        for (Value& job : *list)
            payloads.push_back(take_json(job.get_if<Object>(), "payload").value_or("null"));
    }
    CO_TRY(Object body, read_body(add_fields, sent));
    const std::string& queue = call.segment("queue");
    CO_TRY_VOID(may_add(call, queue));
    std::vector<NewJob> jobs;
    for (const Value& one : *body.find("jobs")->get_if<Array>()) {
        CO_TRY(NewJob job, to_job(*one.get_if<Object>(), std::move(payloads.at(jobs.size()))));
        jobs.push_back(std::move(job));
    }
    CO_TRY(const auto added, co_await queue_.add(queue, std::move(jobs)));
    Array items;
    for (const auto& one : added)
        items.emplace_back(Object{{"id", one.id}, {"duplicate", one.duplicate}});
    co_return Reply{.status = 201, .body = Object{{"jobs", std::move(items)}}};
}

awaitable<result<Reply>> QueueRoutes::list(Call& call) {
    CO_TRY_VOID(call.only({"state", "limit", "cursor"}));
    CO_TRY(const std::size_t limit, call.limit());
    const std::string_view name = call.parameter("state");
    const auto state = parse_job_state(name.empty() ? "ready" : name);
    if (!state)
        co_return fail(ErrorCode::invalid_argument,
                       "state: must be ready, delayed, running, dead, completed or cancelled");
    CO_TRY(const auto page, co_await queue_.list(call.segment("queue"), *state,
                                                 std::string(call.parameter("cursor")), limit));
    Array items;
    for (const JobView& job : page.jobs)
        items.emplace_back(shown(job));
    co_return Reply{
        .body = Object{{"items", std::move(items)}, {"nextCursor", text_or_null(page.next)}}};
}

awaitable<result<Reply>> QueueRoutes::show(Call& call) {
    CO_TRY_VOID(call.only({}));
    CO_TRY(const JobView job, co_await queue_.show(call.segment("queue"), call.segment("jobId")));
    co_return Reply{.body = shown(job)};
}

awaitable<result<Reply>> QueueRoutes::cancel(Call& call) {
    CO_TRY_VOID(may_add(call, call.segment("queue")));
    CO_TRY_VOID(co_await queue_.cancel(call.segment("queue"), call.segment("jobId")));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> QueueRoutes::claim(Call& call) {
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY(const Object body, read_body(claim_fields, sent));
    CO_TRY_VOID(may_work(call.segment("queue")));
    JobQueue::ClaimTerms terms;
    const std::int64_t limit = body.integer("limit", 1);
    if (limit < 1 || limit > static_cast<std::int64_t>(claim_jobs_max))
        co_return fail(ErrorCode::invalid_argument,
                       fmt::format("limit: must be 1 to {}", claim_jobs_max));
    terms.count = static_cast<std::size_t>(limit);
    terms.lease = time_of(body, "leaseMs", terms.lease);
    terms.wait = time_of(body, "waitMs", terms.wait);
    if (terms.wait.count() < 0 || terms.wait.count() > wait_ms_max)
        co_return fail(ErrorCode::invalid_argument,
                       fmt::format("waitMs: must be 0 to {}", wait_ms_max));
    terms.worker = worker_of(call, body);
    CO_TRY(const auto claimed, co_await queue_.claim(call.segment("queue"), std::move(terms)));
    Array items;
    for (const ClaimedJob& job : claimed) {
        Object shown{{"id", job.id},
                     {"token", job.token},
                     {"attempt", static_cast<std::int64_t>(job.attempt)},
                     {"attemptsMax", static_cast<std::int64_t>(job.attempts_max)},
                     {"timeoutMs", static_cast<std::int64_t>(job.timeout.count())}};
        show_bytes(shown, "payload", job.payload);
        items.emplace_back(std::move(shown));
    }
    co_return Reply{.body = Object{{"jobs", std::move(items)}}};
}

awaitable<result<Reply>> QueueRoutes::complete(Call& call) {
    CO_TRY(Value sent, call.json_or_empty());
    std::string outcome = take_json(sent.get_if<Object>(), "result").value_or("");
    CO_TRY(const Object body, read_body(complete_fields, sent));
    CO_TRY_VOID(may_work(call.segment("queue")));
    std::vector<JobQueue::Completion> completions{
        {{call.segment("jobId"), std::string(body.text("token"))}, std::move(outcome)}};
    CO_TRY(const auto acks,
           co_await queue_.complete(call.segment("queue"), std::move(completions)));
    co_return acknowledged(acks);
}

awaitable<result<Reply>> QueueRoutes::fail_run(Call& call) {
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY(const Object body, read_body(fail_fields, sent));
    CO_TRY_VOID(may_work(call.segment("queue")));
    JobQueue::Failure failure{{call.segment("jobId"), std::string(body.text("token"))},
                              std::string(body.text("error"))};
    const std::string_view after = body.text("after");
    if (after == "dead") failure.after = JobQueue::After::dead;
    if (after == "release") failure.after = JobQueue::After::release;
    if (body.contains("retryInMs")) failure.retry_in = time_of(body, "retryInMs", {});
    std::vector<JobQueue::Failure> failures;
    failures.push_back(std::move(failure));
    CO_TRY(const auto acks, co_await queue_.fail(call.segment("queue"), std::move(failures)));
    co_return acknowledged(acks);
}

awaitable<result<Reply>> QueueRoutes::heartbeat(Call& call) {
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY(const Object body, read_body(heartbeat_fields, sent));
    CO_TRY_VOID(may_work(call.segment("queue")));
    std::vector<JobQueue::Run> runs{{call.segment("jobId"), std::string(body.text("token"))}};
    CO_TRY(const auto acks,
           co_await queue_.heartbeat(call.segment("queue"), std::move(runs),
                                     time_of(body, "leaseMs", JobQueue::ClaimTerms().lease)));
    co_return acknowledged(acks);
}

awaitable<result<Reply>> QueueRoutes::pause(Call& call, bool paused) {
    CO_TRY_VOID(co_await queue_.pause(call.segment("queue"), paused));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> QueueRoutes::drain(Call& call) {
    CO_TRY(const std::uint64_t count, co_await queue_.drain(call.segment("queue")));
    co_return Reply{.body = Object{{"removed", static_cast<std::int64_t>(count)}}};
}

awaitable<result<Reply>> QueueRoutes::retry(Call& call) {
    CO_TRY(const Value sent, call.json_or_empty());
    CO_TRY(const Object body, read_body(retry_fields, sent));
    std::vector<std::string> ids;
    if (const Value* given = body.find("ids")) {
        for (const Value& id : *given->get_if<Array>())
            ids.emplace_back(id.string_or());
        // An empty list means none, and not all.
        if (ids.empty()) co_return Reply{.body = Object{{"retried", std::int64_t{0}}}};
    }
    CO_TRY(const std::uint64_t count,
           co_await queue_.retry_dead(call.segment("queue"), std::move(ids)));
    co_return Reply{.body = Object{{"retried", static_cast<std::int64_t>(count)}}};
}

} // namespace netbuild::http
