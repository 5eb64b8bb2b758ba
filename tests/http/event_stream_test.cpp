// SPDX-License-Identifier: Apache-2.0
// GET /v1/events ends when who follows it may not any more, and says so.
#include "http/world.hpp"

namespace netbuild::http {
namespace {

using gateway::event_at;

const std::string token = "Authorization: Bearer acme\r\n";

/// Reads until `text` has come.
bool reads(World& world, Peer& peer, std::string_view text) {
    return world.loop().until([&] {
        peer.read();
        return peer.received.find(text) != std::string::npos;
    });
}

TEST(EventStream, ends_with_its_token_and_goes_on_with_another_behind_what_it_had) {
    World world;
    Peer first(world.loop(), world.port());
    first.request("GET", "/v1/events?from=0-0", {}, token);
    ASSERT_TRUE(reads(world, first, "\r\n\r\n"));
    world.behind.append({event_at({1, 0}, "acme", "order-7")});
    ASSERT_TRUE(reads(world, first, "id: "));
    world.behind.refused["Bearer acme"] = true;
    EXPECT_TRUE(first.ends());
    EXPECT_TRUE(first.received.ends_with(
        ": closing, unauthorized: the token is not good any more; resume with a new one\n\n"))
        << first.received;
    const auto id = first.received.find("id: ") + 4;
    const auto last = first.received.substr(id, first.received.find('\n', id) - id);
    world.behind.append({event_at({2, 0}, "acme", "order-7")});
    Peer again(world.loop(), world.port());
    again.request("GET", "/v1/events", {},
                  "Authorization: Bearer acme#2\r\nLast-Event-ID: " + last + "\r\n");
    ASSERT_TRUE(reads(world, again, "\"2-0\""));
    EXPECT_EQ(again.received.find("\"1-0\""), std::string::npos);
}

TEST(EventStream, ends_at_the_second_that_its_token_names) {
    World world;
    world.behind.expires_s = world.loop().clock.utc_us() / 1'000'000 + 2;
    Peer peer(world.loop(), world.port());
    peer.request("GET", "/v1/events", {}, token);
    ASSERT_TRUE(reads(world, peer, "\r\n\r\n"));
    EXPECT_TRUE(peer.ends());
    EXPECT_NE(peer.received.find(": closing, unauthorized: "), std::string::npos);
    EXPECT_GE(world.loop().clock.utc_us() / 1'000'000, *world.behind.expires_s);
}

TEST(EventStream, of_a_good_token_does_not_end_at_a_look) {
    World world;
    Peer peer(world.loop(), world.port());
    peer.request("GET", "/v1/events", {}, token);
    ASSERT_TRUE(reads(world, peer, "\r\n\r\n"));
    const auto looks = world.behind.looks;
    EXPECT_TRUE(world.loop().until([&] { return world.behind.looks >= looks + 3; }));
    world.behind.append({event_at({1, 0}, "acme", "order-7")});
    EXPECT_TRUE(reads(world, peer, "id: "));
}

} // namespace
} // namespace netbuild::http
