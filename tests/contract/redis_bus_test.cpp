// SPDX-License-Identifier: Apache-2.0
#include "event_bus_contract.hpp"

#include "redis/redis_bus.hpp"
#include "support/child_process.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A stream of its own for each test.
struct Redis {
    explicit Redis(asio::io_context& context)
        : bus_(context.get_executor(), clock_,
               {.url = redis_url(), .stream = "netbuild:test:" + unique_name("events")}) {}
    EventBus& bus() { return bus_; }
    SystemClock clock_;
    RedisBus bus_;
};
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, EventBusContract, Redis);

TEST(RedisBus, a_server_that_is_away_is_unavailable) {
    asio::io_context context;
    SystemClock clock;
    RedisBus bus(context.get_executor(), clock,
                 {.url = "redis://127.0.0.1:1", .timeout = std::chrono::milliseconds(50)});
    EXPECT_EQ(run(context, bus.ping()).error().code(), ErrorCode::unavailable);
}

TEST(RedisBus, a_bad_url_is_a_configuration_error) {
    asio::io_context context;
    SystemClock clock;
    for (const char* url : {"nothing", "http://127.0.0.1", "redis://127.0.0.1/x"}) {
        RedisBus bus(context.get_executor(), clock, {.url = url});
        EXPECT_EQ(run(context, bus.ping()).error().code(), ErrorCode::invalid_configuration) << url;
    }
}

TEST(RedisBus, out_of_memory_leaves_no_hole_and_the_retry_adds_the_rest_once) {
    const std::string port = server_port(78);
    const ChildProcess server({"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                               "--maxmemory", "8mb", "--maxmemory-policy", "noeviction",
                               "--loglevel", "warning"});
    asio::io_context context;
    SystemClock clock;
    RedisBus bus(context.get_executor(), clock, {.url = "redis://127.0.0.1:" + port});
    std::vector<StreamEventPtr> all;
    Position last;
    std::size_t refused = 0;
    while (all.size() < 4000) {
        std::vector<StreamEventPtr> batch;
        for (int i = 0; i < 20; ++i) {
            auto event = std::make_shared<StreamEvent>(*stream_event(all.size() + 1, 0));
            event->payload.assign(4000, 'x');
            batch.push_back(event);
            all.push_back(std::move(event));
        }
        const Position newest = batch.back()->position;
        last = must(context, bus.append(batch));
        refused += last < newest;
        if (last < newest) break; // memory is full
    }
    ASSERT_EQ(refused, 1u) << "8 MB never filled up";
    ASSERT_EQ(std::system(("redis-cli -p " + port + " config set maxmemory 0 > /dev/null").c_str()),
              0);
    // What the pipeline does: the same events again.
    for (std::size_t at = 0; at < all.size(); at += 500) {
        must(context, bus.append({all.begin() + static_cast<std::ptrdiff_t>(at),
                                  all.begin() + static_cast<std::ptrdiff_t>(
                                                    std::min(at + 500, all.size()))}));
    }
    const auto stored = must(context, bus.read({}, 10'000, {}));
    ASSERT_EQ(stored.size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        ASSERT_EQ(stored[i]->position, all[i]->position);
}

TEST(RedisBus, a_stream_that_was_trimmed_empty_still_refuses_old_ids) {
    asio::io_context context;
    SystemClock clock;
    RedisBus bus(context.get_executor(), clock,
                 {.url = redis_url(), .stream = "netbuild:test:" + unique_name("events")});
    must(context, bus.append({stream_event(5, 0)}));
    must(context, bus.trim_before({9, 0}));
    EXPECT_TRUE(must(context, bus.first()).is_zero());
    EXPECT_EQ(must(context, bus.last()), (Position{5, 0}));
    EXPECT_EQ(must(context, bus.append({stream_event(4, 0)})), (Position{5, 0}));
}

} // namespace
} // namespace netbuild::test
