// SPDX-License-Identifier: Apache-2.0
#include "gateway/world.hpp"

namespace netbuild::gateway {
namespace {

TEST(Gateway, refuses_who_has_no_good_token_with_a_code) {
    World world;
    world.refused["Bearer acme"] = true;
    Client client(world, "acme");
    EXPECT_FALSE(client.connect());
    EXPECT_EQ(client.refusal.at_path("message")->string_or(), "unauthorized");
    EXPECT_EQ(client.refusal.at_path("data.code")->string_or(), "unauthorized");
}

TEST(Gateway, answers_alike_for_a_room_that_is_not_there_and_one_that_is_anothers) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    for (const std::string_view room : {"domain:umbra", "execution:order-umbra",
                                        "execution:none-acme", "user:umbra", "domain:*"}) {
        const Value answer = client.ask("subscribe", room);
        EXPECT_EQ(*answer.at_path("ok"), Value(false)) << room;
        EXPECT_EQ(answer.at_path("error.code")->string_or(), "not_found") << room;
        EXPECT_TRUE(answer.at_path("error.message")->string_or().ends_with(room)) << room;
    }
    for (const std::string_view room : {"", "acme", "domain:", "planet:acme", "user:a\x1f*"})
        EXPECT_EQ(client.ask("subscribe", room).at_path("error.code")->string_or(),
                  "invalid_argument")
            << room;
}

TEST(Gateway, gives_each_event_once_to_a_client_in_several_of_its_rooms) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    for (const std::string_view room :
         {"domain:acme", "execution:order-acme", "user:acme", "conversation:talk-acme"})
        ASSERT_TRUE(client.subscribe(room)) << room;
    world.append({event_at({1, 0}, "acme", "order-acme", "task:assigned",
                           {{"assignee", "acme"}, {"conversationId", "talk-acme"}}),
                  event_at({2, 0}, "acme", "order-acme")});
    EXPECT_EQ(client.read(2), 2u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "2-0"}));
    EXPECT_EQ(client.offset, R"(engine="2-0", documents="0-0")");
}

TEST(Gateway, keeps_the_events_of_another_domain_out_of_a_room_of_the_same_name) {
    World world;
    Client client(world, "acme"), all(world, "*");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(all.connect());
    ASSERT_TRUE(client.subscribe("execution:order-acme"));
    ASSERT_TRUE(client.subscribe("user:acme"));
    world.append({event_at({1, 0}, "umbra", "order-acme", "task:assigned", {{"assignee", "acme"}}),
                  event_at({2, 0}, "acme", "order-acme")});
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.seen, std::vector<std::string>{"2-0"});
}

TEST(Gateway, merges_the_streams_and_its_offset_names_a_place_in_both) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    world.append({event_at({3, 0}, "acme", "a")});
    EXPECT_EQ(client.read(1), 1u);
    world.loop.run(
        World::append_to(world.documents, {event_at({7, 1}, "acme", "a", "message:created")}));
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.offset, R"(engine="3-0", documents="7-1")");
    client.drop();
    world.loop.run(
        World::append_to(world.documents, {event_at({8, 0}, "acme", "a", "message:created")}));
    world.append({event_at({4, 0}, "acme", "a")});
    ASSERT_TRUE(client.connect());
    EXPECT_EQ(client.read(2), 2u);
    EXPECT_EQ(client.offset, R"(engine="4-0", documents="8-0")");
    std::sort(client.seen.begin(), client.seen.end());
    EXPECT_EQ(client.seen, (std::vector<std::string>{"3-0", "4-0", "7-1", "8-0"}));
}

TEST(Gateway, tells_a_user_of_its_own_record_and_nobody_else_but_who_sees_all) {
    World world;
    Client user(world, "acme"), owner(world, "*"), other(world, "umbra");
    for (Client* client : {&user, &owner, &other})
        ASSERT_TRUE(client->connect());
    EXPECT_TRUE(user.subscribe("user:acme"));
    EXPECT_FALSE(other.subscribe("user:acme"));
    EXPECT_FALSE(owner.subscribe("user:acme")); // a member, not an admin
    EXPECT_TRUE(other.subscribe("user:umbra"));
    const auto tell = [&](Position position, std::string type, Object more) {
        world.loop.run(World::append_to(
            world.documents, {event_at(position, "", "", std::move(type), std::move(more))}));
    };
    tell({1, 0}, "user:updated", {{"id", "acme"}});
    // Of no domain, and not the user's record: nothing that its scope has.
    tell({2, 0}, "task:assigned", {{"assignee", "acme"}});
    tell({3, 0}, "user:updated", {{"id", "acme"}});
    EXPECT_EQ(user.read(2), 2u);
    EXPECT_EQ(user.seen, (std::vector<std::string>{"1-0", "3-0"}));
    user.drop();
    tell({4, 0}, "user:updated", {{"id", "acme"}});
    ASSERT_TRUE(user.connect());
    EXPECT_EQ(user.read(1), 1u);
    EXPECT_EQ(user.seen.back(), "4-0");
    EXPECT_EQ(other.read(1, std::chrono::milliseconds(30)), 0u);
}

TEST(Gateway, says_clearly_that_a_client_has_too_many_rooms) {
    World world({.gateway = {.rooms_a_client_max = 2}});
    Client client(world, "*");
    ASSERT_TRUE(client.connect());
    EXPECT_TRUE(client.subscribe("domain:a"));
    EXPECT_TRUE(client.subscribe("domain:b"));
    EXPECT_EQ(client.ask("subscribe", "domain:c").at_path("error.code")->string_or(), "overloaded");
    static_cast<void>(client.ask("unsubscribe", "domain:a"));
    EXPECT_TRUE(client.subscribe("domain:c"));
}

TEST(Gateway, lists_and_kicks_its_clients) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    const auto listed = world.gateway.sockets("", 10);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].id, client.sid);
    EXPECT_EQ(listed[0].subject, "acme");
    EXPECT_EQ(listed[0].rooms, std::vector<std::string>{"domain:acme"});
    EXPECT_EQ(world.gateway.rooms(), (std::map<std::string, std::size_t>{{"domain:acme", 1}}));
    EXPECT_FALSE(world.gateway.kick("nobody"));
    EXPECT_TRUE(world.gateway.kick(client.sid));
    EXPECT_EQ(client.read(1), 0u);
    ASSERT_TRUE(client.connect());
    EXPECT_FALSE(client.recovered);
}

TEST(Gateway, lets_a_client_go_whose_token_is_not_good_any_more) {
    World world({.gateway = {.recheck = std::chrono::milliseconds(10)}});
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    world.refused["Bearer acme"] = true;
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.last.at_path("code")->string_or(), "unauthorized");
    EXPECT_EQ(client.read(1), 0u);
    EXPECT_EQ(world.gateway.counters().expired, 1u);
}

TEST(Gateway, renews_a_live_connection_with_a_newer_token_of_the_same_user) {
    World world({.gateway = {.recheck = std::chrono::milliseconds(10)}});
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    ASSERT_TRUE(client.subscribe("execution:order-acme"));
    EXPECT_EQ(*client.ask("authenticate", "acme#2").at_path("ok"), Value(true));
    world.refused["Bearer acme"] = true; // the first one's end: at the next looks nothing happens
    const auto looks = world.looks;
    EXPECT_TRUE(world.loop.until([&] { return world.looks >= looks + 2; }));
    world.append({event_at({1, 0}, "acme", "order-acme")});
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.seen, std::vector<std::string>{"1-0"});
    EXPECT_EQ(world.gateway.counters().renewed, 1u);
    world.refused["Bearer acme#2"] = true;
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.last.at_path("code")->string_or(), "unauthorized");
    EXPECT_EQ(client.read(1), 0u);
}

TEST(Gateway, does_not_renew_with_a_token_that_is_bad_or_somebody_elses) {
    World world;
    Client client(world, "acme");
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    world.refused["Bearer acme#2"] = true;
    for (const auto& [token, code] :
         {std::pair{"umbra", "forbidden"}, {"acme#2", "unauthorized"}, {"", "invalid_argument"}}) {
        const Value answer = client.ask("authenticate", token);
        EXPECT_EQ(*answer.at_path("ok"), Value(false)) << token;
        EXPECT_EQ(answer.at_path("error.code")->string_or(), code) << token;
    }
    EXPECT_EQ(world.gateway.counters().refused_renewals, 3u);
    world.append({event_at({1, 0}, "acme", "order-acme")}); // what it had it still has
    EXPECT_EQ(client.read(1), 1u);
}

TEST(Gateway, a_newer_token_moves_the_end_of_a_connection) {
    World world;
    Client client(world, "acme");
    world.expires_s = world.loop.clock.utc_us() / 1'000'000 + 2;
    ASSERT_TRUE(client.connect());
    world.expires_s = *world.expires_s + 3600;
    EXPECT_EQ(*client.ask("authenticate", "acme#2").at_path("ok"), Value(true));
    world.refused["Bearer acme"] = true;
    Client other(world, "umbra"); // its end is the earlier one's: when it is gone, that has passed
    world.expires_s = world.loop.clock.utc_us() / 1'000'000 + 2;
    ASSERT_TRUE(other.connect());
    world.refused["Bearer umbra"] = true;
    EXPECT_EQ(other.read(1), 1u);
    EXPECT_EQ(other.last.at_path("code")->string_or(), "unauthorized");
    ASSERT_TRUE(client.subscribe("domain:acme"));
}

} // namespace
} // namespace netbuild::gateway
