// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "gateway/world.hpp"

namespace netbuild::feed {
namespace {

FeedEventPtr at(std::uint64_t number, std::vector<std::string> rooms) {
    return std::make_shared<const FeedEvent>(FeedEvent{gateway::event_at({number, 0}, "acme", "a"),
                                                       Source::engine,
                                                       {{number, 0}, {}},
                                                       std::move(rooms)});
}

std::vector<std::uint64_t> numbers(const std::vector<FeedEventPtr>& events) {
    std::vector<std::uint64_t> out;
    for (const auto& event : events)
        out.push_back(event->event->position.number);
    return out;
}

TEST(EventRing, gives_what_a_reader_of_rooms_missed_once_and_in_order) {
    EventRing ring({});
    ring.add(at(1, {"a"}));
    ring.add(at(2, {"a", "b"}));
    ring.add(at(3, {"c"}));
    ring.add(at(4, {"b"}));
    const Interest both{{"a", "b"}, {}};
    EXPECT_EQ(numbers(ring.after({}, both, 10)), (std::vector<std::uint64_t>{1, 2, 4}));
    EXPECT_EQ(numbers(ring.after({{1, 0}, {}}, both, 10)), (std::vector<std::uint64_t>{2, 4}));
    EXPECT_EQ(numbers(ring.after({}, both, 2)), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(numbers(ring.after({}, {}, 10)), (std::vector<std::uint64_t>{1, 2, 3, 4}));
    EXPECT_TRUE(ring.after({{4, 0}, {}}, both, 10).empty());
}

TEST(EventRing, forgets_the_oldest_beyond_a_number_and_a_size_with_their_rooms) {
    EventRing ring({.events_max = 3});
    for (std::uint64_t number = 1; number <= 5; ++number)
        ring.add(at(number, {"room " + std::to_string(number)}));
    EXPECT_EQ(ring.size(), 3u);
    EXPECT_EQ(ring.rooms(), 3u);
    EXPECT_EQ(ring.floor().engine, (Position{2, 0}));
    EXPECT_FALSE(ring.covers({{1, 0}, {}}));
    EXPECT_TRUE(ring.covers({{2, 0}, {}}));
    EventRing small({.bytes_max = 2000});
    for (std::uint64_t number = 1; number <= 100; ++number)
        small.add(at(number, {"a"}));
    EXPECT_LE(small.bytes(), 2000u);
    EXPECT_GE(small.size(), 1u);
    EXPECT_EQ(numbers(small.after({}, {{"a"}, {}}, 1000)).back(), 100u);
}

TEST(EventRing, has_a_gap_for_everybody) {
    EventRing ring({});
    auto gap = std::make_shared<FeedEvent>();
    gap->event = gap_event({1, 0}, {5, 0}, "slot_lost");
    gap->place = {{5, 0}, {}};
    ring.add(gap);
    EXPECT_EQ(ring.after({}, {{"a"}, [](const FeedEvent&) { return false; }}, 10).size(), 1u);
}

} // namespace
} // namespace netbuild::feed
