// SPDX-License-Identifier: Apache-2.0
#include "rate_limiter_contract.hpp"

#include "memory/memory_rate_limiter.hpp"
#include "sim/simulated_clock.hpp"

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
