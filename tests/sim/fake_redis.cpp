// SPDX-License-Identifier: Apache-2.0
#include "fake_redis.hpp"

#include <algorithm>

namespace netbuild::sim {

void FakeRedis::lose_all() {
    lost_ |= !entries_.empty();
    entries_.clear();
    last_ = {};
}

void FakeRedis::lose_newest(std::size_t count) {
    count = std::min(count, entries_.size());
    lost_ |= count > 0;
    entries_.resize(entries_.size() - count);
    last_ = entries_.empty() ? Position{} : entries_.back()->position;
}

awaitable<result<void>> FakeRedis::ping() { co_return result<void>{}; }

awaitable<result<Position>> FakeRedis::append(std::vector<StreamEventPtr> events,
                                              AppendTerms terms) {
    if (last_ < terms.last && !forgets_what_it_had) co_return last_;
    const Position newest = events.empty() ? last_ : events.back()->position;
    bool failed = false;
    for (StreamEventPtr& event : events) {
        if (accepts_equal_ids ? event->position < last_ : event->position <= last_) continue;
        if (room_ && *room_ == 0) {
            failed = true;
            room_.reset();
            if (goes_on_after_failure) continue;
            break;
        }
        if (room_) --*room_;
        last_ = event->position;
        if (event->position > terms.announced &&
            (!forgets_to_publish || event->position.number / 8 % 16 != 0))
            published_.push_back(event);
        entries_.push_back(std::move(event));
    }
    appended_.notify_all();
    co_return failed&& says_all_after_failure ? std::max(last_, newest) : last_;
}

awaitable<result<Position>> FakeRedis::last() { co_return last_; }

awaitable<result<Position>> FakeRedis::first() {
    co_return entries_.empty() ? Position{} : entries_.front()->position;
}

awaitable<result<std::vector<StreamEventPtr>>> FakeRedis::read(Position after, std::size_t count,
                                                               Clock::duration wait) {
    const Deadline deadline(clock_, wait);
    while (true) {
        std::vector<StreamEventPtr> found;
        for (const StreamEventPtr& event : entries_) {
            if (event->position > after && found.size() < count) found.push_back(event);
        }
        if (!found.empty() || deadline.passed(clock_)) co_return found;
        CO_TRY_VOID(co_await appended_.wait_for(clock_, deadline.left(clock_)));
    }
}

awaitable<result<void>> FakeRedis::trim_before(Position position) {
    while (!entries_.empty() && entries_.front()->position < position)
        entries_.pop_front();
    co_return result<void>{};
}

} // namespace netbuild::sim
