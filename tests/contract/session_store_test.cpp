// SPDX-License-Identifier: Apache-2.0
#include "session_store_contract.hpp"

#include "memory/memory_sessions.hpp"
#include "sim/simulated_clock.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    static constexpr Clock::duration brief = std::chrono::minutes(30);
    explicit Memory(asio::io_context& context) : clock_(context) {}
    SessionStore& store(SessionTimeouts timeouts) {
        return stores_.emplace_back(clock_, MemorySessions::Options{.timeouts = timeouts});
    }
    void pass(Clock::duration time) {
        clock_.after(time, [] {});
        clock_.run_until([] { return false; }, time);
    }
    sim::SimulatedClock clock_;
    std::deque<MemorySessions> stores_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, SessionStoreContract, Memory);

TEST(MemorySessions, are_bounded_and_expired_ones_make_room) {
    asio::io_context context;
    sim::SimulatedClock clock(context);
    MemorySessions sessions(clock, {.timeouts = {}, .sessions_max = 3});
    for (int i = 0; i < 3; ++i)
        must(context, sessions.create("", {}));
    const auto full = run(context, sessions.create("", {}));
    ASSERT_FALSE(full.has_value());
    EXPECT_EQ(full.error().code(), ErrorCode::out_of_memory);
    clock.after(std::chrono::minutes(31), [] {});
    clock.run_until([] { return false; }, std::chrono::minutes(31));
    EXPECT_TRUE(run(context, sessions.create("", {})).has_value());
}

TEST(MemorySessions, a_clock_that_is_set_ends_and_revives_none) {
    asio::io_context context;
    sim::SimulatedClock clock(context);
    MemorySessions sessions(clock, {});
    const auto made = must(context, sessions.create("", {}));
    clock.jump_wall_clock(std::int64_t{86'400'000'000} * 365);
    EXPECT_TRUE(run(context, sessions.read(made.id)).has_value());
    clock.after(std::chrono::minutes(31), [] {});
    clock.run_until([] { return false; }, std::chrono::minutes(31));
    clock.jump_wall_clock(-std::int64_t{86'400'000'000} * 365);
    EXPECT_FALSE(run(context, sessions.read(made.id)).has_value());
}

} // namespace
} // namespace netbuild::test
