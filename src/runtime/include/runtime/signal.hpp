// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/clock.hpp"

namespace netbuild {

/// A condition variable for coroutines of one executor: wait in a loop that checks its condition.
class Signal {
public:
    explicit Signal(const boost::asio::any_io_executor& executor)
        : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

    void notify_all() {
        ++notified_;
        timer_.cancel();
    }

    /// Returns after the next notify_all(), or fails with `cancelled` when the caller's task is.
    awaitable<result<void>> wait() { return wait_since(notified_); }
    /// The same, at most `time`; then it succeeds too.
    awaitable<result<void>> wait_for(Clock& clock, Clock::duration time);

private:
    /// Returns at once if there was a notify_all() after the count `seen`: what is started beside
    /// another awaitable begins a moment later than its caller decided to wait.
    awaitable<result<void>> wait_since(std::uint64_t seen);

    boost::asio::steady_timer timer_;
    std::uint64_t notified_ = 0;
};

} // namespace netbuild
