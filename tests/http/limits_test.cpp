// SPDX-License-Identifier: Apache-2.0
// Connections that say nothing, too slowly or too much: each place is free again in time.
#include "http/world.hpp"

namespace netbuild::http {
namespace {

Server::Options quick() {
    Server::Options options;
    options.head_timeout = std::chrono::milliseconds(150);
    return options;
}

std::size_t all_ended(World& world, std::vector<Peer>& peers) {
    std::size_t ended = 0;
    static_cast<void>(world.loop().until([&] {
        ended = static_cast<std::size_t>(
            std::count_if(peers.begin(), peers.end(), [](Peer& peer) { return !peer.read(); }));
        return ended == peers.size();
    }));
    return ended;
}

TEST(HttpLimits, every_place_of_silent_connections_is_free_again_in_time) {
    auto options = quick();
    options.connections_max = 100;
    World world(options);
    std::vector<Peer> silent;
    for (int i = 0; i < 100; ++i)
        silent.emplace_back(world.loop(), world.port());
    ASSERT_TRUE(world.loop().until([&] { return world.server.connections() == 100; }));
    EXPECT_EQ(all_ended(world, silent), 100u);
    silent.clear();
    ASSERT_TRUE(world.loop().until([&] { return world.server.connections() == 0; }));
    Peer next(world.loop(), world.port());
    EXPECT_EQ(next.get("/healthz").status, 200);
}

TEST(HttpLimits, a_head_that_comes_byte_by_byte_has_one_timeout_in_all) {
    World world(quick());
    std::vector<Peer> slow;
    slow.emplace_back(world.loop(), world.port());
    slow[0].send("GET /healthz HTTP/1.1\r\nX: ");
    const bool ended = world.loop().until([&] {
        slow[0].send("x");
        return !slow[0].read();
    });
    EXPECT_TRUE(ended);
}

TEST(HttpLimits, between_requests_a_connection_may_be_silent_for_longer) {
    auto options = quick();
    options.idle_timeout = std::chrono::seconds(60);
    World world(options);
    Peer peer(world.loop(), world.port()), watch(world.loop(), world.port());
    EXPECT_EQ(peer.get("/healthz").status, 200);
    EXPECT_TRUE(watch.ends()); // the time of a head has passed
    EXPECT_EQ(peer.get("/healthz").status, 200);
    peer.send("GET /hea"); // the next head has its time again
    EXPECT_TRUE(peer.ends());
}

TEST(HttpLimits, what_is_too_long_is_refused_before_it_is_held) {
    World world(quick());
    Peer head(world.loop(), world.port());
    head.send("GET /healthz HTTP/1.1\r\nX: " + std::string(40'000, 'x'));
    EXPECT_EQ(head.answer().status, 431);
    Peer body(world.loop(), world.port());
    body.send("POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    EXPECT_EQ(body.answer().status, 413);
}

} // namespace
} // namespace netbuild::http
