// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <functional>

#include "ports/event_bus.hpp"
#include "runtime/signal.hpp"

namespace netbuild {

/// The event stream within one process: the newest `events_max` events, refilled from the store's
/// `events` at start. Use from its executor only.
class MemoryBus final : public EventBus {
public:
    struct Options {
        std::size_t events_max = 10'000;
        /// Sees what a channel would give its subscribers.
        std::function<void(const StreamEvent&)> announce = {};
    };
    MemoryBus(const asio::any_io_executor& executor, Clock& clock, Options options)
        : options_(std::move(options)), clock_(clock), appended_(executor) {}

    awaitable<result<void>> ping() override;
    awaitable<result<Position>> append(std::vector<StreamEventPtr> events,
                                       AppendTerms terms) override;
    awaitable<result<Position>> last() override;
    awaitable<result<Position>> first() override;
    awaitable<result<std::vector<StreamEventPtr>>> read(Position after, std::size_t count,
                                                        Clock::duration wait) override;
    awaitable<result<void>> trim_before(Position position) override;
    /// What a server loses that comes back with an older file: tests.
    void lose_after(Position position);

private:
    [[nodiscard]] Position newest() const {
        return events_.empty() ? Position{} : events_.back()->position;
    }

    Options options_;
    Clock& clock_;
    Signal appended_;
    std::deque<StreamEventPtr> events_;
};

} // namespace netbuild
