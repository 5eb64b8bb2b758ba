// SPDX-License-Identifier: Apache-2.0
#include "rate_limiter_contract.hpp"

#include "memory/memory_rate_limiter.hpp"
#include "runtime/random.hpp"
#include "sim/simulated_clock.hpp"
#include "support/still_clock.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    explicit Memory(asio::io_context& context) : clock_(context), limiter_(clock_, {}) {}
    RateLimiter& limiter() { return limiter_; }
    void pass(Clock::duration time) {
        bool passed = false;
        clock_.after(time, [&] { passed = true; });
        clock_.run_until([&] { return passed; }, time);
    }
    sim::SimulatedClock clock_;
    MemoryRateLimiter limiter_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, RateLimiterContract, Memory);

RatePolicyPtr per_hour(std::int64_t limit) {
    return RatePolicy::make({.name = "hour", .limit = limit, .period = std::chrono::hours(1)})
        .value();
}

TEST(MemoryRateLimiter, it_is_let_in_at_the_moment_that_was_told_and_not_before) {
    Random random(11);
    const auto drawn = [&](std::int64_t least, std::int64_t most) {
        return least + static_cast<std::int64_t>(
                           random.below(static_cast<std::uint64_t>(most - least + 1)));
    };
    int denials = 0;
    for (int round = 0; round < 300; ++round) {
        RatePolicySettings settings{.name = "drawn",
                                    .limit = drawn(1, 50),
                                    .period = std::chrono::milliseconds(drawn(100, 100'000))};
        if (round % 3 == 0)
            settings.algorithm = RateAlgorithm::sliding_window;
        else
            settings.burst = drawn(0, 60);
        const auto policy = RatePolicy::make(settings).value();
        const std::int64_t most = policy->terms().capacity / policy->terms().interval;
        StillClock clock;
        MemoryRateLimiter limiter(clock, {});
        const auto act = [&](RateAction action, std::int64_t cost) {
            std::optional<RateDecision> decision;
            limiter.act(action, {{policy, "key", cost}},
                        [&](result<RateDecision> given) { decision = std::move(given).value(); });
            return *decision;
        };
        for (int i = 0; i < 40; ++i) {
            clock.now += std::chrono::microseconds(
                drawn(0, settings.period.count() * 1000 / settings.limit));
            const std::int64_t cost = drawn(1, most);
            const auto decision = act(RateAction::check, cost);
            if (decision.allowed) continue;
            ++denials;
            const auto now = clock.now;
            clock.now = now + decision.retry_after();
            EXPECT_TRUE(act(RateAction::peek, cost).allowed) << round;
            // The clock is looked at in milliseconds.
            clock.now -= std::chrono::milliseconds(2);
            if (clock.now >= now) EXPECT_FALSE(act(RateAction::peek, cost).allowed) << round;
            clock.now = now;
        }
    }
    EXPECT_GT(denials, 1000);
}

TEST(MemoryRateLimiter, no_stretch_of_time_has_more_than_the_limit_and_a_burst) {
    Random random(5);
    for (int round = 0; round < 100; ++round) {
        RatePolicySettings settings{.name = "drawn",
                                    .limit = static_cast<std::int64_t>(1 + random.below(30)),
                                    .period = std::chrono::seconds(10)};
        settings.burst = static_cast<std::int64_t>(random.below(10));
        const auto policy = RatePolicy::make(settings).value();
        StillClock clock;
        MemoryRateLimiter limiter(clock, {});
        std::vector<Clock::duration> let_in;
        for (int i = 0; i < 500; ++i) {
            clock.now += std::chrono::milliseconds(random.below(400));
            limiter.act(RateAction::check, {{policy, "key"}}, [&](result<RateDecision> decision) {
                if (decision.value().allowed) let_in.push_back(clock.now);
            });
        }
        const std::int64_t burst = settings.burst > 0 ? settings.burst : settings.limit;
        for (std::size_t first = 0; first < let_in.size(); ++first) {
            for (std::size_t last = first; last < let_in.size(); ++last) {
                const double periods =
                    std::chrono::duration<double>(let_in[last] - let_in[first]).count() / 10;
                ASSERT_LE(static_cast<double>(last - first + 1),
                          static_cast<double>(burst) +
                              static_cast<double>(settings.limit) * periods + 0.01);
            }
        }
    }
}

TEST(MemoryRateLimiter, keys_are_bounded_and_those_that_have_come_back_make_room) {
    asio::io_context context;
    sim::SimulatedClock clock(context);
    MemoryRateLimiter limiter(clock, {.keys_max = 100});
    const auto policy = per_hour(3600);
    const auto code = [&](int key) {
        const auto decision =
            run(context, limiter.act(RateAction::check, {{policy, std::to_string(key)}}));
        return decision ? std::optional<ErrorCode>() : decision.error().code();
    };
    for (int key = 0; key < 100; ++key)
        EXPECT_EQ(code(key), std::nullopt);
    EXPECT_EQ(code(100), ErrorCode::out_of_memory);
    clock.after(std::chrono::seconds(1), [] {});
    clock.run_until([] { return false; }, std::chrono::seconds(1));
    EXPECT_EQ(code(100), std::nullopt);
    EXPECT_EQ(limiter.size(), 1u);
}

} // namespace
} // namespace netbuild::test
