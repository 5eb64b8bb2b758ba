// SPDX-License-Identifier: Apache-2.0
#include "event_bus_contract.hpp"

#include "redis/redis_bus.hpp"
#include "redis/redis_client.hpp"
#include "support/plain_redis.hpp"
#include "support/private_redis.hpp"
#include "support/redis_servers.hpp"
#include "support/servers.hpp"

namespace netbuild::test {
namespace {

/// A stream and a channel of its own for each test; what is done to the server goes through
/// connections that the bus knows nothing of.
template <RedisKind kind>
struct Redis {
    explicit Redis(asio::io_context& context)
        : context_(context),
          bus_(context.get_executor(), clock_, {.url = redis_server(kind).url, .stream = stream_}),
          raw_(context.get_executor(), clock_, {.url = redis_server(kind).url}),
          subscriber_(kind == RedisKind::cluster ? 51 : 79) {
        raw_.start().value();
        subscriber_.subscribe(channel_);
    }
    EventBus& bus() { return bus_; }
    void ask(std::vector<std::string_view> words) {
        must(context_, raw_.execute(RedisCommand::on(stream_, words)));
    }
    /// Newest first, as a server that comes back with an older file has lost them.
    void lose_after(Position position) {
        for (const auto& event : must(context_, bus_.read(position, 1000, {})))
            ask({"XDEL", stream_, to_string(event->position)});
        if (position.is_zero()) ask({"DEL", stream_});
    }
    /// What the channel had since the last call, up to a message that is sent now; from the
    /// stream's own server, for messages of two servers of a cluster have no order.
    std::vector<std::string> announced() {
        ask({"PUBLISH", channel_, "end"});
        std::vector<std::string> found;
        for (std::string text; (text = subscriber_.message()) != "end";)
            found.push_back(std::move(text));
        return found;
    }
    [[nodiscard]] const std::string& channel() const { return channel_; }
    asio::io_context& context_;
    SystemClock clock_;
    std::string stream_ = "netbuild:test:" + unique_name("events");
    std::string channel_ = unique_name("test:channel");
    RedisBus bus_;
    RedisClient raw_;
    PlainRedis subscriber_;
};
using Servers = testing::Types<Redis<RedisKind::single>, Redis<RedisKind::cluster>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, EventBusContract, Servers);

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
    const PrivateRedis server(1, false, {"--maxmemory", "8mb", "--maxmemory-policy", "noeviction"});
    asio::io_context context;
    SystemClock clock;
    RedisBus bus(context.get_executor(), clock, {.url = server.url(0)});
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
        last = must(context, bus.append(batch, {}));
        refused += last < newest;
        if (last < newest) break; // memory is full
    }
    ASSERT_EQ(refused, 1u) << "8 MB never filled up";
    ASSERT_EQ(server.ask(0, "config set maxmemory 0"), "OK\n");
    // What the pipeline does: the same events again.
    for (std::size_t at = 0; at < all.size(); at += 500) {
        must(context,
             bus.append({all.begin() + static_cast<std::ptrdiff_t>(at),
                         all.begin() + static_cast<std::ptrdiff_t>(std::min(at + 500, all.size()))},
                        {}));
    }
    const auto stored = must(context, bus.read({}, 10'000, {}));
    ASSERT_EQ(stored.size(), all.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        ASSERT_EQ(stored[i]->position, all[i]->position);
}

TEST(RedisBus, a_stream_whose_newest_entries_were_deleted_takes_them_again_under_their_ids) {
    asio::io_context context;
    SystemClock clock;
    const std::string stream = "netbuild:test:" + unique_name("events");
    RedisBus bus(context.get_executor(), clock, {.url = redis_url(), .stream = stream});
    PlainRedis raw;
    must(context, bus.append({stream_event(5, 0), stream_event(6, 0), stream_event(7, 0)}, {}));
    for (const char* damage : {"XDEL %s 7-0 6-0", "XTRIM %s MAXLEN 0", "DEL %s"}) {
        std::string command = damage;
        raw.command(command.replace(command.find("%s"), 2, stream));
        EXPECT_LT(must(context, bus.append({stream_event(8, 0)}, {.last = {7, 0}})),
                  (Position{6, 0}));
        EXPECT_EQ(
            must(context,
                 bus.append({stream_event(5, 0), stream_event(6, 0), stream_event(7, 0)}, {})),
            (Position{7, 0}))
            << damage;
        EXPECT_EQ(must(context, bus.read({}, 100, {})).size(), 3u) << damage;
    }
}

} // namespace
} // namespace netbuild::test
