// SPDX-License-Identifier: Apache-2.0
#include "gateway/world.hpp"

#include "runtime/random.hpp"

namespace netbuild::gateway {
namespace {

std::vector<std::string> positions(std::uint64_t from, std::uint64_t to) {
    std::vector<std::string> all;
    for (auto number = from; number <= to; ++number)
        all.push_back(fmt::format("{}-0", number));
    return all;
}

/// In domain:acme, whose first event it got.
bool has_seen_one_event(World& world, Client& client) {
    if (!client.connect() || !client.subscribe("domain:acme")) return false;
    world.append({event_at({1, 0}, "acme", "a")});
    return client.read(1) == 1;
}

TEST(Resume, of_a_thousand_drops_at_any_point_loses_and_doubles_nothing) {
    // A ring of 40 and a stream of 200: what is missed lies in the ring, the stream or the store.
    World world({.stream_max = 200, .ring_max = 40});
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    Random random(1);
    std::uint64_t number = 0;
    std::vector<std::string> expected;
    int drops = 0, recovered = 0;
    const auto publish = [&](std::uint64_t count) {
        std::vector<StreamEventPtr> events;
        for (std::uint64_t i = 0; i < count; ++i) {
            const bool ours = random.below(3) > 0;
            events.push_back(event_at({++number, 0}, ours ? "acme" : "umbra", "order-7"));
            if (ours) expected.push_back(fmt::format("{}-0", number));
        }
        world.append(std::move(events));
    };
    while (drops < 1000) {
        publish(1 + random.below(8));
        // On the whole more than what comes: what is behind would grow, and each drop cost more.
        client.read(random.below(80), std::chrono::milliseconds(2));
        if (random.below(2) == 0) publish(random.below(20));
        client.drop();
        ++drops;
        if (random.below(2) == 0) publish(random.below(random.below(10) == 0 ? 600 : 30));
        ASSERT_TRUE(client.connect());
        recovered += client.recovered ? 1 : 0;
    }
    publish(1);
    while (expected.back() != fmt::format("{}-0", number))
        publish(1);
    while (client.seen.size() < expected.size() && client.read(1) == 1) {
    }
    EXPECT_EQ(client.seen, expected);
    EXPECT_EQ(recovered, drops);
    EXPECT_GT(expected.size(), 5000u);
}

TEST(Resume, gives_what_came_before_the_first_event) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("execution:order-acme"));
    client.drop();
    world.append({event_at({5, 0}, "acme", "order-acme"), event_at({6, 0}, "acme", "other")});
    ASSERT_TRUE(client.connect()); // with a pid, and no offset yet
    EXPECT_TRUE(client.recovered);
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.seen, positions(5, 5));
}

TEST(Resume, is_of_the_rooms_that_the_client_had_and_not_of_those_it_left) {
    World world;
    Client client(world, "*");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    ASSERT_TRUE(client.subscribe("domain:umbra"));
    world.append({event_at({1, 0}, "acme", "a"), event_at({2, 0}, "umbra", "b")});
    EXPECT_EQ(client.read(2), 2u);
    static_cast<void>(client.ask("unsubscribe", "domain:umbra"));
    client.drop();
    world.append({event_at({3, 0}, "umbra", "b"), event_at({4, 0}, "acme", "a")});
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.read(1), 1u);
    world.append({event_at({5, 0}, "umbra", "b"), event_at({6, 0}, "acme", "a")});
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "2-0", "4-0", "6-0"}));
}

TEST(Resume, of_somebody_else_begins_anew) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(has_seen_one_event(world, client));
    client.drop();
    world.append({event_at({2, 0}, "acme", "a")});
    Client thief(world, "umbra");
    thief.pid = client.pid;
    thief.offset = client.offset;
    ASSERT_TRUE(thief.connect());
    EXPECT_FALSE(thief.recovered);
    EXPECT_EQ(thief.read(1, std::chrono::milliseconds(30)), 0u);
}

TEST(Resume, says_by_one_gap_what_is_not_kept_any_more) {
    World world({.stream_max = 2, .ring_max = 2});
    Client client(world, "acme");
    ASSERT_TRUE(has_seen_one_event(world, client));
    client.drop();
    for (std::uint64_t number = 2; number <= 9; ++number)
        world.append({event_at({number, 0}, "acme", "a")});
    world.until_at({9, 0});
    world.archive.removed = {5, 0};
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.last.at_path("source")->string_or(), "engine");
    EXPECT_EQ(client.last.at_path("from")->string_or(), "1-0");
    EXPECT_EQ(client.last.at_path("to")->string_or(), "5-0");
    EXPECT_EQ(client.last.at_path("reason")->string_or(), "retention");
    EXPECT_EQ(*client.last.at_path("rooms"), Value(Array{"domain:acme"}));
    EXPECT_EQ(client.read(4), 4u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "gap", "6-0", "7-0", "8-0", "9-0"}));
}

TEST(Resume, at_a_node_that_is_behind_waits_for_it_and_doubles_nothing) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(has_seen_one_event(world, client));
    client.drop();
    client.offset = R"(engine="3-0", documents="0-0")"; // a faster node had told of it
    ASSERT_TRUE(client.connect());
    for (std::uint64_t number = 2; number <= 5; ++number)
        world.append({event_at({number, 0}, "acme", "a")});
    EXPECT_EQ(client.read(2), 2u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "4-0", "5-0"}));
}

TEST(Resume, takes_the_place_of_a_connection_that_is_not_known_to_be_dead) {
    World world;
    Client half_open(world, "acme");
    ASSERT_TRUE(has_seen_one_event(world, half_open));
    Client again(world, "acme");
    again.pid = half_open.pid;
    again.offset = half_open.offset;
    world.append({event_at({2, 0}, "acme", "a")});
    ASSERT_TRUE(again.connect());
    EXPECT_TRUE(again.recovered);
    EXPECT_EQ(again.read(1), 1u);
    EXPECT_EQ(again.seen, positions(2, 2));
    EXPECT_EQ(world.gateway.size(), 1u);
}

TEST(Resume, of_a_busy_stream_costs_a_client_in_a_quiet_room_nothing) {
    World world({.stream_max = 100, .ring_max = 100});
    Client client(world, "acme");
    ASSERT_TRUE(has_seen_one_event(world, client));
    for (std::uint64_t number = 2; number <= 2000; ++number)
        world.append({event_at({number, 0}, "umbra", "b")});
    world.until_at({2000, 0});
    client.drop();
    ASSERT_TRUE(world.loop.until([&] { return world.gateway.size() == 0; }));
    world.archive.removed = {1999, 0}; // whoever asks the store is told of a gap
    ASSERT_TRUE(client.connect());
    world.append({event_at({2001, 0}, "acme", "a")});
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "2001-0"}));
}

TEST(Resume, with_an_offset_of_a_subscription_says_the_gap_before_the_room_is_joined) {
    World world({.stream_max = 2, .ring_max = 2});
    for (std::uint64_t number = 1; number <= 9; ++number)
        world.append({event_at({number, 0}, "acme", "a")});
    world.until_at({9, 0});
    world.archive.removed = {5, 0};
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("execution:b-acme"));
    const Value answer = client.ask("subscribe", "domain:acme", Object{{"offset", "1-0"}});
    EXPECT_EQ(answer.at_path("position.engine")->string_or(), "9-0");
    EXPECT_EQ(client.seen, (std::vector<std::string>{"gap", "6-0", "7-0", "8-0", "9-0"}));
    EXPECT_EQ(*client.first_gap.at_path("rooms"), Value(Array{"domain:acme"}));
}

TEST(Resume, with_an_offset_of_a_subscription_gives_the_room_from_there) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    world.append({event_at({1, 0}, "acme", "a"), event_at({2, 0}, "acme", "a")});
    world.until_at({2, 0});
    const Value answer = client.ask("subscribe", "domain:acme", Object{{"offset", "1-0"}});
    EXPECT_EQ(answer.at_path("position.engine")->string_or(), "2-0");
    EXPECT_EQ(client.seen, positions(2, 2));
}

} // namespace
} // namespace netbuild::gateway
