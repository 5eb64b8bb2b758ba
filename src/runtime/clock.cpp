// SPDX-License-Identifier: Apache-2.0
#include "runtime/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace netbuild {

Clock::duration SystemClock::monotonic() const {
    return std::chrono::steady_clock::now().time_since_epoch();
}

std::int64_t SystemClock::utc_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

awaitable<result<void>> SystemClock::sleep(duration time) {
    // A cancellation that came during an operation that cannot be cancelled is not sent again.
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        co_return fail(ErrorCode::cancelled, "sleep");
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    const auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (ec) co_return fail(ErrorCode::cancelled, "sleep");
    co_return result<void>{};
}

} // namespace netbuild
