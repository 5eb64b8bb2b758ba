// SPDX-License-Identifier: Apache-2.0
#include "cache_contract.hpp"

#include "memory/memory_cache_store.hpp"
#include "sim/simulated_clock.hpp"

namespace netbuild::test {
namespace {

/// Two nodes of one process; time is the test's.
struct MemoryCaches {
    Clock& clock() { return clock_; }
    CacheStore& store(int) { return store_; }
    template <class T>
    T run(awaitable<T> task) {
        std::optional<T> outcome;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr escaped, T value) {
            if (escaped) std::rethrow_exception(escaped);
            outcome.emplace(std::move(value));
        });
        if (!clock_.run_until([&] { return outcome.has_value(); }, std::chrono::hours(1)))
            throw std::runtime_error("the coroutine never ended");
        return std::move(*outcome);
    }
    void until(const std::function<bool()>& done) {
        for (int tries = 0; !done(); ++tries) {
            if (tries == 1000) throw std::runtime_error("it never came");
            pass(std::chrono::milliseconds(5));
        }
    }
    void pass(Clock::duration time) {
        const auto end = clock_.monotonic() + time;
        clock_.after(time, [] {});
        clock_.run_until([&] { return clock_.monotonic() >= end; }, time * 2);
    }
    asio::io_context context;
    std::string name = "texts";

private:
    sim::SimulatedClock clock_{context};
    MemoryCacheStore store_{clock_};
};
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, CacheContract, MemoryCaches);

} // namespace
} // namespace netbuild::test
