// SPDX-License-Identifier: Apache-2.0
#include "jobs/job_worker.hpp"

#include <set>

#include <gtest/gtest.h>

#include "memory/memory_job_queue.hpp"
#include "runtime/task_group.hpp"
#include "sim/simulated_clock.hpp"
#include "support/run.hpp"

namespace netbuild::test {
namespace {

using namespace std::chrono_literals;

/// Queues that can be taken away.
class AwayQueue final : public MemoryJobQueue {
public:
    using MemoryJobQueue::MemoryJobQueue;
    awaitable<result<std::vector<ClaimedJob>>> claim(std::string queue, ClaimTerms terms) override {
        if (away) co_return netbuild::fail(ErrorCode::unavailable, "taken away");
        co_return co_await MemoryJobQueue::claim(std::move(queue), std::move(terms));
    }
    awaitable<result<std::vector<Ack>>> complete(std::string queue,
                                                 std::vector<Completion> completions) override {
        if (away) co_return netbuild::fail(ErrorCode::unavailable, "taken away");
        co_return co_await MemoryJobQueue::complete(std::move(queue), std::move(completions));
    }
    bool away = false;
};

class JobWorker : public testing::Test {
protected:
    using Handler = jobs::JobWorker::Handler;
    ~JobWorker() override {
        tasks.cancel();
        clock.run_until([&] { return tasks.size() == 0; }, 1h);
    }
    jobs::JobWorker& start(Handler handler, jobs::JobWorker::Options options = {}) {
        options.queue = "q";
        worker.emplace(context.get_executor(), clock, queue, std::move(options),
                       std::move(handler));
        tasks.spawn("worker", worker->run());
        return *worker;
    }
    template <class T>
    T must(awaitable<result<T>> task) {
        std::optional<result<T>> outcome;
        asio::co_spawn(context, std::move(task), [&](const std::exception_ptr&, result<T> ended) {
            outcome.emplace(std::move(ended));
        });
        EXPECT_TRUE(clock.run_until([&] { return outcome.has_value(); }, 1h));
        if (!*outcome) throw std::runtime_error(outcome->error().message());
        if constexpr (!std::is_void_v<T>) return std::move(**outcome);
    }
    std::string add(NewJob job = {}) { return must(queue.add("q", {std::move(job)})).front().id; }
    JobView show(const std::string& id) { return must(queue.show("q", id)); }
    void until(const std::function<bool()>& done) {
        ASSERT_TRUE(clock.run_until(done, 1h)) << "it never happens";
    }
    void pass(Clock::duration time) {
        bool passed = false;
        clock.after(time, [&] { passed = true; });
        clock.run_until([&] { return passed; }, time);
    }

    asio::io_context context{1};
    sim::SimulatedClock clock{context};
    AwayQueue queue{context.get_executor(), clock};
    std::optional<jobs::JobWorker> worker;
    TaskGroup tasks{context.get_executor(), [](const std::string&, const Error& error) {
                        ADD_FAILURE() << error.message();
                    }};
};

TEST_F(JobWorker, keeps_as_many_handlers_busy_as_it_may_and_no_more) {
    std::size_t busy = 0, most = 0;
    const auto& running = start(
        [&](const ClaimedJob& job) -> awaitable<result<std::string>> {
            most = std::max(most, ++busy);
            (void)co_await clock.sleep(10ms);
            --busy;
            co_return "did " + job.payload;
        },
        {.concurrency = 3});
    std::string last;
    for (int i = 0; i < 20; ++i)
        last = add({.payload = std::to_string(i)});
    until([&] { return running.counters().completed == 20; });
    EXPECT_EQ(most, 3u);
    EXPECT_EQ(show(last).result, "did 19");
}

TEST_F(JobWorker, tries_again_what_may_work_and_gives_up_at_once_what_cannot) {
    int runs = 0;
    const auto& running = start([&](const ClaimedJob& job) -> awaitable<result<std::string>> {
        ++runs;
        if (job.payload == "hopeless") co_return fail(ErrorCode::invalid_argument, "no address");
        if (job.payload == "throws" && job.attempt == 1) throw std::runtime_error("oh");
        if (job.attempt < 3) co_return fail(ErrorCode::unavailable, "not yet");
        co_return "done";
    });
    const auto hopeless = add({.payload = "hopeless"});
    const auto later = add({.payload = "later"});
    const auto throws = add({.payload = "throws"});
    until([&] { return running.counters().completed == 2; });
    EXPECT_EQ(show(hopeless).state, JobState::dead);
    EXPECT_NE(show(hopeless).error.find("no address"), std::string::npos);
    EXPECT_EQ(show(later).attempts, 3u);
    EXPECT_EQ(show(throws).state, JobState::completed);
    EXPECT_EQ(runs, 7);
}

TEST_F(JobWorker, holds_a_job_for_longer_than_a_lease) {
    const auto& running = start(
        [&](const ClaimedJob&) -> awaitable<result<std::string>> {
            (void)co_await clock.sleep(10min);
            co_return "slow";
        },
        {.lease = 30s});
    const auto id = add();
    until([&] { return running.counters().completed == 1; });
    EXPECT_EQ(show(id).attempts, 1u);
    EXPECT_EQ(running.counters().lost, 0u);
}

TEST_F(JobWorker, ends_the_handler_of_a_job_that_is_not_its_own_any_more) {
    std::set<std::string> ended;
    const auto& running = start([&](const ClaimedJob& job) -> awaitable<result<std::string>> {
        const auto slept = co_await clock.sleep(24h);
        ended.insert(job.payload);
        EXPECT_FALSE(slept);
        co_return fail(ErrorCode::cancelled, "handler");
    });
    const auto cancelled = add({.payload = "cancelled"});
    const auto slow = add({.payload = "timed out", .attempts_max = 1, .timeout = 1min});
    until([&] { return running.running() == 2; });
    must(queue.cancel("q", cancelled));
    until([&] { return ended.size() == 2; });
    EXPECT_EQ(show(cancelled).state, JobState::cancelled);
    EXPECT_EQ(show(slow).state, JobState::dead);
    EXPECT_EQ(running.counters().lost, 2u);
}

TEST_F(JobWorker, gives_its_jobs_back_when_it_ends) {
    start([&](const ClaimedJob&) -> awaitable<result<std::string>> {
        CO_TRY_VOID(co_await clock.sleep(1h));
        co_return "never";
    });
    const auto id = add();
    until([&] { return worker->running() == 1; });
    tasks.cancel();
    until([&] { return tasks.size() == 0; });
    EXPECT_EQ(show(id).state, JobState::ready);
    EXPECT_EQ(show(id).attempts, 0u);
    EXPECT_EQ(worker->counters().released, 1u);
}

TEST_F(JobWorker, waits_out_a_queue_that_is_away_and_loses_no_outcome) {
    const auto& running = start([&](const ClaimedJob& job) -> awaitable<result<std::string>> {
        queue.away = true; // its completion meets nobody, at first
        clock.after(5s, [this] { queue.away = false; });
        co_return job.payload;
    });
    const auto id = add({.payload = "p"});
    until([&] { return running.counters().completed == 1; });
    EXPECT_EQ(show(id).attempts, 1u);
    EXPECT_GT(running.counters().retries, 0u);
    queue.away = true;
    pass(1min); // a claim that waits already is answered
    const auto other = add({.payload = "other"});
    pass(1min);
    EXPECT_EQ(show(other).state, JobState::ready);
    queue.away = false;
    until([&] { return running.counters().completed == 2; });
}

} // namespace
} // namespace netbuild::test
