// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_job_queue.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <unordered_map>

#include <fmt/format.h>

#include "gathered_calls.hpp"
#include "job_scripts.hpp"
#include "runtime/random.hpp"
#include "runtime/signal.hpp"
#include "words.hpp"

namespace netbuild {

using resp::Reply;

namespace {

/// A wake-up that was lost is made good by it.
constexpr auto look_interval = std::chrono::seconds(1);
constexpr auto list_interval = std::chrono::minutes(1);
constexpr std::size_t own_keys = 9, queues_known_max = 10'000;

std::int64_t to_number(std::string_view text) {
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// job_scripts.hpp has its form.
struct Record {
    std::int64_t attempts = 0, timeout = 0, attempts_max = 0;
    std::string_view error, payload;
};

std::string to_record(const NewJob& job) {
    std::string record =
        fmt::format("0 {} {} {} {} {} 0\n", job.timeout.count(), job.keep.count(), job.attempts_max,
                    job.backoff_first.count(), job.backoff_max.count());
    record += job.payload;
    return record;
}

Record parse_record(std::string_view text) {
    const auto line = std::min(text.find('\n'), text.size());
    std::string_view head = text.substr(0, line);
    std::string_view body = text.substr(std::min(line + 1, text.size()));
    Record record;
    record.attempts = to_number(next_word(head));
    record.timeout = to_number(next_word(head));
    next_word(head); // keep
    record.attempts_max = to_number(next_word(head));
    next_word(head); // first
    next_word(head); // cap
    const auto error =
        std::min<std::size_t>(static_cast<std::size_t>(to_number(head)), body.size());
    record.error = body.substr(0, error);
    record.payload = body.substr(error);
    return record;
}

void read_run(std::string_view run, JobView& view) {
    next_word(run); // token
    view.claimed_ms = to_number(next_word(run));
    next_word(run); // until
    view.attempts = static_cast<std::uint32_t>(to_number(next_word(run)));
    next_word(run); // max
    next_word(run); // keep
    view.worker = run;
}

void read_outcome(std::string_view outcome, JobView& view) {
    const auto line = std::min(outcome.find('\n'), outcome.size());
    std::string_view head = outcome.substr(0, line);
    view.state = next_word(head) == "c" ? JobState::completed : JobState::cancelled;
    next_word(head); // token
    view.ended_ms = to_number(next_word(head));
    view.attempts = static_cast<std::uint32_t>(to_number(next_word(head)));
    view.attempts_max = static_cast<std::uint32_t>(to_number(head));
    view.result = outcome.substr(std::min(line + 1, outcome.size()));
}

/// state, record, running or result, score.
JobView to_view(std::string id, const Reply& description) {
    JobView view;
    if (const auto parsed = parse_job_id(id)) view.added_ms = parsed->added_ms;
    view.id = std::move(id);
    if (description.elements.size() < 4) return view;
    const std::string& state = description.elements[0].text;
    const std::string& run = description.elements[2].text;
    if (state == "ended") {
        read_outcome(run, view);
        return view;
    }
    view.state = parse_job_state(state).value_or(JobState::ready);
    const Record record = parse_record(description.elements[1].text);
    view.payload = record.payload;
    view.error = record.error;
    view.attempts = static_cast<std::uint32_t>(record.attempts);
    view.attempts_max = static_cast<std::uint32_t>(record.attempts_max);
    const std::int64_t score = to_number(description.elements[3].text);
    if (view.state == JobState::delayed) view.due_ms = score;
    if (view.state == JobState::dead) view.ended_ms = score;
    if (view.state == JobState::running) {
        read_run(run, view);
        view.lease_until_ms = score;
    }
    return view;
}

Error strange(std::string_view what) {
    return fail(ErrorCode::corrupt, fmt::format("Redis: an answer of no known form to {}", what));
}

result<std::vector<JobQueue::Ack>> to_acks(const Reply& reply, std::size_t count) {
    if (reply.elements.size() != count) return strange("the end of a run");
    std::vector<JobQueue::Ack> acks;
    acks.reserve(count);
    for (const Reply& one : reply.elements)
        acks.push_back(one.integer == 1   ? JobQueue::Ack::done
                       : one.integer == 2 ? JobQueue::Ack::repeated
                                          : JobQueue::Ack::stale);
    return acks;
}

} // namespace

class RedisJobQueue::Impl {
public:
    /// What this process knows of a queue.
    struct Queue {
        Queue(Impl& impl, std::string its_name)
            : name(std::move(its_name)),
              prefix(fmt::format("{}queue:{{{}}}:", impl.options_.prefix, name)),
              woken(impl.executor_),
              adds(impl.executor_,
                   [&impl, this](std::vector<NewJob> jobs, auto on_answers) {
                       impl.send_adds(*this, std::move(jobs), std::move(on_answers));
                   }),
              completions(impl.executor_,
                          [&impl, this](std::vector<Completion> ended, auto on_answers) {
                              impl.send_completions(*this, std::move(ended), std::move(on_answers));
                          }) {
            constexpr std::string_view names[own_keys] = {
                "meta", "jobs", "ready", "leases", "delayed", "dead", "results", "done", "wake"};
            for (std::size_t i = 0; i < own_keys; ++i)
                keys[i] = prefix + std::string(names[i]);
        }
        [[nodiscard]] std::vector<std::string_view> views() const {
            return {keys.begin(), keys.end()};
        }
        [[nodiscard]] const std::string& channel() const { return keys.back(); }

        std::string name, prefix;
        std::array<std::string, own_keys> keys;
        std::optional<ClusterBus::Subscription> subscription;
        std::uint64_t wakes = 0;
        Signal woken;
        /// It is among the names of all queues, unless Redis has lost them since.
        Clock::duration listed_until{};
        GatheredCalls<NewJob, Added, [](const NewJob& job) { return job.payload.size(); }> adds;
        GatheredCalls<Completion, Ack, [](const Completion& one) { return one.result.size(); }>
            completions;
    };

    Impl(asio::any_io_executor executor, Clock& clock, RedisClient& client, ClusterBus& wakes,
         Options options)
        : executor_(std::move(executor)),
          clock_(clock),
          client_(client),
          wakes_(wakes),
          options_(std::move(options)),
          random_(Random::from_system()) {}
    ~Impl() {
        for (const auto& [name, queue] : queues_) {
            if (queue->subscription) wakes_.unsubscribe(*queue->subscription);
        }
    }

    /// Names come from outside: a process knows no more than so many.
    result<Queue*> open(const std::string& name) {
        auto found = queues_.find(name);
        if (found == queues_.end()) {
            if (queues_.size() >= queues_known_max)
                return netbuild::fail(ErrorCode::overloaded,
                                      fmt::format("at most {} queues", queues_known_max));
            found = queues_.emplace(name, std::make_unique<Queue>(*this, name)).first;
        }
        return found->second.get();
    }

    [[nodiscard]] std::string names_key() const { return options_.prefix + "queues"; }

    /// So that operators find it.
    awaitable<result<void>> enlist(Queue& queue) {
        if (queue.listed_until > clock_.monotonic()) co_return result<void>{};
        const std::string key = names_key();
        CO_TRY_VOID(co_await client_.execute(RedisCommand::on(key, {"SADD", key, queue.name})));
        queue.listed_until = clock_.monotonic() + list_interval;
        co_return result<void>{};
    }

    void send_adds(Queue& queue, std::vector<NewJob> jobs,
                   asio::any_completion_handler<void(result<std::vector<Added>>)> on_answers) {
        std::vector<std::string> once;
        std::unordered_map<std::string_view, std::string> places; // of keys among the script's
        std::vector<std::string> texts;
        texts.reserve(1 + 4 * jobs.size());
        texts.push_back(std::to_string(options_.queue_jobs_max));
        for (const NewJob& job : jobs) {
            std::string place = "0";
            if (!job.key.empty()) {
                auto& known = places[job.key];
                if (known.empty()) {
                    once.push_back(queue.prefix + "once:" + job.key);
                    known = std::to_string(own_keys + once.size());
                }
                place = known;
            }
            texts.push_back(std::move(place));
            texts.push_back(std::to_string(job.key_window.count()));
            // A time before 1970 + 1 ms is now.
            texts.push_back(std::to_string(job.at_ms ? -std::max<std::int64_t>(1, *job.at_ms)
                                                     : job.delay.count()));
            texts.push_back(to_record(job));
        }
        auto keys = queue.views();
        keys.insert(keys.end(), once.begin(), once.end());
        const std::vector<std::string_view> arguments(texts.begin(), texts.end());
        client_.evaluate(job_scripts::add(), keys, arguments,
                         [on_answers = std::move(on_answers), count = jobs.size(),
                          name = queue.name](result<Reply> reply) mutable {
                             std::move(on_answers)(added_of(std::move(reply), count, name));
                         });
    }

    static result<std::vector<Added>> added_of(result<Reply> reply, std::size_t count,
                                               const std::string& name) {
        if (!reply) {
            if (reply.error().code() == ErrorCode::invalid_argument &&
                reply.error().detail().find("FULL ") != std::string::npos)
                return netbuild::fail(ErrorCode::overloaded,
                                      fmt::format("queue {} holds as many jobs as it may", name));
            return std::move(reply).error();
        }
        if (reply->elements.size() != 2 * count) return strange("an add");
        std::vector<Added> added(count);
        for (std::size_t i = 0; i < count; ++i)
            added[i] = {std::move(reply->elements[2 * i].text),
                        reply->elements[2 * i + 1].integer == 1};
        return added;
    }

    void send_completions(Queue& queue, std::vector<Completion> ended,
                          asio::any_completion_handler<void(result<std::vector<Ack>>)> on_answers) {
        std::vector<std::string_view> arguments;
        arguments.reserve(3 * ended.size());
        for (const Completion& one : ended)
            arguments.insert(arguments.end(), {one.run.id, one.run.token, one.result});
        client_.evaluate(job_scripts::complete(), queue.views(), arguments,
                         [on_answers = std::move(on_answers),
                          count = ended.size()](result<Reply> reply) mutable {
                             if (!reply) return std::move(on_answers)(std::move(reply).error());
                             std::move(on_answers)(to_acks(*reply, count));
                         });
    }

    struct Claimed {
        std::vector<ClaimedJob> jobs;
        std::int64_t next_ms = -1;
    };
    awaitable<result<Claimed>> claim_once(Queue& queue, const ClaimTerms& terms) {
        const std::string count = std::to_string(terms.count),
                          lease = std::to_string(terms.lease.count());
        CO_TRY(Reply reply, co_await client_.evaluate(job_scripts::claim(), queue.views(),
                                                      {count, lease, terms.worker}));
        if (reply.elements.size() % 4 != 1) co_return strange("a claim");
        Claimed claimed;
        claimed.next_ms = reply.elements.front().integer;
        claimed.jobs.reserve(reply.elements.size() / 4);
        for (std::size_t i = 1; i < reply.elements.size(); i += 4) {
            const Record record = parse_record(reply.elements[i + 3].text);
            claimed.jobs.push_back(
                {.id = std::move(reply.elements[i].text),
                 .token = std::move(reply.elements[i + 1].text),
                 .payload = std::string(record.payload),
                 .attempt = static_cast<std::uint32_t>(to_number(reply.elements[i + 2].text)),
                 .attempts_max = static_cast<std::uint32_t>(record.attempts_max),
                 .timeout = std::chrono::milliseconds(record.timeout),
                 .error = std::string(record.error)});
        }
        co_return claimed;
    }

    awaitable<void> subscribe(Queue& queue) {
        if (queue.subscription) co_return;
        queue.subscription = wakes_.subscribe(ClusterBus::Kind::shard, queue.channel(),
                                              [&queue](std::string_view, std::string_view) {
                                                  ++queue.wakes;
                                                  queue.woken.notify_all();
                                              });
        // If it cannot be confirmed, we look once a second.
        (void)co_await wakes_.subscribed();
    }

    awaitable<result<std::vector<ClaimedJob>>> claim(Queue& queue, ClaimTerms terms) {
        const Deadline deadline(clock_, terms.wait);
        while (true) {
            const std::uint64_t wakes = queue.wakes;
            CO_TRY(Claimed claimed, co_await claim_once(queue, terms));
            if (!claimed.jobs.empty() || deadline.passed(clock_)) co_return std::move(claimed.jobs);
            if (!queue.subscription) {
                co_await subscribe(queue);
                continue; // what came before it was in force
            }
            if (queue.wakes != wakes) continue;
            Clock::duration wait = std::min<Clock::duration>(deadline.left(clock_), look_interval);
            if (claimed.next_ms >= 0)
                wait = std::min<Clock::duration>(wait, std::chrono::milliseconds(claimed.next_ms));
            CO_TRY_VOID(co_await queue.woken.wait_for(clock_, wait));
        }
    }

    /// A script of the queue's keys only.
    awaitable<result<Reply>> ask(std::string name, const RedisScript& script,
                                 std::vector<std::string> texts) {
        CO_TRY_VOID(check_queue_name(name));
        CO_TRY(Queue* const queue, open(name));
        co_return co_await client_.evaluate(script, queue->views(), {texts.begin(), texts.end()});
    }

    asio::any_io_executor executor_;
    Clock& clock_;
    RedisClient& client_;
    ClusterBus& wakes_;
    Options options_;
    Random random_;
    std::map<std::string, std::unique_ptr<Queue>, std::less<>> queues_;
};

RedisJobQueue::RedisJobQueue(asio::any_io_executor executor, Clock& clock, RedisClient& client,
                             ClusterBus& wakes)
    : RedisJobQueue(std::move(executor), clock, client, wakes, Options()) {}
RedisJobQueue::RedisJobQueue(asio::any_io_executor executor, Clock& clock, RedisClient& client,
                             ClusterBus& wakes, Options options)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, client, wakes, std::move(options))) {
}
RedisJobQueue::~RedisJobQueue() = default;

awaitable<result<std::vector<JobQueue::Added>>> RedisJobQueue::add(std::string name,
                                                                   std::vector<NewJob> jobs) {
    CO_TRY_VOID(check_new_jobs(name, jobs));
    CO_TRY(Impl::Queue* const queue, impl_->open(name));
    CO_TRY_VOID(co_await impl_->enlist(*queue));
    co_return co_await queue->adds.call(std::move(jobs));
}

awaitable<result<std::vector<ClaimedJob>>> RedisJobQueue::claim(std::string name,
                                                                ClaimTerms terms) {
    CO_TRY_VOID(check_claim(name, terms));
    CO_TRY(Impl::Queue* const queue, impl_->open(name));
    co_return co_await impl_->claim(*queue, std::move(terms));
}

awaitable<result<std::vector<JobQueue::Ack>>>
RedisJobQueue::complete(std::string name, std::vector<Completion> completions) {
    CO_TRY_VOID(check_completions(name, completions));
    CO_TRY(Impl::Queue* const queue, impl_->open(name));
    co_return co_await queue->completions.call(std::move(completions));
}

awaitable<result<std::vector<JobQueue::Ack>>> RedisJobQueue::fail(std::string name,
                                                                  std::vector<Failure> failures) {
    CO_TRY_VOID(check_failures(name, failures));
    const std::size_t count = failures.size();
    std::vector<std::string> texts{fmt::format("{:.6f}", impl_->random_.unit())};
    for (Failure& failure : failures) {
        texts.push_back(std::move(failure.run.id));
        texts.push_back(std::move(failure.run.token));
        texts.push_back(failure.after == After::retry  ? "retry"
                        : failure.after == After::dead ? "dead"
                                                       : "release");
        texts.push_back(std::to_string(failure.retry_in ? failure.retry_in->count() : -1));
        texts.push_back(std::move(failure.error));
    }
    CO_TRY(const Reply reply,
           co_await impl_->ask(std::move(name), job_scripts::give_back(), std::move(texts)));
    co_return to_acks(reply, count);
}

awaitable<result<std::vector<JobQueue::Ack>>>
RedisJobQueue::heartbeat(std::string name, std::vector<Run> runs, std::chrono::milliseconds lease) {
    CO_TRY_VOID(check_runs(name, runs, lease));
    const std::size_t count = runs.size();
    std::vector<std::string> texts{std::to_string(lease.count())};
    for (Run& run : runs) {
        texts.push_back(std::move(run.id));
        texts.push_back(std::move(run.token));
    }
    CO_TRY(const Reply reply,
           co_await impl_->ask(std::move(name), job_scripts::heartbeat(), std::move(texts)));
    co_return to_acks(reply, count);
}

awaitable<result<void>> RedisJobQueue::cancel(std::string name, std::string id) {
    if (!parse_job_id(id)) co_return netbuild::fail(ErrorCode::not_found, "job " + id);
    CO_TRY(const Reply reply, co_await impl_->ask(std::move(name), job_scripts::cancel(), {id}));
    if (reply.integer == 0) co_return netbuild::fail(ErrorCode::not_found, "job " + id);
    if (reply.integer == 2)
        co_return netbuild::fail(ErrorCode::conflict, fmt::format("job {} has ended", id));
    co_return result<void>{};
}

awaitable<result<void>> RedisJobQueue::pause(std::string name, bool paused) {
    CO_TRY_VOID(co_await impl_->ask(std::move(name), job_scripts::pause(), {paused ? "1" : "0"}));
    co_return result<void>{};
}

awaitable<result<std::uint64_t>> RedisJobQueue::retry_dead(std::string name,
                                                           std::vector<std::string> ids) {
    const bool all = ids.empty();
    std::uint64_t count = 0;
    while (true) {
        std::vector<std::string> part;
        while (!ids.empty() && part.size() < jobs_max) {
            if (parse_job_id(ids.back())) part.push_back(std::move(ids.back()));
            ids.pop_back();
        }
        if (part.empty() && !all) co_return count;
        CO_TRY(const Reply reply,
               co_await impl_->ask(name, job_scripts::retry_dead(), std::move(part)));
        count += static_cast<std::uint64_t>(reply.integer);
        if (all ? reply.integer == 0 : ids.empty()) co_return count;
    }
}

awaitable<result<std::uint64_t>> RedisJobQueue::drain(std::string name) {
    std::uint64_t count = 0;
    while (true) {
        CO_TRY(const Reply reply, co_await impl_->ask(name, job_scripts::drain(), {}));
        if (reply.elements.size() != 2) co_return strange("a drain");
        count += static_cast<std::uint64_t>(reply.elements[1].integer);
        if (reply.elements[0].integer == 0) co_return count;
    }
}

awaitable<result<JobView>> RedisJobQueue::show(std::string name, std::string id) {
    if (!parse_job_id(id)) co_return netbuild::fail(ErrorCode::not_found, "job " + id);
    CO_TRY(const Reply reply, co_await impl_->ask(std::move(name), job_scripts::show(), {id}));
    if (reply.type == Reply::Type::null)
        co_return netbuild::fail(ErrorCode::not_found, "job " + id);
    co_return to_view(std::move(id), reply);
}

awaitable<result<JobQueue::Page>> RedisJobQueue::list(std::string name, JobState state,
                                                      std::string cursor, std::size_t limit) {
    const bool ended = state == JobState::completed || state == JobState::cancelled;
    // Of ready ones an entry's id, of the others "SCORE ID".
    const auto space = cursor.find(' ');
    const bool good = cursor.empty() ||
                      (state == JobState::ready
                           ? parse_job_id(cursor).has_value()
                           : space != std::string::npos && parse_job_id(cursor.substr(space + 1)) &&
                                 cursor.find_first_not_of("0123456789") == space);
    if (!good)
        co_return netbuild::fail(ErrorCode::invalid_argument, "cursor: is none of this list's");
    CO_TRY(const Reply reply,
           co_await impl_->ask(std::move(name), job_scripts::list(),
                               {ended ? "ended" : std::string(job_state_name(state)), cursor,
                                std::to_string(std::clamp<std::size_t>(limit, 1, jobs_max))}));
    if (reply.elements.size() % 2 != 1) co_return strange("a list");
    Page page;
    page.next = reply.elements.front().text;
    for (std::size_t i = 1; i < reply.elements.size(); i += 2)
        page.jobs.push_back(to_view(reply.elements[i].text, reply.elements[i + 1]));
    co_return page;
}

awaitable<result<QueueStats>> RedisJobQueue::stats(std::string name) {
    CO_TRY(const Reply reply, co_await impl_->ask(name, job_scripts::stats(), {}));
    if (reply.elements.size() < 7) co_return strange("stats");
    QueueStats stats;
    stats.queue = std::move(name);
    stats.paused = reply.elements[0].integer == 1;
    std::uint64_t* const counts[] = {&stats.ready, &stats.delayed, &stats.running, &stats.dead,
                                     &stats.kept};
    for (std::size_t i = 0; i < std::size(counts); ++i)
        *counts[i] = static_cast<std::uint64_t>(reply.elements[i + 1].integer);
    stats.oldest_ready = std::chrono::milliseconds(reply.elements[6].integer);
    const std::pair<std::string_view, std::uint64_t*> counters[] = {
        {"added", &stats.added},         {"duplicates", &stats.duplicates},
        {"completed", &stats.completed}, {"failed", &stats.failed},
        {"died", &stats.died},           {"reclaimed", &stats.reclaimed},
        {"cancelled", &stats.cancelled}};
    for (std::size_t i = 7; i + 1 < reply.elements.size(); i += 2) {
        for (const auto& [member, counter] : counters) {
            if (reply.elements[i].text == member)
                *counter = static_cast<std::uint64_t>(to_number(reply.elements[i + 1].text));
        }
    }
    co_return stats;
}

awaitable<result<std::vector<std::string>>> RedisJobQueue::queues() {
    const std::string key = impl_->names_key();
    CO_TRY(const Reply reply,
           co_await impl_->client_.execute(RedisCommand::on(key, {"SMEMBERS", key})));
    std::vector<std::string> names;
    for (const Reply& one : reply.elements)
        names.push_back(one.text);
    std::sort(names.begin(), names.end());
    co_return names;
}

} // namespace netbuild
