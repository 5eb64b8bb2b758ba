// SPDX-License-Identifier: Apache-2.0
// The adapters over a bus in memory and a clock that the test owns.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "fake_bus.hpp"
#include "fake_namespace.hpp"
#include "realtime/cluster_adapters.hpp"
#include "sim/simulated_clock.hpp"
#include "wire/redis_adapter_codec.hpp"

namespace netbuild::realtime {
namespace {

using namespace std::chrono_literals;

enum class Protocol { redis, sharded, streams };

class ClusterAdapters : public testing::TestWithParam<Protocol> {
protected:
    struct Node {
        explicit Node(ClusterAdapters& test) {
            const AdapterContext context{test.context.get_executor(), test.bus, test.clock,
                                         test.random, test.counters};
            switch (test.GetParam()) {
            case Protocol::redis:
                adapter = redis_adapter(local, context);
                break;
            case Protocol::sharded:
                adapter = sharded_adapter(local, context);
                break;
            case Protocol::streams:
                adapter = streams_adapter(local, context, {.recovery = 1min});
                break;
            }
            local.on_delivery = [this](const std::string& sid, const Array& data) {
                got.push_back(sid + ":" + std::string(data.at(0).string_or()));
                if (data.size() > 1) last_offset = data.back().string_or();
            };
            local.on_question = [](const std::string& sid, const Array&, auto on_ack) {
                if (sid != "mute") on_ack({Value(sid)});
            };
            local.on_server_side_event = [](const Array&, auto answer) {
                if (answer) answer(Value("hi"));
            };
            local.on_room = [this](const std::string& room, bool opened) {
                opened ? adapter->room_opened(room) : adapter->room_closed(room);
            };
            test.must(adapter->start());
        }
        test::FakeNamespace local{"/"};
        std::unique_ptr<Adapter> adapter;
        std::vector<std::string> got;
        std::string last_offset;
    };

    template <class T>
    result<T> outcome(awaitable<result<T>> task) {
        std::optional<result<T>> found;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr, result<T> value) {
            found.emplace(std::move(value));
        });
        if (!clock.run_until([&] { return found.has_value(); }, 1h))
            return fail(ErrorCode::internal, "it never ended");
        return std::move(*found);
    }
    void must(awaitable<result<void>> task) { ASSERT_TRUE(outcome(std::move(task))); }
    void settle() {
        clock.run_until([] { return false; }, 1ms);
    }
    static socketio::Packet event(const char* name) {
        return {.nsp = "/", .data = Array{Value(name)}};
    }

    asio::io_context context;
    sim::SimulatedClock clock{context};
    Random random{7};
    AdapterCounters counters;
    test::FakeBus bus{context.get_executor()};
};

TEST_P(ClusterAdapters, a_broadcast_gets_to_each_socket_of_its_audience_once) {
    Node a(*this), b(*this);
    a.local.add("a1", {"r1"});
    b.local.add("b1", {"r1"});
    b.local.add("b2", {"r2"});
    a.adapter->broadcast(event("all"), {});
    a.adapter->broadcast(event("one"), {.rooms = {"r1"}});
    b.adapter->broadcast(event("but"), {.rooms = {"r1", "r2"}, .except = {"b1"}});
    a.adapter->broadcast(event("here"), {.flags = {.local = true}});
    settle();
    std::sort(a.got.begin(), a.got.end());
    std::sort(b.got.begin(), b.got.end());
    EXPECT_EQ(a.got, (std::vector<std::string>{"a1:all", "a1:but", "a1:here", "a1:one"}));
    EXPECT_EQ(b.got, (std::vector<std::string>{"b1:all", "b1:one", "b2:all", "b2:but"}));
}

TEST_P(ClusterAdapters, requests_gather_what_every_node_has) {
    Node a(*this), b(*this), c(*this);
    a.local.add("a1", {"r1"});
    b.local.add("b1", {"r1"});
    c.local.add("c1", {"r2"});
    const auto sockets = outcome(a.adapter->fetch_sockets({.rooms = {"r1"}}));
    ASSERT_TRUE(sockets);
    EXPECT_EQ(sockets->items.size(), 2u);
    EXPECT_FALSE(sockets->timed_out);
    const auto acks =
        outcome(b.adapter->broadcast_with_ack(event("q"), {.flags = {.timeout = 100ms}}));
    ASSERT_TRUE(acks);
    EXPECT_EQ(acks->items.size(), 3u);
    const auto answers = outcome(c.adapter->server_side_emit_with_ack({Value("hello")}));
    ASSERT_TRUE(answers);
    EXPECT_EQ(answers->items, (std::vector<Value>{Value("hi"), Value("hi")}));
    EXPECT_EQ(outcome(a.adapter->server_count()).value(), 3u);
    a.adapter->join({.rooms = {"r1"}}, {"r3"});
    settle();
    EXPECT_TRUE(b.local.has_room("r3"));
    a.adapter->leave({}, {"r3"});
    settle();
    EXPECT_FALSE(a.local.has_room("r3") || b.local.has_room("r3"));
    b.adapter->disconnect({.rooms = {"r2"}}, true);
    settle();
    EXPECT_FALSE(c.local.has_room("c1"));
}

TEST_P(ClusterAdapters, a_silent_node_costs_its_part_of_the_answer_and_is_named) {
    Node a(*this), b(*this), c(*this);
    b.local.add("b1", {});
    bus.freeze_since(2);
    const auto sockets = outcome(a.adapter->fetch_sockets({}));
    ASSERT_TRUE(sockets);
    EXPECT_TRUE(sockets->timed_out);
    EXPECT_EQ(sockets->items.size(), 1u);
    ASSERT_EQ(sockets->missing.size(), 1u);
    const auto answers = outcome(a.adapter->server_side_emit_with_ack({Value("hello")}));
    ASSERT_TRUE(answers);
    EXPECT_TRUE(answers->timed_out);
    EXPECT_EQ(answers->items.size(), 1u);
    EXPECT_EQ(answers->missing, sockets->missing);
    EXPECT_EQ(counters.timed_out, 2u);
    EXPECT_EQ(counters.requests, 2u);
    EXPECT_GE(counters.request_time, 10s); // two times the time-out
}

TEST_P(ClusterAdapters, a_socket_that_does_not_answer_costs_only_its_answer) {
    Node a(*this), b(*this);
    a.local.add("a1", {});
    b.local.add("mute", {});
    const auto acks =
        outcome(a.adapter->broadcast_with_ack(event("q"), {.flags = {.timeout = 100ms}}));
    ASSERT_TRUE(acks);
    EXPECT_TRUE(acks->timed_out);
    EXPECT_EQ(acks->items, std::vector<Value>{Value("a1")});
    EXPECT_TRUE(acks->missing.empty());
}

TEST_P(ClusterAdapters, malformed_messages_are_counted_and_change_nothing) {
    Node a(*this);
    a.local.add("a1", {});
    for (const auto* text :
         {"", "{", "{}", "[]", R"({"type":4})", "\x93", R"({"type":5,"opts":7})"})
        bus.inject_everywhere(text);
    settle();
    EXPECT_GT(counters.malformed, 6u);
    EXPECT_TRUE(a.got.empty());
    EXPECT_TRUE(a.local.has_room("a1"));
}

TEST_P(ClusterAdapters, a_server_that_is_away_fails_requests_and_keeps_local_broadcasts) {
    Node a(*this);
    a.local.add("a1", {});
    bus.away = true;
    a.adapter->broadcast(event("x"), {});
    settle();
    EXPECT_EQ(a.got, std::vector<std::string>{"a1:x"});
    const auto sockets = outcome(a.adapter->fetch_sockets({}));
    ASSERT_FALSE(sockets);
    EXPECT_EQ(sockets.error().code(), ErrorCode::unavailable);
}

TEST_P(ClusterAdapters, a_session_is_restored_once_with_just_what_it_missed) {
    if (GetParam() != Protocol::streams) {
        Node plain(*this);
        EXPECT_FALSE(plain.adapter->recoverable());
        return;
    }
    Node a(*this), b(*this);
    a.local.add("s1", {"r1"});
    b.adapter->broadcast(event("seen"), {});
    settle();
    const std::string offset = a.last_offset;
    ASSERT_FALSE(offset.empty());
    a.adapter->save_session({.sid = "s1", .pid = "p1", .rooms = {"s1", "r1"}, .data = Object{}});
    b.adapter->broadcast(event("missed"), {.rooms = {"r1"}});
    b.adapter->broadcast(event("other"), {.rooms = {"r2"}});
    b.adapter->broadcast(event("excepted"), {.except = {"r1"}});
    b.adapter->broadcast(event("fleeting"), {.flags = {.is_volatile = true}});
    settle();
    const auto restore = [&](std::string from) {
        std::optional<RecoveredSession> found;
        bool ended = false;
        asio::co_spawn(context, b.adapter->restore_session("p1", std::move(from)),
                       [&](std::exception_ptr, std::optional<RecoveredSession> session) {
                           found = std::move(session);
                           ended = true;
                       });
        EXPECT_TRUE(clock.run_until([&] { return ended; }, 1h));
        return found;
    };
    EXPECT_FALSE(restore("no offset"));
    const auto session = restore(offset);
    ASSERT_TRUE(session);
    ASSERT_EQ(session->missed.size(), 1u);
    EXPECT_EQ(session->missed[0].at(0), Value("missed"));
    EXPECT_EQ(session->missed[0].size(), 2u);
    EXPECT_FALSE(restore(offset));
    a.adapter->save_session({.sid = "s1", .pid = "p1", .rooms = {"s1"}, .data = Object{}});
    EXPECT_FALSE(restore("1-1")); // an offset that the stream does not have
}

INSTANTIATE_TEST_SUITE_P(Protocols, ClusterAdapters,
                         testing::Values(Protocol::redis, Protocol::sharded, Protocol::streams));

} // namespace
} // namespace netbuild::realtime
