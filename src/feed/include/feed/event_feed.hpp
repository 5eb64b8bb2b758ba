// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "feed/event_ring.hpp"
#include "runtime/signal.hpp"

namespace netbuild::feed {

/// The engine's events in the store: what its stream does not have any more.
class EventArchive {
public:
    virtual ~EventArchive() = default;
    /// Events after `after`, oldest first, of up to `documents` of the store's documents.
    virtual awaitable<result<std::vector<StreamEventPtr>>> after(Position after,
                                                                 std::size_t documents) = 0;
    /// Events up to it were removed because of their age; zero: none.
    virtual awaitable<result<Position>> removed_upto() = 0;
};

/// Both event streams as they grow, read once for all readers of this process. One executor.
class EventFeed {
public:
    struct Ports {
        EventBus& engine;
        /// Null: nobody captures NetBuild's own data.
        EventBus* documents;
        EventArchive& archive;
        Clock& clock;
        asio::any_io_executor executor;
    };
    EventFeed(Ports ports, EventRing::Limits limits);

    /// Follow a stream until cancelled. Trouble is logged and tried again.
    awaitable<result<void>> follow_engine() { return follow(Source::engine); }
    awaitable<result<void>> follow_documents() { return follow(Source::documents); }

    /// Called with each event, in order, after it is in the ring, as long as what listen() gave is
    /// held; that ends before the feed.
    using Listener = std::function<void(const FeedEvent& event, const Value& payload)>;
    using Listening = std::shared_ptr<const void>;
    [[nodiscard]] Listening listen(Listener listener);

    /// Waits until both streams are followed; deadline_exceeded.
    awaitable<result<void>> started(Clock::duration wait);
    [[nodiscard]] const Place& place() const noexcept { return place_; }
    [[nodiscard]] const EventRing& ring() const noexcept { return ring_; }
    [[nodiscard]] const Ports& ports() const noexcept { return ports_; }
    [[nodiscard]] EventBus* bus(Source source) const noexcept {
        return source == Source::engine ? &ports_.engine : ports_.documents;
    }
    /// The next event, or `wait`.
    awaitable<result<void>> changed(Clock::duration wait) {
        return changed_.wait_for(ports_.clock, wait);
    }
    /// An offset: `documents` is in it where those are followed.
    [[nodiscard]] std::string text(const Place& place) const;

private:
    awaitable<result<void>> follow(Source source);
    awaitable<result<void>> step(Source source);
    awaitable<result<void>> catch_up(Source source);
    void add(Source source, StreamEventPtr event);

    Ports ports_;
    EventRing ring_;
    Place place_;
    bool begun_[2] = {false, false};
    /// The stream was away: it may have dropped what was not read yet.
    bool doubtful_[2] = {false, false};
    std::list<Listener> listeners_;
    Signal changed_;
};

} // namespace netbuild::feed
