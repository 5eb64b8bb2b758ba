// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "runtime/clock.hpp"

namespace netbuild::sim {

/// Time that advances only when nothing else is left to do: an hour passes in milliseconds, and
/// nothing that happens depends on the machine's speed. One thread, one io_context.
class SimulatedClock final : public Clock {
public:
    explicit SimulatedClock(asio::io_context& context) : context_(context) {}

    [[nodiscard]] duration monotonic() const override { return now_; }
    [[nodiscard]] std::int64_t utc_us() const override {
        return start_us + std::chrono::duration_cast<std::chrono::microseconds>(now_).count() +
               wall_offset_us_;
    }
    awaitable<result<void>> sleep(duration time) override;

    /// Calls `action` when that much time has passed.
    void after(duration time, std::function<void()> action);
    /// Somebody sets the wall clock; monotonic time does not notice.
    void jump_wall_clock(std::int64_t by_us) { wall_offset_us_ += by_us; }
    /// Runs whatever is ready and lets time pass until `done`. False: `limit` has passed, or all
    /// wait for each other.
    bool run_until(const std::function<bool()>& done, duration limit);

private:
    // First come, first served among those that are due at one moment.
    using Moment = std::pair<duration, std::uint64_t>;
    struct Sleeper;
    struct Waiting {
        Sleeper* sleeper = nullptr;
        std::function<void()> action;
    };
    /// To the next moment for which somebody waits; false if there is none before `limit`.
    bool advance(duration limit);

    static constexpr std::int64_t start_us = 1'700'000'000'000'000;
    asio::io_context& context_;
    duration now_{};
    std::int64_t wall_offset_us_ = 0;
    std::uint64_t count_ = 0;
    std::map<Moment, Waiting> waiting_;
};

} // namespace netbuild::sim
