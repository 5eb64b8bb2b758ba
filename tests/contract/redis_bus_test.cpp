// SPDX-License-Identifier: Apache-2.0
#include "event_bus_contract.hpp"

#include "redis/redis_bus.hpp"
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
