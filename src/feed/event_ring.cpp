// SPDX-License-Identifier: Apache-2.0
#include "feed/event_ring.hpp"

#include <algorithm>
#include <optional>

#include "base/shrink.hpp"
#include "ports/stored_events.hpp"

namespace netbuild::feed {
namespace {

/// No room of a client's has this name: that of what everybody is told.
constexpr std::string_view everybody = "gap";

/// Beside the payload: the event's fields, the entries of the index.
constexpr std::size_t bytes_an_event = 400, bytes_a_room = 80;

std::size_t bytes_of(const FeedEvent& event) {
    std::size_t bytes = bytes_an_event + event.event->payload.size();
    for (const auto& room : event.rooms)
        bytes += bytes_a_room + room.size();
    return bytes;
}

template <class Function>
void for_each_room(const FeedEvent& event, Function function) {
    if (event.is_gap()) return function(std::string(everybody));
    for (const auto& room : event.rooms)
        function(room);
}

} // namespace

bool FeedEvent::is_gap() const noexcept { return event->type == gap_event_type; }

std::vector<std::string> rooms_of(const StreamEvent& event, const Value& payload) {
    std::vector<std::string> rooms;
    const auto add = [&](std::string_view kind, std::string_view id) {
        if (id.empty()) return;
        std::string room(kind);
        room.append(":").append(id);
        if (std::find(rooms.begin(), rooms.end(), room) == rooms.end())
            rooms.push_back(std::move(room));
    };
    const auto member = [&](std::string_view name) {
        const Value* value = payload.at_path(name);
        return value ? value->string_or() : std::string_view{};
    };
    if (event.type == gap_event_type) return rooms;
    add("domain", event.domain_id);
    add("execution", event.execution_id);
    add("execution", event.process_instance_id);
    if (event.type.starts_with("conversation:")) add("conversation", member("id"));
    add("conversation", member("conversationId"));
    if (event.type.starts_with("user:")) add("user", member("id"));
    add("user", member("assignee"));
    add("user", member("userId"));
    return rooms;
}

bool Interest::wants(const FeedEvent& event) const {
    if (event.is_gap()) return true; // what is missing, nobody knows
    if (!rooms.empty() && std::none_of(rooms.begin(), rooms.end(), [&](const auto& room) {
            return std::find(event.rooms.begin(), event.rooms.end(), room) != event.rooms.end();
        }))
        return false;
    return !admits || admits(event);
}

void EventRing::add(FeedEventPtr event) {
    const std::uint64_t number = first_ + events_.size();
    for_each_room(*event, [&](const std::string& room) { by_room_[room].push_back(number); });
    bytes_ += bytes_of(*event);
    events_.push_back(std::move(event));
    while (events_.size() > limits_.events_max ||
           (bytes_ > limits_.bytes_max && events_.size() > 1))
        drop_oldest();
}

void EventRing::drop_oldest() {
    const FeedEventPtr event = std::move(events_.front());
    events_.pop_front();
    ++first_;
    bytes_ -= bytes_of(*event);
    floor_.of(event->source) = std::max(floor_.of(event->source), event->event->position);
    for_each_room(*event, [&](const std::string& room) {
        const auto found = by_room_.find(room);
        found->second.pop_front();
        if (!found->second.empty()) return;
        by_room_.erase(found);
        shrink(by_room_);
    });
}

void EventRing::for_each_in(const Interest& interest, const Place& place,
                            const std::function<bool(std::uint64_t)>& visit) const {
    // The rooms' lists, merged: the next number of each in a heap, the smallest on top.
    using Rest = std::pair<Numbers::const_iterator, Numbers::const_iterator>;
    std::vector<Rest> heap;
    const auto later = [](const Rest& left, const Rest& right) {
        return *left.first > *right.first;
    };
    const auto add = [&](std::string_view room) {
        const auto found = by_room_.find(room);
        if (found == by_room_.end()) return;
        const auto& all = found->second;
        const auto from = std::partition_point(all.begin(), all.end(), [&](std::uint64_t number) {
            return place.covers(at(number)->place);
        });
        if (from != all.end()) heap.emplace_back(from, all.end());
    };
    for (const auto& room : interest.rooms)
        add(room);
    add(everybody);
    std::make_heap(heap.begin(), heap.end(), later);
    std::optional<std::uint64_t> visited;
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), later);
        auto& [next, end] = heap.back();
        if (*next != visited && !visit(*next)) return;
        visited = *next;
        if (++next == end) {
            heap.pop_back();
        } else {
            std::push_heap(heap.begin(), heap.end(), later);
        }
    }
}

std::vector<FeedEventPtr> EventRing::after(const Place& place, const Interest& interest,
                                           std::size_t count) const {
    std::vector<FeedEventPtr> found;
    // Where a place covers an event's, it has seen that event and all before it.
    const auto take = [&](const FeedEventPtr& event) {
        if (event->event->position > place.of(event->source) && interest.wants(*event))
            found.push_back(event);
        return found.size() < count;
    };
    if (interest.rooms.empty()) {
        auto event =
            std::partition_point(events_.begin(), events_.end(), [&](const FeedEventPtr& each) {
                return place.covers(each->place);
            });
        while (event != events_.end() && take(*event))
            ++event;
        return found;
    }
    for_each_in(interest, place, [&](std::uint64_t number) { return take(at(number)); });
    return found;
}

} // namespace netbuild::feed
