// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>

#include "ports/event_bus.hpp"
#include "runtime/signal.hpp"

namespace netbuild {

/// The event stream within one process: the newest `events_max` events, refilled from the store's
/// `events` at start. Use from its executor only.
class MemoryBus final : public EventBus {
public:
    struct Options {
        std::size_t events_max = 10'000;
    };
    MemoryBus(const asio::any_io_executor& executor, Clock& clock, Options options)
        : options_(options), clock_(clock), appended_(executor) {}

    awaitable<result<void>> ping() override;
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       Position known = {}) override;
    awaitable<result<Position>> last() override;
    awaitable<result<Position>> first() override;
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override;
    awaitable<result<void>> trim_before(Position position) override;

private:
    Options options_;
    Clock& clock_;
    Signal appended_;
    std::deque<StreamEventPtr> events_;
    Position last_; // of all that was ever appended
};

} // namespace netbuild
