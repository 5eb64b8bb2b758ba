// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "feed/event_feed.hpp"

namespace netbuild::feed {

/// An event, and where its reader goes on after it.
struct Delivery {
    FeedEventPtr event;
    Place place;
};

/// One reader's way through the streams, from a place of its own to the newest event: what the ring
/// has not comes from the stream, what that has not from the store, what nobody has is told by a
/// gap event. Each event comes once, those of a stream in its order.
class FeedReader {
public:
    /// `feed` has started.
    FeedReader(EventFeed& feed, Place after, Interest interest)
        : feed_(feed), place_(after), interest_(std::move(interest)) {}

    /// All that is missing lies in the ring: newest() has it.
    [[nodiscard]] bool in_ring() const noexcept { return feed_.ring().covers(place_); }
    /// Next to nothing happened since; waits for nothing. Up to `count`; fewer: there are no more.
    [[nodiscard]] std::vector<Delivery> newest(std::size_t count);
    /// Some of the older ones, or none: then ask again.
    awaitable<result<std::vector<Delivery>>> older();
    /// The reader knows more than this process has seen: one that comes from a faster node.
    [[nodiscard]] bool is_ahead() const noexcept { return !feed_.place().covers(place_); }
    /// Whatever is missing up to the feed's place is not waited for; told by gap events.
    [[nodiscard]] std::vector<Delivery> give_up_ahead();

    [[nodiscard]] const Place& place() const noexcept { return place_; }
    /// To a delivery's place: what came after it comes again.
    void go_back(const Place& place) { place_ = place; }
    void change(Interest interest) { interest_ = std::move(interest); }

private:
    [[nodiscard]] Delivery gap(Source source, Position upto, std::string_view reason);
    awaitable<result<void>> older_of(Source source, std::vector<Delivery>& found);
    void take(Source source, const StreamEventPtr& event, std::vector<Delivery>& found);

    EventFeed& feed_;
    Place place_;
    Interest interest_;
    bool horizon_known_ = false;
};

} // namespace netbuild::feed
