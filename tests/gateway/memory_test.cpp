// SPDX-License-Identifier: Apache-2.0
// What clients cost is given back when they have gone.
#include <malloc.h>
#include <sys/resource.h>

#include "gateway/world.hpp"

namespace netbuild::gateway {
namespace {

/// Of this process, and 0 under a sanitizer, whose allocator is another.
std::size_t heap_bytes() { return mallinfo2().uordblks; }

class Memory : public testing::Test {
protected:
    void SetUp() override {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    static World::Options options() {
        World::Options options;
        options.stream_max = options.ring_max = 100;
        options.sessions.keep = std::chrono::milliseconds(1);
        options.gateway.server.engine.queued_bytes_max = 64 * 1024;
        return options;
    }
    /// So many come, enter rooms of their own and one of all, have more sent than they read, and
    /// go.
    void round(std::size_t clients) {
        std::vector<std::unique_ptr<Client>> all;
        for (std::size_t i = 0; i < clients; ++i) {
            auto& client = *all.emplace_back(std::make_unique<Client>(world, "*"));
            ASSERT_TRUE(client.connect());
            client.receive_buffer(2048);
            for (std::size_t room = 0; room < 4; ++room)
                ASSERT_TRUE(client.subscribe(fmt::format("domain:{}-{}", i, room)));
            ASSERT_TRUE(client.subscribe("domain:acme"));
        }
        EXPECT_EQ(world.gateway.size(), clients);
        EXPECT_EQ(world.gateway.rooms().size(), 4 * clients + 1);
        most = std::max(most, heap_bytes());
        std::vector<StreamEventPtr> events;
        for (int i = 0; i < 100; ++i)
            events.push_back(event_at({++number, 0}, "acme", "order-7", "task:created",
                                      {{"filler", std::string(10'000, 'x')}}));
        world.append(std::move(events));
        world.until_at({number, 0});
        queued = std::max(queued, world.engine().queued_bytes);
        most = std::max(most, heap_bytes());
        all.clear();
        ASSERT_TRUE(world.loop.until([&] {
            return world.engine().connections == 0 && world.gateway.size() == 0 &&
                   world.sessions.size() == 0;
        }));
        world.loop.run_for(std::chrono::milliseconds(20)); // what was posted
        world.archive.events.clear();
    }

    World world{options()};
    std::uint64_t number = 0, queued = 0;
    std::size_t most = 0;
};

TEST_F(Memory, is_given_back_when_thousands_of_clients_with_rooms_and_queues_have_gone) {
    round(50); // what is made once
    const auto before = heap_bytes();
    constexpr std::size_t clients = 2000;
    round(clients);
    const auto after = heap_bytes();
    const auto counters = world.gateway.server().counters();
    EXPECT_EQ(counters.engine.sessions, 0u);
    EXPECT_EQ(counters.engine.queued_bytes, 0u);
    EXPECT_EQ(counters.sockets, 0u);
    EXPECT_EQ(counters.rooms, 0u);
    EXPECT_TRUE(world.gateway.rooms().empty());
    EXPECT_EQ(world.gateway.counters().replaying, 0u);
    EXPECT_GT(queued, 0u);
    if (before == 0) return;
    EXPECT_GT(most, before + 10'000'000);
    // Asio keeps what it made for each descriptor, of both ends, for the next ones.
    constexpr std::size_t descriptor_bytes = 256;
    EXPECT_LT(after, before + 2 * clients * descriptor_bytes + 512 * 1024);
    RecordProperty("bytes_before", std::to_string(before));
    RecordProperty("bytes_most", std::to_string(most));
    RecordProperty("bytes_after", std::to_string(after));
}

} // namespace
} // namespace netbuild::gateway
