// SPDX-License-Identifier: Apache-2.0
#include "sync/progress.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

namespace netbuild::sync {

std::string_view to_string(State state) noexcept {
    constexpr std::string_view names[] = {"starting", "loading",  "streaming",
                                          "standby",  "retrying", "stopped"};
    return names[static_cast<std::size_t>(state)];
}

awaitable<result<void>> Progress::wait_change(Clock::duration wait) {
    using namespace asio::experimental::awaitable_operators;
    // Both end with a result when they lose, never with an exception.
    auto first = co_await (changed_.wait() || clock_.sleep(wait));
    co_return first.index() == 0 ? std::get<0>(std::move(first)) : std::get<1>(std::move(first));
}

awaitable<result<void>> Progress::wait_applied(Position position, Clock::duration wait) {
    const Deadline deadline(clock_, wait);
    while (applied < position) {
        if (deadline.passed(clock_)) {
            co_return fail(ErrorCode::not_yet_consistent,
                           "wanted " + netbuild::to_string(position) + ", the read model is at " +
                               netbuild::to_string(applied));
        }
        CO_TRY_VOID(co_await wait_change(deadline.left(clock_)));
    }
    co_return result<void>{};
}

} // namespace netbuild::sync
