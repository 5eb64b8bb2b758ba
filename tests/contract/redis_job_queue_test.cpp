// SPDX-License-Identifier: Apache-2.0
#include "job_queue_contract.hpp"

#include "redis/redis_cluster_bus.hpp"
#include "redis/redis_job_queue.hpp"
#include "support/redis_connection.hpp"

namespace netbuild::test {
namespace {

template <RedisKind kind>
struct Redis {
    Redis() : Redis(redis_server(kind)) {}
    explicit Redis(const RedisServer& server)
        : connection_(context_, clock_, redis_options(server)),
          wakes_(context_.get_executor(), clock_, {.url = server.url, .ca_file = server.ca_file}) {
        wakes_.start().value();
        queue_.emplace(context_.get_executor(), clock_, connection_.client, wakes_,
                       RedisJobQueue::Options{.prefix = "netbuild:test:"});
    }
    ~Redis() {
        queue_.reset();
        must([](RedisClusterBus& wakes) -> awaitable<result<void>> {
            co_await wakes.stop();
            co_return result<void>{};
        }(wakes_));
    }
    JobQueue& queue() { return *queue_; }
    Clock& clock() { return clock_; }
    asio::io_context& context() { return context_; }
    void pass(Clock::duration time) { must(clock_.sleep(time)); }
    template <class T>
    T run(awaitable<T> task) {
        return test::run(context_, std::move(task));
    }
    template <class T>
    T must(awaitable<result<T>> task) {
        return test::must(context_, std::move(task));
    }
    resp::Reply ask(const std::string& key, std::vector<std::string_view> words) {
        return connection_.ask(RedisCommand::on(key, words));
    }
    std::string key(const std::string& queue, const std::string& name) {
        return "netbuild:test:queue:{" + queue + "}:" + name;
    }

    asio::io_context context_;
    SystemClock clock_;
    RedisConnection connection_;
    RedisClusterBus wakes_;
    std::optional<RedisJobQueue> queue_;
};

using Single = Redis<RedisKind::single>;
using Cluster = Redis<RedisKind::cluster>;
using Tls = Redis<RedisKind::tls>;
INSTANTIATE_TYPED_TEST_SUITE_P(Single, JobQueueContract, Single);
INSTANTIATE_TYPED_TEST_SUITE_P(Cluster, JobQueueContract, Cluster);
INSTANTIATE_TYPED_TEST_SUITE_P(Tls, JobQueueContract, Tls);

class JobQueueFaults : public testing::Test {
protected:
    ErrorCode refused(auto task) {
        auto outcome = redis.run(std::move(task));
        EXPECT_FALSE(outcome);
        return outcome ? ErrorCode::internal : outcome.error().code();
    }
    Single redis;
    JobQueue& queue = redis.queue();
    std::string name = unique_name("faults");
};

TEST_F(JobQueueFaults, something_else_at_any_key_fails_an_add_and_nothing_is_half_written) {
    for (const std::string other :
         {"meta", "jobs", "ready", "leases", "delayed", "dead", "results", "done"}) {
        const std::string at = unique_name("faults");
        const std::string key = redis.key(at, other);
        redis.ask(key, {"SET", key, "something else"});
        EXPECT_EQ(refused(queue.add(at, {NewJob{.payload = "p"}, NewJob{.delay = 60s}})),
                  ErrorCode::unsupported)
            << other;
        EXPECT_EQ(refused(queue.claim(at, {})), ErrorCode::unsupported) << other;
        redis.ask(key, {"DEL", key});
        EXPECT_EQ(redis.must(queue.stats(at)).added, 0u) << other;
        EXPECT_TRUE(redis.must(queue.claim(at, {})).empty());
    }
}

TEST_F(JobQueueFaults, something_else_at_an_idempotency_key_fails_its_add_whole) {
    const std::string key = redis.key(name, "once:mine");
    redis.ask(key, {"HSET", key, "a", "b"});
    EXPECT_EQ(refused(queue.add(name, {NewJob{.key = "other"}, NewJob{.key = "mine"}})),
              ErrorCode::unsupported);
    EXPECT_EQ(redis.must(queue.stats(name)).added, 0u);
    EXPECT_FALSE(redis.must(queue.add(name, {NewJob{.key = "other"}}))[0].duplicate);
}

TEST_F(JobQueueFaults, scripts_that_were_flushed_are_sent_again) {
    redis.must(queue.add(name, {NewJob{.payload = "1"}}));
    redis.ask("", {"SCRIPT", "FLUSH"});
    redis.must(queue.add(name, {NewJob{.payload = "2"}}));
    redis.ask("", {"SCRIPT", "FLUSH"});
    EXPECT_EQ(redis.must(queue.claim(name, {.count = 10})).size(), 2u);
}

TEST_F(JobQueueFaults, a_full_redis_takes_no_job_and_gives_those_it_has) {
    redis.must(queue.add(name, {NewJob{.payload = "before"}}));
    const std::string max = redis.ask("", {"CONFIG", "GET", "maxmemory"}).elements.at(1).text;
    redis.ask("", {"CONFIG", "SET", "maxmemory", "1"});
    const auto code = refused(queue.add(name, {NewJob{.payload = "p"}, NewJob{.key = "k"}}));
    auto claimed = redis.must(queue.claim(name, {.count = 10}));
    std::vector<JobQueue::Ack> acks;
    if (!claimed.empty())
        acks = redis.must(queue.complete(name, {{{claimed[0].id, claimed[0].token}, "done"}}));
    redis.ask("", {"CONFIG", "SET", "maxmemory", max});
    EXPECT_EQ(code, ErrorCode::out_of_memory);
    ASSERT_EQ(claimed.size(), 1u);
    EXPECT_EQ(claimed[0].payload, "before");
    EXPECT_EQ(acks.at(0), JobQueue::Ack::done);
    EXPECT_EQ(redis.must(queue.stats(name)).added, 1u);
    EXPECT_FALSE(redis.must(queue.add(name, {NewJob{.key = "k"}}))[0].duplicate);
}

TEST_F(JobQueueFaults, without_a_server_every_call_says_so) {
    RedisConnection nowhere(redis.context_, redis.clock_,
                            {.url = "redis://127.0.0.1:1", .timeout = 100ms});
    {
        RedisJobQueue away(redis.context_.get_executor(), redis.clock_, nowhere.client,
                           redis.wakes_);
        EXPECT_EQ(refused(away.add(name, {NewJob{}})), ErrorCode::unavailable);
        EXPECT_EQ(refused(away.claim(name, {.wait = 10s})), ErrorCode::unavailable);
        EXPECT_EQ(refused(away.complete(name, {{{"1-1", "1-1"}, ""}})), ErrorCode::unavailable);
        EXPECT_EQ(refused(away.stats(name)), ErrorCode::unavailable);
    }
}

TEST_F(JobQueueFaults, calls_that_wait_behind_others_learn_with_them_that_the_server_is_away) {
    RedisConnection nowhere(redis.context_, redis.clock_,
                            {.url = "redis://127.0.0.1:1", .timeout = 300ms});
    RedisJobQueue away(redis.context_.get_executor(), redis.clock_, nowhere.client, redis.wakes_);
    std::size_t refusals = 0;
    const std::size_t calls = 5000; // in twenty scripts, were they sent
    const Deadline deadline(redis.clock_, 3s);
    for (std::size_t i = 0; i < calls; ++i)
        asio::co_spawn(
            redis.context_,
            away.complete(name, {JobQueue::Completion{.run = {"1-1", "1-1"}, .result = {}}}),
            [&](const std::exception_ptr&, const result<std::vector<JobQueue::Ack>>& acks) {
                EXPECT_EQ(acks.error().code(), ErrorCode::unavailable);
                ++refusals;
            });
    redis.context_.restart();
    while (refusals < calls)
        redis.context_.run_one();
    EXPECT_FALSE(deadline.passed(redis.clock_)); // and not after twenty time-outs
}

TEST_F(JobQueueFaults, a_claim_of_many_large_jobs_gives_as_many_as_an_answer_should_hold) {
    for (int i = 0; i < 2; ++i)
        redis.must(queue.add(
            name, std::vector<NewJob>(
                      60, NewJob{.payload = std::string(JobQueue::payload_bytes_max, 'x')})));
    const auto some = redis.must(queue.claim(name, {.count = 1000}));
    EXPECT_EQ(some.size(), 8u);
    std::size_t all = some.size();
    while (const auto more = redis.must(queue.claim(name, {.count = 1000})).size())
        all += more;
    EXPECT_EQ(all, 120u);
    for (const auto& job : redis.must(queue.list(name, JobState::running, "", 1000)).jobs)
        redis.must(queue.cancel(name, job.id));
}

TEST_F(JobQueueFaults, times_are_those_of_redis_whatever_this_machines_clock_says) {
    struct Skewed final : Clock {
        explicit Skewed(Clock& clock) : clock_(clock) {}
        [[nodiscard]] duration monotonic() const override { return clock_.monotonic(); }
        [[nodiscard]] std::int64_t utc_us() const override {
            return clock_.utc_us() + 3'600'000'000;
        }
        awaitable<result<void>> sleep(duration time) override { return clock_.sleep(time); }
        Clock& clock_;
    };
    Skewed skewed(redis.clock_);
    RedisJobQueue other(redis.context_.get_executor(), skewed, redis.connection_.client,
                        redis.wakes_, {.prefix = "netbuild:test:"});
    redis.must(other.add(name, {NewJob{.delay = 60s}, NewJob{.payload = "p"}}));
    EXPECT_EQ(redis.must(queue.claim(name, {.count = 10})).size(), 1u);
    EXPECT_TRUE(redis.must(other.claim(name, {.count = 10})).empty());
    EXPECT_EQ(redis.must(queue.stats(name)).running, 1u);
}

} // namespace
} // namespace netbuild::test
