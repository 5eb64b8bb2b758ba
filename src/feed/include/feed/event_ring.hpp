// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "feed/place.hpp"
#include "model/value.hpp"
#include "ports/event_bus.hpp"

namespace netbuild::feed {

/// One event as this process saw it.
struct FeedEvent {
    StreamEventPtr event;
    Source source = Source::engine;
    /// All that the two streams had given, this event included: an offset behind it.
    Place place;
    /// "domain:acme", "execution:order-7", "execution:<process instance id>", "conversation:…",
    /// "user:…". Of a gap: none, it is everybody's.
    std::vector<std::string> rooms;

    [[nodiscard]] bool is_gap() const noexcept;
};
using FeedEventPtr = std::shared_ptr<const FeedEvent>;

/// The rooms of an event; `payload` is its JSON object.
[[nodiscard]] std::vector<std::string> rooms_of(const StreamEvent& event, const Value& payload);

/// What a reader wants.
struct Interest {
    /// Any of these, ascending; none: everything.
    std::vector<std::string> rooms = {};
    /// Empty: all of it. Gaps are not asked about.
    std::function<bool(const FeedEvent&)> admits = {};

    [[nodiscard]] bool wants(const FeedEvent& event) const;
};

/// The newest events, indexed by room, within a number and a size: what a reader missed is found at
/// a cost of what it missed. One executor.
class EventRing {
public:
    struct Limits {
        std::size_t events_max = 100'000;
        std::size_t bytes_max = 64 * 1024 * 1024;
    };
    explicit EventRing(Limits limits) : limits_(limits) {}

    /// Nothing up to here will be in it.
    void begin(Source source, Position position) { floor_.of(source) = position; }
    void add(FeedEventPtr event);

    /// Events up to it may be missing; all later ones that were added are there.
    [[nodiscard]] const Place& floor() const noexcept { return floor_; }
    [[nodiscard]] bool covers(const Place& place) const noexcept { return place.covers(floor_); }
    /// Up to `count` events beyond `place` that `interest` wants, in the order that they came.
    [[nodiscard]] std::vector<FeedEventPtr> after(const Place& place, const Interest& interest,
                                                  std::size_t count) const;

    [[nodiscard]] std::size_t size() const noexcept { return events_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t rooms() const noexcept { return by_room_.size(); }

private:
    [[nodiscard]] const FeedEventPtr& at(std::uint64_t number) const {
        return events_[static_cast<std::size_t>(number - first_)];
    }
    using Numbers = std::deque<std::uint64_t>;
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const noexcept {
            return std::hash<std::string_view>()(name);
        }
    };
    /// Ascending, each once, until `visit` says that it is enough.
    void for_each_in(const Interest& interest, const Place& place,
                     const std::function<bool(std::uint64_t)>& visit) const;
    void drop_oldest();

    Limits limits_;
    std::deque<FeedEventPtr> events_;
    std::uint64_t first_ = 0; // number of events_.front()
    std::size_t bytes_ = 0;
    Place floor_;
    std::unordered_map<std::string, Numbers, NameHash, std::equal_to<>> by_room_;
};

} // namespace netbuild::feed
