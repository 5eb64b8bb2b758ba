// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_rate_limiter.hpp"

#include <fmt/format.h>

#include "memory/memory_rate_limiter.hpp"
#include "rate_limiter_contract.hpp"
#include "runtime/random.hpp"
#include "support/private_redis.hpp"
#include "support/redis_connection.hpp"

namespace netbuild::test {
namespace {

template <RedisKind kind>
struct Redis {
    explicit Redis(asio::io_context& context)
        : context_(context), connected_(context, clock_, redis_options(redis_server(kind))) {}
    RateLimiter& limiter() { return limiter_; }
    void pass(Clock::duration time) { must(context_, clock_.sleep(time)); }
    asio::io_context& context_;
    SystemClock clock_;
    RedisConnection connected_;
    RedisRateLimiter limiter_{context_.get_executor(), connected_.client};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Single, RateLimiterContract, Redis<RedisKind::single>);
INSTANTIATE_TYPED_TEST_SUITE_P(Cluster, RateLimiterContract, Redis<RedisKind::cluster>);
INSTANTIATE_TYPED_TEST_SUITE_P(Tls, RateLimiterContract, Redis<RedisKind::tls>);

RatePolicyPtr policy_of(RateForm form, std::int64_t limit = 100) {
    RatePolicySettings settings;
    settings.name = unique_name("fault");
    settings.limit = limit;
    settings.period = form == RateForm::microseconds ? 3'600'001ms : limit * 60'000ms;
    if (form == RateForm::window) settings.algorithm = RateAlgorithm::sliding_window;
    auto policy = RatePolicy::make(settings).value();
    EXPECT_EQ(policy->terms().form, form);
    return policy;
}
constexpr std::array forms{RateForm::milliseconds, RateForm::microseconds, RateForm::window};

class RedisRate : public testing::Test {
protected:
    resp::Reply ask(RedisCommand command) { return connected.ask(std::move(command)); }
    result<RateDecision> act(RateAction action, std::vector<RateCharge> charges) {
        return run(context, limiter.act(action, std::move(charges)));
    }
    static std::string name(const RatePolicyPtr& policy, const std::string& key) {
        return rate_state_name("netbuild:rate:", *policy, key);
    }
    asio::io_context context;
    SystemClock clock;
    RedisConnection connected{context, clock, redis_options(redis_server(RedisKind::single))};
    RedisRateLimiter limiter{context.get_executor(), connected.client};
};

TEST_F(RedisRate, what_is_asked_before_there_is_a_connection_is_answered_on_a_cluster_too) {
    for (const RedisKind kind : redis_kinds) {
        RedisConnection fresh(context, clock, redis_options(redis_server(kind)));
        RedisRateLimiter early(context.get_executor(), fresh.client);
        const auto policy = policy_of(RateForm::milliseconds);
        int allowed = 0, answers = 0;
        const auto count = [&](result<RateDecision> decision) {
            ++answers;
            allowed += decision && decision->allowed ? 1 : 0;
        };
        for (int i = 0; i < 20; ++i)
            early.act(RateAction::check, {{policy, "k" + std::to_string(i)}}, count);
        early.act(RateAction::check, {{policy, "a"}, {policy, "b"}, {policy, "c"}}, count);
        while (answers < 21)
            context.run_one_for(10ms);
        EXPECT_EQ(allowed, 21) << name_of(kind);
    }
}

// Hours lie between two requests, so that how long the test takes does not show.
TEST_F(RedisRate, its_lua_agrees_with_the_arithmetic_on_drawn_requests) {
    MemoryRateLimiter memory(clock, {});
    Random random(7);
    std::vector<RatePolicyPtr> policies;
    for (const RateForm form : forms)
        for (const std::int64_t limit : {2, 3, 10, 400})
            policies.push_back(policy_of(form, limit));
    int denied = 0, allowed = 0;
    for (int round = 0; round < 1500; ++round) {
        std::vector<RateCharge> charges;
        for (std::uint64_t i = 0; i <= random.below(3); ++i) {
            const auto& policy = policies[random.below(policies.size())];
            const std::string key = "k" + std::to_string(i) + std::to_string(random.below(2));
            const auto cost = static_cast<std::int64_t>(
                1 + random.below(static_cast<std::uint64_t>(policy->settings().limit)));
            charges.push_back({policy, key, cost});
        }
        const auto drawn = random.below(20);
        if (drawn == 0) {
            must(context, limiter.unblock(charges[0].policy, charges[0].key));
            must(context, memory.unblock(charges[0].policy, charges[0].key));
            continue;
        }
        if (drawn == 1) {
            must(context, limiter.block(charges[0].policy, charges[0].key, 2h));
            must(context, memory.block(charges[0].policy, charges[0].key, 2h));
            continue;
        }
        const RateAction action = drawn == 2   ? RateAction::penalize
                                  : drawn == 3 ? RateAction::peek
                                               : RateAction::check;
        const auto here = must(context, memory.act(action, charges));
        const auto there = must(context, limiter.act(action, charges));
        ASSERT_EQ(there.allowed, here.allowed) << round;
        ++(here.allowed ? allowed : denied);
        for (std::size_t i = 0; i < charges.size(); ++i) {
            ASSERT_EQ(there.limits[i].remaining, here.limits[i].remaining) << round;
            // Windows of the two begin at different times.
            if (charges[i].policy->terms().form == RateForm::window) continue;
            const auto apart = there.limits[i].retry_after - here.limits[i].retry_after;
            ASSERT_LE(std::chrono::abs(apart), 30s) << round;
        }
    }
    EXPECT_GT(denied, 100);
    EXPECT_GT(allowed, 100);
}

TEST_F(RedisRate, its_lua_lets_the_last_window_fade_as_the_arithmetic_does) {
    const auto policy = policy_of(RateForm::window, 40'000); // a window of 27 days
    const RateTerms& terms = policy->terms();
    const auto time = ask(RedisCommand::anywhere({"TIME"}));
    const std::int64_t ms = std::stoll(time.elements.at(0).text) * 1000;
    const std::int64_t window = ms / terms.period_ms;
    Random random(3);
    for (int i = 0; i < 100; ++i) {
        const std::string key = "k" + std::to_string(i);
        const auto used = static_cast<std::int64_t>(random.below(40'001));
        const auto last = static_cast<std::int64_t>(random.below(40'001));
        const bool rolled = random.below(2) == 1; // it is the last one's text
        const std::string text = fmt::format("{} {} {}", rolled ? window - 1 : window, used, last);
        ask(RedisCommand::on(name(policy, key), {"SET", name(policy, key), text, "PX", "60000"}));
        const auto cost = static_cast<std::int64_t>(1 + random.below(40'000));
        const auto peeked = act(RateAction::peek, {{policy, key, cost}}).value();
        RateState state{.used = rolled ? 0 : used,
                        .previous = rolled ? used : last,
                        .elapsed_ms = ms % terms.period_ms};
        // A second is a forty-thousandth of the window's minutes: at most one request.
        EXPECT_NEAR(static_cast<double>(peeked.limits[0].remaining),
                    static_cast<double>(rate_remaining(terms, state)), 1);
        const auto apart = peeked.limits[0].retry_after - rate_retry_after(terms, state, cost);
        EXPECT_LE(std::chrono::abs(apart), 30s);
    }
}

TEST_F(RedisRate, what_is_no_state_of_a_limit_is_named_and_stays) {
    for (const RateForm form : forms) {
        const auto policy = policy_of(form);
        const std::string list = name(policy, "list"), text = name(policy, "text");
        ask(RedisCommand::on(list, {"RPUSH", list, "x"}));
        ask(RedisCommand::on(text, {"SET", text, "hello"}));
        for (const std::string key : {"list", "text"}) {
            // Alone, and with others.
            for (const bool alone : {true, false}) {
                std::vector<RateCharge> charges{{policy, key}};
                if (!alone) charges.push_back({policy, "other"});
                const auto refused = act(RateAction::check, charges);
                ASSERT_FALSE(refused) << key;
                EXPECT_EQ(refused.error().code(), ErrorCode::unsupported);
            }
            EXPECT_EQ(act(RateAction::peek, {{policy, "other"}}).value().limits[0].remaining, 100);
        }
        EXPECT_EQ(ask(RedisCommand::on(list, {"LLEN", list})).integer, 1);
        EXPECT_EQ(ask(RedisCommand::on(text, {"GET", text})).text, "hello");
        ask(RedisCommand::on(list, {"DEL", list}));
        ask(RedisCommand::on(text, {"DEL", text}));
    }
}

TEST_F(RedisRate, scripts_that_the_server_forgets_in_the_middle_cost_nothing) {
    const auto policy = policy_of(RateForm::milliseconds);
    int allowed = 0, answers = 0;
    for (int i = 0; i < 200; ++i) {
        if (i % 20 == 0)
            connected.client.send(RedisCommand::anywhere({"SCRIPT", "FLUSH"}),
                                  [](result<resp::Reply>) {});
        limiter.act(RateAction::check, {{policy, "key"}}, [&](result<RateDecision> decision) {
            ++answers;
            allowed += decision.value().allowed ? 1 : 0;
        });
        context.poll();
    }
    while (answers < 200)
        context.run_one_for(10ms);
    EXPECT_EQ(allowed, 100);
}

TEST_F(RedisRate, every_key_expires_when_nothing_is_used_any_more) {
    for (const RateForm form : forms) {
        const auto policy = policy_of(form);
        act(RateAction::check, {{policy, "key"}}).value();
        const std::string key = name(policy, "key");
        const auto left = ask(RedisCommand::on(key, {"PTTL", key})).integer;
        EXPECT_GT(left, 0);
        EXPECT_LE(left, 2 * 100 * 60'000);
        must(context, limiter.unblock(policy, "key"));
        EXPECT_EQ(ask(RedisCommand::on(key, {"EXISTS", key})).integer, 0);
    }
}

/// Time of a node whose clock is a day off, and jumps.
class WrongClock final : public Clock {
public:
    [[nodiscard]] duration monotonic() const override { return clock_.monotonic(); }
    [[nodiscard]] std::int64_t utc_us() const override { return clock_.utc_us() + off_us; }
    awaitable<result<void>> sleep(duration time) override { return clock_.sleep(time); }
    std::int64_t off_us = 86'400'000'000;

private:
    SystemClock clock_;
};

TEST_F(RedisRate, the_clock_of_a_node_does_not_matter) {
    WrongClock wrong;
    RedisConnection other(context, wrong, redis_options(redis_server(RedisKind::single)));
    RedisRateLimiter there(context.get_executor(), other.client);
    for (const RateForm form : forms) {
        const auto policy = policy_of(form, 4);
        for (int i = 0; i < 2; ++i) {
            EXPECT_TRUE(must(context, limiter.act(RateAction::check, {{policy, "key"}})).allowed);
            wrong.off_us = -wrong.off_us;
            EXPECT_TRUE(must(context, there.act(RateAction::check, {{policy, "key"}})).allowed);
        }
        EXPECT_FALSE(must(context, limiter.act(RateAction::check, {{policy, "key"}})).allowed);
        EXPECT_FALSE(must(context, there.act(RateAction::check, {{policy, "key"}})).allowed);
    }
}

/// A server of its own, for what others must not see.
class OwnRedis : public testing::Test {
protected:
    /// The client connects anew to a server that was demoted: it may take more than one try.
    void ask(std::initializer_list<std::string_view> words) {
        const Deadline deadline(clock, 10s);
        while (!run(context, connected.client.execute(RedisCommand::anywhere(words))))
            ASSERT_FALSE(deadline.passed(clock));
    }
    result<RateDecision> check(const RatePolicyPtr& policy, std::string key = "key") {
        return run(context, limiter.act(RateAction::check, {{policy, std::move(key)}}));
    }
    PrivateRedis server{1, false};
    asio::io_context context;
    SystemClock clock;
    RedisConnection connected{
        context, clock, {.url = server.url(0), .timeout = std::chrono::milliseconds(300)}};
    RedisRateLimiter limiter{context.get_executor(), connected.client};
};

TEST_F(OwnRedis, one_that_is_full_read_only_or_slow_says_so_and_is_of_use_again) {
    for (const RateForm form : forms) {
        const auto policy = policy_of(form);
        ASSERT_TRUE(check(policy));
        ask({"CONFIG", "SET", "maxmemory", "1"});
        const auto full = check(policy, "new");
        ASSERT_FALSE(full);
        EXPECT_EQ(full.error().code(), ErrorCode::out_of_memory);
        ask({"CONFIG", "SET", "maxmemory", "0"});

        ask({"REPLICAOF", "127.0.0.1", "1"});
        const auto demoted = check(policy);
        ASSERT_FALSE(demoted);
        EXPECT_EQ(demoted.error().code(), ErrorCode::unavailable);
        ask({"REPLICAOF", "NO", "ONE"});

        ask({"CLIENT", "PAUSE", "700"});
        const auto slow = check(policy);
        ASSERT_FALSE(slow);
        EXPECT_EQ(slow.error().code(), ErrorCode::outcome_unknown);
        const Deadline deadline(clock, 10s);
        while (!check(policy))
            ASSERT_FALSE(deadline.passed(clock));
    }
}

} // namespace
} // namespace netbuild::test
