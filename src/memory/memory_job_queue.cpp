// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_job_queue.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "runtime/signal.hpp"

namespace netbuild {
namespace {

constexpr std::string_view lease_ended = "the lease ended without a sign of its worker";
constexpr std::string_view run_timed_out = "the run timed out";

bool has_ended(JobState state) {
    return state == JobState::completed || state == JobState::cancelled;
}

} // namespace

struct MemoryJobQueue::Job {
    NewJob wanted;
    std::int64_t added_ms = 0;
    JobState state = JobState::ready;
    std::uint32_t attempts = 0;
    /// Orders it among those of its state: place among the ready, due, lease, death, end of keep.
    std::int64_t order = 0;
    std::int64_t ready_ms = 0, claimed_ms = 0, run_until_ms = 0, ended_ms = 0;
    std::string token, worker, error, result;
};

struct MemoryJobQueue::Queue {
    explicit Queue(const asio::any_io_executor& executor) : changed(executor) {}

    using Number = std::uint64_t;
    using Order = std::set<std::pair<std::int64_t, Number>>;

    /// Ready, delayed, running, dead and ended ones, each in its order.
    std::array<Order, 5> orders;
    std::map<Number, Job> jobs;
    struct Key {
        std::string id;
        std::int64_t until_ms;
    };
    std::map<std::string, Key, std::less<>> keys;
    Number last = 0;
    std::int64_t places = 0;
    std::uint64_t tokens = 0;
    QueueStats stats;
    Signal changed;

    [[nodiscard]] Order& order(JobState state) {
        return orders[has_ended(state) ? 4 : static_cast<std::size_t>(state)];
    }
    [[nodiscard]] static std::string id(Number number, const Job& job) {
        return fmt::format("{}-{}", job.added_ms, number);
    }
    [[nodiscard]] std::map<Number, Job>::iterator find(std::string_view id) {
        const auto parsed = parse_job_id(id);
        const auto found = parsed ? jobs.find(parsed->number) : jobs.end();
        return found != jobs.end() && found->second.added_ms == parsed->added_ms ? found
                                                                                 : jobs.end();
    }
    void move(Number number, Job& job, JobState state, std::int64_t to) {
        order(job.state).erase({job.order, number});
        job.state = state;
        job.order = to;
        order(state).emplace(to, number);
    }
    void make_ready(Number number, Job& job, std::int64_t now) {
        move(number, job, JobState::ready, ++places);
        job.ready_ms = now;
    }
    void remove(std::map<Number, Job>::iterator job) {
        order(job->second.state).erase({job->second.order, job->first});
        jobs.erase(job);
    }
    void end(std::map<Number, Job>::iterator found, JobState state, std::int64_t now) {
        auto& [number, job] = *found;
        job.ended_ms = now;
        job.wanted.payload.clear();
        if (job.wanted.keep.count() == 0) return remove(found);
        move(number, job, state, now + job.wanted.keep.count());
    }
    /// A run has ended without success.
    void give_back(Number number, Job& job, std::string why, After after,
                   std::optional<std::chrono::milliseconds> delay, double drawn, std::int64_t now) {
        job.error = std::move(why);
        job.token.clear();
        if (after == After::release) return make_ready(number, job, now);
        ++job.attempts;
        ++stats.failed;
        if (after == After::dead || job.attempts >= job.wanted.attempts_max) {
            ++stats.died;
            return move(number, job, JobState::dead, now);
        }
        if (!delay) {
            const double full = std::min(static_cast<double>(job.wanted.backoff_max.count()),
                                         static_cast<double>(job.wanted.backoff_first.count()) *
                                             std::pow(2.0, static_cast<double>(job.attempts - 1)));
            delay = std::chrono::milliseconds(std::llround(full * (0.5 + drawn / 2)));
        }
        if (delay->count() == 0) return make_ready(number, job, now);
        move(number, job, JobState::delayed, now + delay->count());
    }
    /// Does what time has brought: delayed jobs are due, leases and kept outcomes end.
    void tend(std::int64_t now) {
        const auto first_due = [now](const Order& order) {
            return !order.empty() && order.begin()->first <= now;
        };
        while (first_due(order(JobState::delayed))) {
            const Number number = order(JobState::delayed).begin()->second;
            make_ready(number, jobs.at(number), now);
        }
        while (first_due(order(JobState::running))) {
            const Number number = order(JobState::running).begin()->second;
            Job& job = jobs.at(number);
            ++stats.reclaimed;
            const bool timed_out = job.run_until_ms != 0 && job.run_until_ms <= now;
            give_back(
                number, job, std::string(timed_out ? run_timed_out : lease_ended), After::retry,
                timed_out ? std::nullopt : std::optional(std::chrono::milliseconds(0)), 1, now);
        }
        Order& ended = order(JobState::completed);
        while (first_due(ended) || ended.size() > kept_max)
            remove(jobs.find(ended.begin()->second));
    }
    [[nodiscard]] std::optional<std::int64_t> next_ms() const {
        std::optional<std::int64_t> next;
        for (const JobState state : {JobState::delayed, JobState::running}) {
            const Order& order = orders[static_cast<std::size_t>(state)];
            if (!order.empty()) next = std::min(next.value_or(INT64_MAX), order.begin()->first);
        }
        return next;
    }
    [[nodiscard]] JobView view(Number number, const Job& job) const {
        JobView view{.id = id(number, job),
                     .state = job.state,
                     .payload = job.wanted.payload,
                     .result = job.result,
                     .error = job.error,
                     .attempts = job.attempts,
                     .attempts_max = job.wanted.attempts_max,
                     .added_ms = job.added_ms,
                     .ended_ms = job.ended_ms};
        if (job.state == JobState::delayed) view.due_ms = job.order;
        if (job.state == JobState::dead) view.ended_ms = job.order;
        if (job.state == JobState::running) {
            view.worker = job.worker;
            view.claimed_ms = job.claimed_ms;
            view.lease_until_ms = job.order;
            ++view.attempts;
        }
        return view;
    }
};

MemoryJobQueue::MemoryJobQueue(asio::any_io_executor executor, Clock& clock)
    : MemoryJobQueue(std::move(executor), clock, Options()) {}
MemoryJobQueue::MemoryJobQueue(asio::any_io_executor executor, Clock& clock, Options options)
    : executor_(std::move(executor)),
      clock_(clock),
      options_(options),
      random_(options.seed),
      began_us_(clock.utc_us()),
      began_(clock.monotonic()) {}
MemoryJobQueue::~MemoryJobQueue() = default;

/// Never goes back, whoever sets the machine's clock.
std::int64_t MemoryJobQueue::now_ms() const {
    return (began_us_ + (clock_.monotonic() - began_).count() / 1000) / 1000;
}

result<MemoryJobQueue::Queue*> MemoryJobQueue::open(const std::string& name) {
    auto& queue = queues_[name];
    if (!queue) {
        if (queues_.size() > options_.queues_max) {
            queues_.erase(name);
            return netbuild::fail(ErrorCode::overloaded,
                                  fmt::format("at most {} queues", options_.queues_max));
        }
        queue = std::make_unique<Queue>(executor_);
    }
    queue->tend(now_ms());
    return queue.get();
}

awaitable<result<std::vector<JobQueue::Added>>> MemoryJobQueue::add(std::string name,
                                                                    std::vector<NewJob> jobs) {
    CO_TRY_VOID(check_new_jobs(name, jobs));
    CO_TRY(Queue* const queue, open(name));
    if (queue->jobs.size() - queue->order(JobState::completed).size() + jobs.size() >
        options_.queue_jobs_max)
        co_return netbuild::fail(ErrorCode::overloaded,
                                 fmt::format("queue {} holds {} jobs", name, queue->jobs.size()));
    const std::int64_t now = now_ms();
    std::erase_if(queue->keys, [now](const auto& key) { return key.second.until_ms <= now; });
    std::vector<Added> added;
    for (NewJob& wanted : jobs) {
        if (const auto known = queue->keys.find(wanted.key);
            !wanted.key.empty() && known != queue->keys.end()) {
            ++queue->stats.duplicates;
            added.push_back({known->second.id, true});
            continue;
        }
        const Queue::Number number = ++queue->last;
        Job& job = queue->jobs[number];
        job.added_ms = now;
        const std::string id = Queue::id(number, job);
        if (!wanted.key.empty()) queue->keys[wanted.key] = {id, now + wanted.key_window.count()};
        const std::int64_t due = wanted.at_ms.value_or(now + wanted.delay.count());
        job.wanted = std::move(wanted);
        if (due > now) {
            queue->move(number, job, JobState::delayed, due);
        } else {
            queue->make_ready(number, job, now);
        }
        ++queue->stats.added;
        added.push_back({id, false});
    }
    queue->changed.notify_all();
    co_return added;
}

awaitable<result<std::vector<ClaimedJob>>> MemoryJobQueue::claim(std::string name,
                                                                 ClaimTerms terms) {
    CO_TRY_VOID(check_claim(name, terms));
    const Deadline deadline(clock_, terms.wait);
    while (true) {
        CO_TRY(Queue* const queue, open(name));
        const std::int64_t now = now_ms();
        auto& ready = queue->order(JobState::ready);
        std::vector<ClaimedJob> claimed;
        while (!queue->stats.paused && !ready.empty() && claimed.size() < terms.count) {
            const Queue::Number number = ready.begin()->second;
            Job& job = queue->jobs.at(number);
            const std::int64_t timeout = job.wanted.timeout.count();
            job.run_until_ms = timeout == 0 ? 0 : now + timeout;
            job.claimed_ms = now;
            job.worker = terms.worker;
            job.token = fmt::format("{}-{}", now, ++queue->tokens);
            const std::int64_t lease = terms.lease.count();
            queue->move(number, job, JobState::running,
                        now + (timeout == 0 ? lease : std::min(lease, timeout)));
            claimed.push_back({.id = Queue::id(number, job),
                               .token = job.token,
                               .payload = job.wanted.payload,
                               .attempt = job.attempts + 1,
                               .attempts_max = job.wanted.attempts_max,
                               .timeout = job.wanted.timeout,
                               .error = job.error});
        }
        if (!claimed.empty() || deadline.passed(clock_)) co_return claimed;
        Clock::duration wait = deadline.left(clock_);
        if (const auto next = queue->next_ms())
            wait = std::min<Clock::duration>(
                wait, std::chrono::milliseconds(std::max<std::int64_t>(1, *next - now)));
        CO_TRY_VOID(co_await queue->changed.wait_for(clock_, wait));
    }
}

awaitable<result<std::vector<JobQueue::Ack>>>
MemoryJobQueue::complete(std::string name, std::vector<Completion> completions) {
    CO_TRY_VOID(check_completions(name, completions));
    CO_TRY(Queue* const queue, open(name));
    std::vector<Ack> acks;
    for (Completion& completion : completions) {
        const auto found = queue->find(completion.run.id);
        if (found == queue->jobs.end() || found->second.token != completion.run.token) {
            acks.push_back(Ack::stale);
            continue;
        }
        Job& job = found->second;
        if (job.state == JobState::completed) {
            acks.push_back(Ack::repeated);
            continue;
        }
        job.result = std::move(completion.result);
        ++job.attempts;
        ++queue->stats.completed;
        queue->end(found, JobState::completed, now_ms());
        acks.push_back(Ack::done);
    }
    co_return acks;
}

awaitable<result<std::vector<JobQueue::Ack>>> MemoryJobQueue::fail(std::string name,
                                                                   std::vector<Failure> failures) {
    CO_TRY_VOID(check_failures(name, failures));
    CO_TRY(Queue* const queue, open(name));
    std::vector<Ack> acks;
    for (Failure& failure : failures) {
        const auto found = queue->find(failure.run.id);
        const bool good = found != queue->jobs.end() && found->second.state == JobState::running &&
                          found->second.token == failure.run.token;
        acks.push_back(good ? Ack::done : Ack::stale);
        if (good)
            queue->give_back(found->first, found->second, std::move(failure.error), failure.after,
                             failure.retry_in, random_.unit(), now_ms());
    }
    queue->changed.notify_all();
    co_return acks;
}

awaitable<result<std::vector<JobQueue::Ack>>>
MemoryJobQueue::heartbeat(std::string name, std::vector<Run> runs,
                          std::chrono::milliseconds lease) {
    CO_TRY_VOID(check_runs(name, runs, lease));
    CO_TRY(Queue* const queue, open(name));
    std::vector<Ack> acks;
    for (const Run& run : runs) {
        const auto found = queue->find(run.id);
        if (found == queue->jobs.end() || found->second.state != JobState::running ||
            found->second.token != run.token) {
            acks.push_back(Ack::stale);
            continue;
        }
        Job& job = found->second;
        const std::int64_t until = now_ms() + lease.count();
        queue->move(found->first, job, JobState::running,
                    job.run_until_ms == 0 ? until : std::min(until, job.run_until_ms));
        acks.push_back(Ack::done);
    }
    co_return acks;
}

awaitable<result<void>> MemoryJobQueue::cancel(std::string name, std::string id) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    const auto found = queue->find(id);
    if (found == queue->jobs.end()) co_return netbuild::fail(ErrorCode::not_found, "job " + id);
    if (has_ended(found->second.state))
        co_return netbuild::fail(ErrorCode::conflict, fmt::format("job {} has ended", id));
    found->second.token.clear();
    ++queue->stats.cancelled;
    queue->end(found, JobState::cancelled, now_ms());
    co_return result<void>{};
}

awaitable<result<void>> MemoryJobQueue::pause(std::string name, bool paused) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    queue->stats.paused = paused;
    queue->changed.notify_all();
    co_return result<void>{};
}

awaitable<result<std::uint64_t>> MemoryJobQueue::retry_dead(std::string name,
                                                            std::vector<std::string> ids) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    if (ids.empty()) {
        for (const auto& [died_ms, number] : queue->order(JobState::dead))
            ids.push_back(Queue::id(number, queue->jobs.at(number)));
    }
    std::uint64_t count = 0;
    for (const std::string& id : ids) {
        const auto found = queue->find(id);
        if (found == queue->jobs.end() || found->second.state != JobState::dead) continue;
        found->second.attempts = 0;
        queue->make_ready(found->first, found->second, now_ms());
        ++count;
    }
    queue->changed.notify_all();
    co_return count;
}

awaitable<result<std::uint64_t>> MemoryJobQueue::drain(std::string name) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    std::uint64_t count = 0;
    for (const JobState state : {JobState::ready, JobState::delayed}) {
        auto& order = queue->order(state);
        for (; !order.empty(); ++count)
            queue->remove(queue->jobs.find(order.begin()->second));
    }
    queue->stats.cancelled += count;
    co_return count;
}

awaitable<result<JobView>> MemoryJobQueue::show(std::string name, std::string id) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    const auto found = queue->find(id);
    if (found == queue->jobs.end()) co_return netbuild::fail(ErrorCode::not_found, "job " + id);
    co_return queue->view(found->first, found->second);
}

awaitable<result<JobQueue::Page>> MemoryJobQueue::list(std::string name, JobState state,
                                                       std::string cursor, std::size_t limit) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    const auto after = parse_job_id(cursor);
    if (!cursor.empty() && !after)
        co_return netbuild::fail(ErrorCode::invalid_argument, "cursor: is none of this list's");
    const auto& order = queue->order(state);
    auto next = after ? order.upper_bound({after->added_ms, after->number}) : order.begin();
    Page page;
    for (; next != order.end() && page.jobs.size() < limit; ++next) {
        page.jobs.push_back(queue->view(next->second, queue->jobs.at(next->second)));
        page.next = fmt::format("{}-{}", next->first, next->second);
    }
    if (next == order.end()) page.next.clear();
    co_return page;
}

awaitable<result<QueueStats>> MemoryJobQueue::stats(std::string name) {
    CO_TRY_VOID(check_queue_name(name));
    CO_TRY(Queue* const queue, open(name));
    QueueStats stats = queue->stats;
    stats.queue = name;
    stats.ready = queue->order(JobState::ready).size();
    stats.delayed = queue->order(JobState::delayed).size();
    stats.running = queue->order(JobState::running).size();
    stats.dead = queue->order(JobState::dead).size();
    stats.kept = queue->order(JobState::completed).size();
    if (stats.ready > 0) {
        const Job& oldest = queue->jobs.at(queue->order(JobState::ready).begin()->second);
        stats.oldest_ready = std::chrono::milliseconds(now_ms() - oldest.ready_ms);
    }
    co_return stats;
}

awaitable<result<std::vector<std::string>>> MemoryJobQueue::queues() {
    std::vector<std::string> names;
    for (const auto& [name, queue] : queues_) {
        if (queue->stats.added > 0) names.push_back(name);
    }
    co_return names;
}

} // namespace netbuild
