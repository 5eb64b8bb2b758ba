// SPDX-License-Identifier: Apache-2.0
#include "simulated_clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace netbuild::sim {

/// Lies in the frame of the coroutine that sleeps, and leaves the clock with it.
struct SimulatedClock::Sleeper {
    Sleeper(SimulatedClock& owner, const asio::any_io_executor& executor, duration time)
        : clock(owner),
          timer(executor, asio::steady_timer::time_point::max()),
          moment(owner.now_ + time, owner.count_++) {
        clock.waiting_.emplace(moment, Waiting{this, {}});
    }
    ~Sleeper() {
        if (!due) clock.waiting_.erase(moment);
    }
    Sleeper(const Sleeper&) = delete;

    SimulatedClock& clock;
    asio::steady_timer timer;
    Moment moment;
    bool due = false;
};

awaitable<result<void>> SimulatedClock::sleep(duration time) {
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        co_return fail(ErrorCode::cancelled, "sleep");
    Sleeper sleeper(*this, co_await asio::this_coro::executor, std::max(time, duration::zero()));
    (void)co_await sleeper.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!sleeper.due) co_return fail(ErrorCode::cancelled, "sleep");
    co_return result<void>{};
}

void SimulatedClock::after(duration time, std::function<void()> action) {
    waiting_.emplace(Moment{now_ + time, count_++}, Waiting{nullptr, std::move(action)});
}

bool SimulatedClock::advance(duration limit) {
    if (waiting_.empty() || waiting_.begin()->first.first > limit) return false;
    auto next = waiting_.extract(waiting_.begin());
    now_ = std::max(now_, next.key().first);
    if (Sleeper* sleeper = next.mapped().sleeper) {
        sleeper->due = true;
        sleeper->timer.cancel();
    } else {
        next.mapped().action();
    }
    return true;
}

bool SimulatedClock::run_until(const std::function<bool()>& done, duration limit) {
    const duration end = now_ + limit;
    while (true) {
        context_.restart();
        context_.poll();
        if (done()) return true;
        if (!advance(end)) return false;
    }
}

} // namespace netbuild::sim
