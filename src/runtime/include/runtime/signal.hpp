// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/result.hpp"

namespace netbuild {

/// A condition variable for coroutines of one executor: wait() in a loop that checks its condition.
class Signal {
public:
    explicit Signal(const boost::asio::any_io_executor& executor)
        : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

    void notify_all() { timer_.cancel(); }

    /// Returns after the next notify_all(), or fails with `cancelled` when the caller's task is.
    boost::asio::awaitable<result<void>> wait() {
        (void)co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        const auto state = co_await boost::asio::this_coro::cancellation_state;
        if (state.cancelled() != boost::asio::cancellation_type::none) {
            co_return fail(ErrorCode::cancelled, "wait");
        }
        co_return result<void>{};
    }

private:
    boost::asio::steady_timer timer_;
};

} // namespace netbuild
