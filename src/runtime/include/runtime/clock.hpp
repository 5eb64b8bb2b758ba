// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>

#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"

namespace netbuild {

namespace asio = boost::asio;
using asio::awaitable;

/// Time, so that a test can own it. All waiting of the core goes through here.
class Clock {
public:
    using duration = std::chrono::nanoseconds;

    virtual ~Clock() = default;
    /// Since an arbitrary start; never goes back.
    [[nodiscard]] virtual duration monotonic() const = 0;
    /// Microseconds since 1970-01-01T00:00:00Z; may jump.
    [[nodiscard]] virtual std::int64_t utc_us() const = 0;
    /// Fails with `cancelled` only.
    virtual awaitable<result<void>> sleep(duration time) = 0;
};

/// The machine's clocks and Asio's timers.
class SystemClock final : public Clock {
public:
    [[nodiscard]] duration monotonic() const override;
    [[nodiscard]] std::int64_t utc_us() const override;
    awaitable<result<void>> sleep(duration time) override;
};

/// A point in a clock's monotonic time after which an operation gives up.
class Deadline {
public:
    Deadline(const Clock& clock, Clock::duration time) : at_(clock.monotonic() + time) {}
    [[nodiscard]] bool passed(const Clock& clock) const { return clock.monotonic() >= at_; }
    /// Zero once it has passed.
    [[nodiscard]] Clock::duration left(const Clock& clock) const {
        return std::max(at_ - clock.monotonic(), Clock::duration::zero());
    }

private:
    Clock::duration at_;
};

} // namespace netbuild
