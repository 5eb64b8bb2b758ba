// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_bus.hpp"

#include <algorithm>

namespace netbuild {

awaitable<result<void>> MemoryBus::ping() { co_return result<void>{}; }

awaitable<result<Position>> MemoryBus::append(std::vector<StreamEventPtr> events,
                                              AppendTerms terms) {
    if (newest() < terms.last) co_return newest();
    for (StreamEventPtr& event : events) {
        if (event->position <= newest()) continue;
        if (options_.announce && event->position > terms.announced) options_.announce(*event);
        events_.push_back(std::move(event));
        if (events_.size() > options_.events_max) events_.pop_front();
    }
    appended_.notify_all();
    co_return newest();
}

void MemoryBus::lose_after(Position position) {
    while (!events_.empty() && events_.back()->position > position)
        events_.pop_back();
}

awaitable<result<Position>> MemoryBus::last() { co_return newest(); }

awaitable<result<Position>> MemoryBus::first() {
    co_return events_.empty() ? Position{} : events_.front()->position;
}

awaitable<result<std::vector<StreamEventPtr>>> MemoryBus::read(Position after, std::size_t count,
                                                               Clock::duration wait) {
    const Deadline deadline(clock_, wait);
    while (true) {
        auto from = std::upper_bound(events_.begin(), events_.end(), after,
                                     [](Position position, const StreamEventPtr& event) {
                                         return position < event->position;
                                     });
        if (from != events_.end() || deadline.passed(clock_)) {
            const auto most = static_cast<std::size_t>(events_.end() - from);
            co_return std::vector<StreamEventPtr>(
                from, from + static_cast<std::ptrdiff_t>(std::min(count, most)));
        }
        CO_TRY_VOID(co_await appended_.wait_for(clock_, deadline.left(clock_)));
    }
}

awaitable<result<void>> MemoryBus::trim_before(Position position) {
    while (!events_.empty() && events_.front()->position < position)
        events_.pop_front();
    co_return result<void>{};
}

} // namespace netbuild
