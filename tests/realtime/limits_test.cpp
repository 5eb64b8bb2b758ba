// SPDX-License-Identifier: Apache-2.0
// Clients that are slow, silent, too many or too much: limits hold, and nobody else is harmed.
#include "world.hpp"

namespace netbuild::realtime {
namespace {

const std::string websocket = "/socket.io/?EIO=4&transport=websocket";

struct World {
    Loop loop;
    std::unique_ptr<Server> server;
    std::vector<std::string> reasons;

    explicit World(ServerOptions options) {
        server = std::make_unique<Server>(loop.context.get_executor(), loop.clock, options);
        server->of("/").on("echo", [](const std::shared_ptr<Socket>&, Event event) {
            event.reply(std::move(event.arguments));
        });
        server->of("/").on_disconnect(
            [this](Socket&, std::string_view reason) { reasons.emplace_back(reason); });
        server->listen("127.0.0.1", 0).value();
    }
    ~World() {
        loop.run(server->stop({}));
        loop.run_for(std::chrono::milliseconds(20));
    }
    void connect(Peer& peer) {
        ASSERT_EQ(peer.upgrade(websocket), 101);
        static_cast<void>(peer.message());
        peer.text("40");
        ASSERT_TRUE(peer.message().starts_with("40"));
    }
    EngineCounters counters() const { return server->counters().engine; }
};

ServerOptions options() {
    ServerOptions out;
    out.engine.request_timeout = std::chrono::milliseconds(150);
    out.engine.idle_timeout = std::chrono::milliseconds(150);
    return out;
}

TEST(RealtimeLimits, silent_connections_and_slow_requests_end_in_time) {
    World world(options());
    std::vector<Peer> peers;
    for (int i = 0; i < 50; ++i)
        peers.emplace_back(world.loop, world.server->port());
    for (std::size_t i = 0; i < 25; ++i)
        peers[i].send("GET /socket.io/?EIO=4");
    EXPECT_TRUE(world.loop.until([&] { return world.counters().accepted == 50; }));
    // One byte now and then does not help.
    const Deadline deadline(world.loop.clock, std::chrono::seconds(5));
    while (world.counters().connections > 0 && !deadline.passed(world.loop.clock)) {
        peers[0].send("x");
        world.loop.run_for(std::chrono::milliseconds(30));
        for (auto& peer : peers)
            static_cast<void>(peer.read());
    }
    EXPECT_EQ(world.counters().connections, 0u);
    EXPECT_GE(world.counters().closed_timeout, 50u);
}

TEST(RealtimeLimits, a_head_or_body_that_is_too_long_is_refused_before_it_is_held) {
    World world(options());
    Peer head(world.loop, world.server->port());
    head.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nX: " + std::string(40'000, 'x'));
    EXPECT_EQ(head.answer().status, 431);
    Peer body(world.loop, world.server->port());
    const auto sid = sid_of(body.get("/socket.io/?EIO=4&transport=polling").body);
    body.send("POST /socket.io/?EIO=4&transport=polling&sid=" + sid +
              " HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    EXPECT_EQ(body.answer().status, 413);
    Peer unknown(world.loop, world.server->port());
    unknown.send("POST /socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\n"
                 "Host: x\r\nContent-Length: 900000\r\n\r\n");
    EXPECT_EQ(unknown.answer().status, 400); // no need to read it
}

TEST(RealtimeLimits, connections_past_the_limit_are_closed_and_a_place_is_free_again) {
    auto limited = options();
    limited.engine.connections_max = 2;
    World world(limited);
    Peer one(world.loop, world.server->port());
    world.connect(one);
    {
        Peer two(world.loop, world.server->port());
        world.connect(two);
        Peer three(world.loop, world.server->port());
        EXPECT_TRUE(three.ends());
        EXPECT_EQ(world.counters().refused_full, 1u);
    }
    EXPECT_TRUE(world.loop.until([&] { return world.counters().connections == 1; }));
    Peer four(world.loop, world.server->port());
    world.connect(four);
}

TEST(RealtimeLimits, a_slow_reader_is_closed_at_its_cap_and_others_get_everything) {
    auto limited = options();
    limited.engine.queued_bytes_max = 1024 * 1024;
    World world(limited);
    Peer slow(world.loop, world.server->port()), quick(world.loop, world.server->port());
    slow.receive_buffer(4096);
    world.connect(slow);
    world.connect(quick);
    const std::string big(64 * 1024, 'x');
    std::size_t sent = 0, got = 0;
    const Deadline deadline(world.loop.clock, std::chrono::seconds(20));
    while (world.reasons.empty() && !deadline.passed(world.loop.clock)) {
        world.server->of("/").emit({}, {"m", big});
        ++sent;
        EXPECT_EQ(quick.message(), "42[\"m\",\"" + big + "\"]");
        ++got;
    }
    EXPECT_EQ(world.reasons, std::vector<std::string>{"transport error"});
    EXPECT_EQ(world.counters().closed_slow, 1u);
    EXPECT_EQ(sent, got);
    EXPECT_TRUE(world.loop.until([&] { return world.counters().queued_bytes == 0; }));
}

TEST(RealtimeLimits, what_is_volatile_is_dropped_while_a_reader_is_slow) {
    World world(options());
    Peer slow(world.loop, world.server->port());
    slow.receive_buffer(4096);
    world.connect(slow);
    Audience audience;
    audience.flags.is_volatile = true;
    const std::string big(64 * 1024, 'x');
    for (int i = 0; i < 1000 && world.counters().dropped_volatile == 0; ++i) {
        world.server->of("/").emit(audience, {"m", big});
        world.loop.run_for(std::chrono::milliseconds(1));
    }
    EXPECT_GT(world.counters().dropped_volatile, 0u);
    EXPECT_TRUE(world.reasons.empty());
}

TEST(RealtimeLimits, events_past_the_rate_are_dropped_and_the_client_is_told_once) {
    auto limited = options();
    limited.events_a_second_max = 10;
    World world(limited);
    Peer peer(world.loop, world.server->port());
    world.connect(peer);
    for (int i = 0; i < 40; ++i)
        peer.text("42" + std::to_string(i) + "[\"echo\",1]");
    EXPECT_TRUE(world.loop.until([&] {
        const auto counters = world.server->counters();
        return counters.events + counters.limited_events == 40;
    }));
    // Two windows at most saw them.
    EXPECT_LE(world.server->counters().events, 20u);
    std::size_t told = 0;
    for (std::string next; (next = peer.message(std::chrono::milliseconds(50))) != "nothing";)
        told += next.find("rate_limited") != std::string::npos;
    EXPECT_GE(told, 1u);
    EXPECT_LE(told, 2u);
}

TEST(RealtimeLimits, rooms_of_a_client_have_a_limit) {
    auto limited = options();
    limited.rooms_a_socket_max = 3;
    World world(limited);
    std::shared_ptr<Socket> socket;
    world.server->of("/").on_connection([&](const std::shared_ptr<Socket>& who) { socket = who; });
    Peer peer(world.loop, world.server->port());
    world.connect(peer);
    for (const auto* room : {"a", "b", "c", "a"})
        EXPECT_TRUE(socket->join(room));
    EXPECT_EQ(socket->join("d").error().code(), ErrorCode::overloaded);
    socket->leave("b");
    EXPECT_TRUE(socket->join("d"));
}

} // namespace
} // namespace netbuild::realtime
