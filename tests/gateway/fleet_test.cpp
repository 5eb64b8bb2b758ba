// SPDX-License-Identifier: Apache-2.0
// Several nodes that share sessions: a client goes on at any of them.
#include "gateway/shared_sessions.hpp"
#include "gateway/world.hpp"
#include "realtime/cluster_adapters.hpp"
#include "realtime/fake_bus.hpp"
#include "sim/simulated_clock.hpp"

namespace netbuild::gateway {
namespace {

using namespace std::chrono_literals;

Session session_with(std::string room, std::int64_t generation = 1) {
    Session session{.sid = "s", .pid = "p", .subject = "acme", .generation = generation};
    session.rooms.emplace(std::move(room), RoomState{{"acme"}, {}});
    return session;
}

class Sessions : public testing::Test {
protected:
    template <class T>
    T outcome(awaitable<result<T>> task) {
        std::optional<result<T>> found;
        asio::co_spawn(context, std::move(task), [&](std::exception_ptr, result<T> value) {
            found.emplace(std::move(value));
        });
        EXPECT_TRUE(clock.run_until([&] { return found.has_value(); }, 1h));
        return found->value();
    }
    void pass(Clock::duration time) {
        bool passed = false;
        clock.after(time, [&] { passed = true; });
        EXPECT_TRUE(clock.run_until([&] { return passed; }, time));
    }
    /// Its rooms, "+" between them; "nothing" if there is none.
    std::string found(SharedSessions& node) {
        const auto session = outcome(node.find("p"));
        if (!session) return "nothing";
        std::string rooms;
        for (const auto& [room, state] : session->rooms)
            rooms += (rooms.empty() ? "" : "+") + room;
        return rooms;
    }

    asio::io_context context;
    sim::SimulatedClock clock{context};
    test::FakeBus bus{context.get_executor(), &clock};
    SharedSessions first{context.get_executor(), clock, bus, {.keep = 60s}};
    SharedSessions second{context.get_executor(), clock, bus, {.keep = 60s}};
};

TEST_F(Sessions, of_one_node_are_found_by_another_until_they_expire) {
    first.keep(session_with("domain:acme"));
    EXPECT_EQ(found(second), "domain:acme");
    pass(59s);
    EXPECT_EQ(found(second), "domain:acme");
    first.keep(session_with("domain:acme")); // its client is still here
    pass(59s);
    EXPECT_EQ(found(second), "domain:acme");
    pass(2s);
    EXPECT_EQ(found(second), "nothing");
    EXPECT_EQ(first.counters().stored, 2u);
}

TEST_F(Sessions, that_another_node_has_taken_up_are_not_overwritten_by_a_late_write) {
    first.keep(session_with("domain:acme"));
    Session there = outcome(second.take_up(*outcome(second.find("p"))));
    EXPECT_EQ(there.generation, 2);
    first.keep(session_with("domain:old"));
    EXPECT_EQ(found(second), "domain:acme");
    there.rooms.emplace("domain:new", RoomState{{"acme"}, {}});
    second.keep(there);
    first.forget(session_with("domain:old"));
    EXPECT_EQ(found(first), "domain:acme+domain:new");
    EXPECT_EQ(first.counters().late, 1u);
}

TEST_F(Sessions, taken_up_by_two_nodes_at_a_time_belong_to_the_later) {
    first.keep(session_with("domain:acme"));
    const Session one = *outcome(first.find("p")), other = *outcome(second.find("p"));
    Session early = outcome(first.take_up(one)), late = outcome(second.take_up(other));
    EXPECT_LT(early.generation, late.generation);
    late.rooms.emplace("domain:late", RoomState{{"acme"}, {}});
    second.keep(late);
    first.keep(early);
    EXPECT_EQ(found(first), "domain:acme+domain:late");
}

TEST_F(Sessions, that_are_forgotten_do_not_come_back_by_a_late_write) {
    first.keep(session_with("domain:acme"));
    const Session there = outcome(second.take_up(*outcome(second.find("p"))));
    second.forget(there);
    first.keep(session_with("domain:acme"));
    EXPECT_EQ(found(first), "nothing");
    EXPECT_EQ(found(second), "nothing");
}

TEST_F(Sessions, stay_with_their_node_while_the_bus_is_away_and_are_counted) {
    bus.away = true;
    first.keep(session_with("domain:acme"));
    EXPECT_EQ(first.size(), 1u);
    bus.away = false;
    EXPECT_EQ(found(first), "domain:acme");
    EXPECT_EQ(found(second), "nothing");
    first.keep(session_with("domain:later")); // the next refresh is for all
    EXPECT_EQ(found(second), "domain:later");
    EXPECT_EQ(first.size(), 0u);
    bus.away = true;
    EXPECT_EQ(found(first), "nothing");
    EXPECT_EQ(first.counters().kept_here, 1u);
    EXPECT_EQ(first.counters().looked_here, 1u);
}

/// Nodes come and go; streams and bus stay.
struct Fleet : Streams {
    struct Member {
        Member(Fleet& fleet, GatewayOptions options)
            : sessions(fleet.loop.context.get_executor(), fleet.loop.clock, fleet.cluster, {}),
              node(fleet, sessions, 10'000, std::move(options)) {}
        SharedSessions sessions;
        Node node;
    };
    Fleet() : Streams(10'000) {}
    std::unique_ptr<Member> start(GatewayOptions options = {}) {
        auto member = std::make_unique<Member>(*this, std::move(options));
        EXPECT_TRUE(loop.until([&] { return loop_is_at(*member); }));
        return member;
    }
    /// It has read what there is.
    bool loop_is_at(Member& member) const {
        return archive.events.empty() ||
               member.node.feed.place().engine >= archive.events.back()->position;
    }

    test::FakeBus cluster{loop.context.get_executor(), &loop.clock};
};

/// In domain:acme, whose first event it got.
void greet(Fleet& fleet, Client& client) {
    ASSERT_TRUE(client.connect());
    ASSERT_TRUE(client.subscribe("domain:acme"));
    fleet.append({event_at({1, 0}, "acme", "a")});
    ASSERT_EQ(client.read(1), 1u);
}

TEST(Fleet, gives_a_client_at_another_node_exactly_what_it_missed) {
    Fleet fleet;
    const auto first = fleet.start(), second = fleet.start();
    Client client(first->node, "acme");
    greet(fleet, client);
    client.drop();
    fleet.append({event_at({2, 0}, "acme", "a"), event_at({3, 0}, "umbra", "b")});
    ASSERT_TRUE(client.connect_to(second->node));
    EXPECT_TRUE(client.recovered);
    fleet.append({event_at({4, 0}, "acme", "a")});
    EXPECT_EQ(client.read(2), 2u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "2-0", "4-0"}));
}

TEST(Fleet, gives_it_after_a_node_that_was_killed_and_began_anew) {
    Fleet fleet;
    auto node = fleet.start();
    Client client(node->node, "acme");
    greet(fleet, client);
    // What a node says at its end does not get out.
    fleet.cluster.away = true;
    node.reset();
    fleet.cluster.away = false;
    fleet.append({event_at({2, 0}, "acme", "a")});
    node = fleet.start();
    ASSERT_TRUE(client.connect_to(node->node));
    EXPECT_TRUE(client.recovered);
    fleet.append({event_at({3, 0}, "acme", "a")});
    EXPECT_EQ(client.read(2), 2u);
    EXPECT_EQ(client.seen, (std::vector<std::string>{"1-0", "2-0", "3-0"}));
}

TEST(Fleet, believes_the_node_that_has_the_client_and_not_the_one_that_learns_late) {
    Fleet fleet;
    const auto first = fleet.start(), second = fleet.start(), third = fleet.start();
    auto stale = std::make_unique<Client>(first->node, "*");
    greet(fleet, *stale);
    Client client = *stale; // the same client at another node, its old connection half open
    ASSERT_TRUE(client.connect_to(second->node));
    ASSERT_TRUE(client.recovered);
    ASSERT_TRUE(client.subscribe("domain:umbra"));
    stale.reset();
    EXPECT_TRUE(fleet.loop.until([&] { return first->sessions.counters().late == 1; }));
    client.drop();
    EXPECT_TRUE(fleet.loop.until([&] { return second->node.gateway.size() == 0; }));
    fleet.append({event_at({2, 0}, "umbra", "a")});
    ASSERT_TRUE(client.connect_to(third->node));
    EXPECT_TRUE(client.recovered);
    EXPECT_EQ(client.read(1), 1u);
    EXPECT_EQ(client.seen.back(), "2-0");
}

} // namespace
} // namespace netbuild::gateway
