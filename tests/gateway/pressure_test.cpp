// SPDX-License-Identifier: Apache-2.0
// Readers that are slower than the events: they lose nothing, in order, and nobody waits for them.
#include <netinet/in.h>
#include <sys/socket.h>

#include "gateway/world.hpp"

#include "runtime/random.hpp"

namespace netbuild::gateway {
namespace {

constexpr std::uint64_t turn = 50; // events that are published at once
constexpr std::size_t queue_max = 256 * 1024;
constexpr std::size_t pressure = queue_max / realtime::EngineOptions::pressure_share;
/// More than the kernel's buffers of a connection take.
constexpr std::uint64_t many = 1000;
const std::string filler(2000, 'x');

/// The server's ends of its connections are in this process too: the kernel takes little for them,
/// so that a reader is slow soon.
void small_send_buffers(std::uint16_t server) {
    constexpr int files = 1024, bytes = 8 * 1024;
    for (int file = 0; file < files; ++file) {
        sockaddr_in own{};
        socklen_t size = sizeof own;
        if (getsockname(file, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
            own.sin_family == AF_INET && ntohs(own.sin_port) == server)
            setsockopt(file, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
}

World::Options small_queues(World::Options options = {}) {
    options.gateway.server.engine.queued_bytes_max = queue_max;
    return options;
}

class Pressure : public testing::Test {
protected:
    void make(World::Options options) { world.emplace(small_queues(std::move(options))); }
    void come(Client& client) {
        EXPECT_TRUE(client.connect());
        small_send_buffers(world->gateway.server().port());
        EXPECT_TRUE(client.subscribe("domain:acme"));
    }
    /// Appends up to this number, and lets `reader` read along.
    void publish(std::uint64_t upto, Client* reader = nullptr) {
        while (number < upto) {
            std::vector<StreamEventPtr> events;
            const auto before = number;
            while (number < upto && events.size() < turn) {
                const std::uint64_t next = ++number;
                events.push_back(
                    event_at({next, 0}, "acme", "order-7", "task:created", {{"filler", filler}}));
                expected.push_back(fmt::format("{}-0", next));
            }
            world->append(std::move(events));
            world->until_at({number, 0});
            if (reader) EXPECT_EQ(reader->read(number - before), number - before);
            most_queued = std::max(most_queued, world->engine().queued_bytes);
        }
    }
    /// Until the client is held, or all is published.
    void publish_until_held(std::uint64_t upto, Client* reader = nullptr) {
        while (number < upto && world->gateway.counters().fell_behind == 0)
            publish(std::min(upto, number + turn), reader);
        ASSERT_GT(world->gateway.counters().fell_behind, 0u);
    }

    std::optional<World> world;
    std::uint64_t number = 0;
    std::vector<std::string> expected;
    std::uint64_t most_queued = 0;
};

TEST_F(Pressure, a_reader_that_stops_and_goes_on_gets_everything_once_and_in_order) {
    make({.stream_max = 3000, .ring_max = 500}); // the ring, the stream and the store have it
    Client slow(*world, "acme"), quick(*world, "acme");
    come(slow);
    come(quick);
    publish(many, &quick);
    EXPECT_EQ(quick.seen, expected); // each round was read before the next: nobody waited for it
    EXPECT_GT(world->gateway.counters().fell_behind, 0u);
    EXPECT_GE(world->gateway.counters().replaying, 1u);
    // Its share and what came in one turn of the loop, however much it has not read.
    EXPECT_LE(most_queued, pressure + turn * 2200);
    EXPECT_EQ(slow.read(many), many);
    EXPECT_EQ(slow.seen, expected);
    EXPECT_EQ(world->engine().closed_slow, 0u);
    EXPECT_TRUE(world->loop.until([&] { return world->gateway.counters().replaying == 0; }));
    EXPECT_EQ(world->gateway.counters().caught_up, world->gateway.counters().fell_behind);
    // Live again, like the other.
    publish(number + 1);
    EXPECT_EQ(slow.read(1), 1u);
    EXPECT_EQ(quick.read(1), 1u);
    EXPECT_EQ(slow.seen, expected);
    EXPECT_EQ(slow.offset, quick.offset);
}

TEST_F(Pressure, a_reader_that_stops_at_any_point_loses_and_doubles_nothing) {
    make({.stream_max = 400, .ring_max = 100});
    Client client(*world, "acme");
    come(client);
    Random random(7);
    int drops = 0;
    while (number < 5 * many) {
        publish(number + random.below(300));
        client.read(random.below(250), std::chrono::milliseconds(2));
        if (random.below(4) != 0) continue;
        client.drop(); // amid what is queued for it
        ++drops;
        ASSERT_TRUE(client.connect());
        EXPECT_TRUE(client.recovered);
        small_send_buffers(world->gateway.server().port());
    }
    publish(number + 1);
    while (client.seen.size() < expected.size() && client.read(1) == 1) {
    }
    EXPECT_EQ(client.seen, expected);
    EXPECT_GT(drops, 3);
    EXPECT_GT(world->gateway.counters().fell_behind, 0u);
    EXPECT_EQ(world->engine().closed_slow, 0u);
}

TEST_F(Pressure, a_slow_reader_is_told_by_one_gap_what_even_the_store_does_not_have) {
    make({.stream_max = 100, .ring_max = 100});
    Client slow(*world, "acme");
    come(slow);
    publish_until_held(many);
    publish(number + 1500); // more than the kernel takes for it
    const auto removed = number - 150;
    world->archive.removed = {removed, 0};
    while (slow.read(1) == 1 && slow.seen.back() != expected.back()) {
    }
    const auto gap = std::find(slow.seen.begin(), slow.seen.end(), "gap");
    ASSERT_NE(gap, slow.seen.end());
    const std::vector<std::string> before(slow.seen.begin(), gap), after(gap + 1, slow.seen.end());
    EXPECT_EQ(before,
              std::vector<std::string>(
                  expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(before.size())));
    EXPECT_EQ(after, std::vector<std::string>(
                         expected.begin() + static_cast<std::ptrdiff_t>(removed), expected.end()));
    EXPECT_EQ(world->gateway.counters().gaps, 1u);
}

TEST_F(Pressure, what_others_emit_has_the_offset_of_a_held_client) {
    make({});
    Client slow(*world, "acme"), quick(*world, "acme");
    come(slow);
    come(quick);
    publish_until_held(many, &quick);
    publish(number + 100, &quick);
    realtime::Audience room;
    room.rooms = {"domain:acme"};
    world->gateway.server().of("/").emit(room, {"news", Object{{"position", "news"}}});
    EXPECT_EQ(quick.read(1), 1u);
    EXPECT_EQ(quick.seen.back(), "news");
    while (slow.read(1) == 1 && slow.seen.back() != "news") {
    }
    ASSERT_EQ(slow.seen.back(), "news");
    slow.seen.pop_back();
    const auto had = slow.seen.size();
    ASSERT_LT(had, expected.size());
    // Its offset says what it has, and no more.
    EXPECT_EQ(slow.offset, fmt::format(R"(engine="{}", documents="0-0")", slow.seen.back()));
    slow.drop();
    ASSERT_TRUE(slow.connect());
    EXPECT_EQ(slow.read(expected.size() - had), expected.size() - had);
    EXPECT_EQ(slow.seen, expected);
}

TEST_F(Pressure, who_is_let_go_is_told_why_and_comes_back_to_what_it_had) {
    make({});
    Client slow(*world, "acme");
    come(slow);
    publish_until_held(many);
    realtime::Audience room;
    room.rooms = {"domain:acme"};
    while (world->engine().closed_slow == 0) {
        world->gateway.server().of("/").emit(room, {"news", Object{{"text", filler}}, "offset"});
        world->loop.run_for(std::chrono::milliseconds(1));
    }
    EXPECT_LE(world->engine().queued_bytes, 8 * 1024u); // the queue is given up at once
    while (slow.read(1) == 1) {
    }
    EXPECT_EQ(slow.last.at_path("code")->string_or(), "slow_reader");
    EXPECT_EQ(slow.last.at_path("limit")->integer_or(), static_cast<std::int64_t>(queue_max));
    EXPECT_EQ(slow.ended, "closed 1013");
    std::erase(slow.seen, "error");
    std::erase(slow.seen, "news");
    ASSERT_TRUE(slow.connect());
    EXPECT_TRUE(slow.recovered);
    slow.read(expected.size() - slow.seen.size());
    EXPECT_EQ(slow.seen, expected);
}

} // namespace
} // namespace netbuild::gateway
