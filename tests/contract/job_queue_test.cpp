// SPDX-License-Identifier: Apache-2.0
#include "job_queue_contract.hpp"

#include "memory/memory_job_queue.hpp"
#include "sim/simulated_clock.hpp"

namespace netbuild::test {
namespace {

struct Memory {
    JobQueue& queue() { return queue_; }
    Clock& clock() { return clock_; }
    asio::io_context& context() { return context_; }
    void pass(Clock::duration time) {
        bool passed = false;
        clock_.after(time, [&] { passed = true; });
        clock_.run_until([&] { return passed; }, time);
    }
    template <class T>
    T run(awaitable<T> task) {
        std::optional<T> outcome;
        asio::co_spawn(context_, std::move(task), [&](const std::exception_ptr& escaped, T ended) {
            if (escaped) std::rethrow_exception(escaped);
            outcome.emplace(std::move(ended));
        });
        context_.restart();
        clock_.run_until([&] { return outcome.has_value(); }, std::chrono::hours(1));
        return std::move(outcome.value());
    }
    template <class T>
    T must(awaitable<result<T>> task) {
        auto outcome = run(std::move(task));
        if (!outcome) throw std::runtime_error(outcome.error().message());
        if constexpr (!std::is_void_v<T>) return std::move(*outcome);
    }

    asio::io_context context_;
    sim::SimulatedClock clock_{context_};
    MemoryJobQueue queue_{context_.get_executor(), clock_};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, JobQueueContract, Memory);

TEST(MemoryJobQueue, takes_no_more_jobs_than_it_may_hold) {
    Memory memory;
    MemoryJobQueue small(memory.context_.get_executor(), memory.clock_, {.queue_jobs_max = 2});
    memory.must(small.add("q", {NewJob{}}));
    const auto refused = memory.run(small.add("q", {NewJob{}, NewJob{}}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::overloaded);
    EXPECT_EQ(memory.must(small.stats("q")).ready, 1u);
}

TEST(MemoryJobQueue, keeps_its_times_when_somebody_sets_the_machines_clock) {
    Memory memory;
    memory.must(memory.queue().add("q", {NewJob{.delay = std::chrono::seconds(60)}}));
    memory.clock_.jump_wall_clock(3'600'000'000);
    EXPECT_TRUE(memory.must(memory.queue().claim("q", {})).empty());
    memory.clock_.jump_wall_clock(-7'200'000'000);
    memory.pass(std::chrono::seconds(61));
    EXPECT_EQ(memory.must(memory.queue().claim("q", {})).size(), 1u);
}

} // namespace
} // namespace netbuild::test
