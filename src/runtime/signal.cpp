// SPDX-License-Identifier: Apache-2.0
#include "runtime/signal.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace netbuild {

awaitable<result<void>> Signal::wait_since(std::uint64_t seen) {
    // A cancellation that came during an operation that cannot be cancelled is not sent again.
    const auto before = co_await asio::this_coro::cancellation_state;
    if (before.cancelled() == asio::cancellation_type::none && notified_ == seen) {
        (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        co_return fail(ErrorCode::cancelled, "wait");
    co_return result<void>{};
}

awaitable<result<void>> Signal::wait_for(Clock& clock, Clock::duration time) {
    using namespace asio::experimental::awaitable_operators;
    // What runs beside another awaitable has a cancellation state of its own: it does not see one
    // that came before.
    const auto before = co_await asio::this_coro::cancellation_state;
    if (before.cancelled() != asio::cancellation_type::none)
        co_return fail(ErrorCode::cancelled, "wait");
    // Both end with a result when they lose, never with an exception.
    auto first = co_await (wait_since(notified_) || clock.sleep(time));
    co_return first.index() == 0 ? std::get<0>(std::move(first)) : std::get<1>(std::move(first));
}

} // namespace netbuild
