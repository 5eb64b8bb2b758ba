// SPDX-License-Identifier: Apache-2.0
// Which node emits the streams' events to a cluster's Node servers, and from where on. A clock that
// the test owns.
#include "gateway/event_publisher.hpp"
#include "gateway/world.hpp"
#include "realtime/fake_bus.hpp"
#include "realtime/fake_namespace.hpp"
#include "sim/simulated_clock.hpp"

namespace netbuild::gateway {
namespace {

using namespace std::chrono_literals;

class Publisher : public testing::Test {
protected:
    /// A node that may publish, with its own way through the streams.
    struct Candidate {
        Candidate(Publisher& test, std::string name)
            : test(test),
              feed({test.bus, nullptr, test.archive, test.clock, test.context.get_executor()},
                   {.events_max = 4}),
              publisher({test.clock, feed, test.cluster, realtime::redis_emitter("/", {})},
                        {.lease = {.key = "lease", .holder = std::move(name), .lifetime = 5s},
                         .batch_events_max = 3}),
              tasks(test.context.get_executor(), [](const std::string&, const Error& error) {
                  ADD_FAILURE() << error.message();
              }) {
            tasks.spawn("engine", feed.follow_engine());
            tasks.spawn("publisher", publisher.run());
        }
        ~Candidate() { kill(); }
        Candidate(const Candidate&) = delete;
        /// It gives nothing back.
        void kill() { test.must(tasks.stop()); }
        [[nodiscard]] bool publishes() const {
            return publisher.status().state == EventPublisher::State::publishing;
        }

        Publisher& test;
        feed::EventFeed feed;
        EventPublisher publisher;
        TaskGroup tasks;
    };
    /// A server of the cluster, with one client in each of these rooms.
    struct Server {
        explicit Server(Publisher& test, std::string ignored_uid = {}) {
            adapter = realtime::redis_adapter(local, {test.context.get_executor(), test.cluster,
                                                      test.clock, test.random, test.counters,
                                                      std::move(ignored_uid)});
            local.on_delivery = [this](const std::string& sid, const Array& data) {
                const Value* position = data.at(1).at_path("position");
                got[sid].emplace_back(position ? position->string_or() : std::string_view{});
                last = data;
            };
            local.add("domain", {"domain:acme"});
            local.add("execution", {"execution:order-7"});
            local.add("part", {part_of("execution:order-7", "acme")});
            test.must([](realtime::Adapter& a) -> awaitable<void> {
                EXPECT_TRUE((co_await a.start()).has_value());
            }(*adapter));
        }
        test::FakeNamespace local{"/"};
        std::unique_ptr<realtime::Adapter> adapter;
        std::map<std::string, std::vector<std::string>> got;
        Array last;
    };

    void must(awaitable<void> task) {
        bool ended = false;
        asio::co_spawn(context, std::move(task), [&](const std::exception_ptr&) { ended = true; });
        EXPECT_TRUE(clock.run_until([&] { return ended; }, 1h));
    }
    bool until(const std::function<bool()>& condition, Clock::duration time = 1min) {
        return clock.run_until(condition, time);
    }
    void append(std::uint64_t from, std::uint64_t to, const std::string& domain = "acme") {
        std::vector<StreamEventPtr> events;
        for (auto number = from; number <= to; ++number) {
            events.push_back(event_at({number, 0}, domain, "order-7"));
            positions.push_back(fmt::format("{}-0", number));
        }
        archive.events.insert(archive.events.end(), events.begin(), events.end());
        must(Streams::append_to(bus, std::move(events)));
    }

    asio::io_context context;
    sim::SimulatedClock clock{context};
    Random random{1};
    realtime::AdapterCounters counters;
    Archive archive;
    MemoryBus bus{context.get_executor(), clock, {.events_max = 100}};
    test::FakeBus cluster{context.get_executor(), &clock};
    /// Of all events so far.
    std::vector<std::string> positions;
};

TEST_F(Publisher, gives_each_event_once_to_the_plain_room_and_to_its_domains_part) {
    Server server(*this);
    Candidate one(*this, "one"), other(*this, "other");
    ASSERT_TRUE(until([&] { return one.publishes() || other.publishes(); }));
    append(1, 20);
    ASSERT_TRUE(until([&] { return server.got["domain"].size() >= 20; }));
    EXPECT_EQ(server.got["domain"], positions);
    EXPECT_EQ(server.got["execution"], positions);
    EXPECT_EQ(server.got["part"], positions);
    // [name, payload, offset], as NetBuild's own clients have it.
    ASSERT_EQ(server.last.size(), 3u);
    EXPECT_EQ(server.last[0], Value("task:created"));
    EXPECT_EQ(server.last[1].at_path("source")->string_or(), "engine");
    EXPECT_EQ(server.last[2], Value(R"(engine="20-0")"));
    append(21, 21, "umbra"); // a business key that another domain has, too
    ASSERT_TRUE(until([&] { return server.got["execution"].size() == 21; }));
    EXPECT_EQ(server.got["part"].size(), 20u);
    EXPECT_EQ(server.got["domain"].size(), 20u);
    EXPECT_NE(one.publishes(), other.publishes());
}

TEST_F(Publisher, that_dies_is_followed_by_another_that_goes_on_where_it_ended) {
    Server server(*this);
    auto first = std::make_unique<Candidate>(*this, "first");
    ASSERT_TRUE(until([&] { return first->publishes(); }));
    Candidate second(*this, "second");
    append(1, 5);
    ASSERT_TRUE(until([&] { return server.got["domain"].size() == 5; }));
    first->kill();
    append(6, 40); // more than a ring holds
    const auto died = clock.monotonic();
    ASSERT_TRUE(until([&] { return server.got["domain"].size() >= 40; }));
    EXPECT_LE(clock.monotonic() - died, 7s);
    EXPECT_EQ(server.got["domain"], positions);
    EXPECT_EQ(second.publisher.status().generation, 2u);
    // Nothing happened while nobody published: that is where it goes on, too.
    first = std::make_unique<Candidate>(*this, "third");
    must(second.publisher.release());
    const auto released = clock.monotonic();
    append(41, 42);
    ASSERT_TRUE(until([&] { return server.got["domain"].size() >= 42; }));
    EXPECT_LE(clock.monotonic() - released, 2s);
    EXPECT_EQ(server.got["domain"], positions);
}

TEST_F(Publisher, that_does_not_know_whether_it_sent_asks_and_doubles_nothing) {
    Server server(*this);
    Candidate one(*this, "one");
    ASSERT_TRUE(until([&] { return one.publishes(); }));
    cluster.loses_next_answer = true;
    append(1, 4);
    ASSERT_TRUE(until([&] { return server.got["domain"].size() >= 4; }));
    cluster.away = true;
    append(5, 9);
    ASSERT_TRUE(
        until([&] { return one.publisher.status().state == EventPublisher::State::waiting; }));
    cluster.away = false;
    ASSERT_TRUE(until([&] { return server.got["domain"].size() >= 9; }));
    EXPECT_EQ(server.got["domain"], positions);
    EXPECT_GE(one.publisher.status().retries, 2u);
}

TEST_F(Publisher, that_lost_its_turn_without_noticing_sends_nothing_more) {
    Server server(*this);
    Candidate sleepy(*this, "sleepy");
    ASSERT_TRUE(until([&] { return sleepy.publishes(); }));
    append(1, 1);
    ASSERT_TRUE(until([&] { return server.got["domain"].size() == 1; }));
    must([](ClusterBus& bus) -> awaitable<void> {
        const ClusterBus::LeaseTerms sleepy{.key = "lease", .holder = "sleepy"},
            next{.key = "lease", .holder = "next", .lifetime = 60s};
        EXPECT_TRUE((co_await bus.release(sleepy)).has_value());
        EXPECT_EQ((co_await bus.hold(next)).value().generation, 2u);
    }(cluster));
    append(2, 3);
    ASSERT_TRUE(until([&] { return !sleepy.publishes(); }));
    until([] { return false; }, 10s);
    EXPECT_EQ(server.got["domain"].size(), 1u);
    EXPECT_EQ(sleepy.publisher.status().holder, "next");
}

TEST_F(Publisher, is_ignored_by_gateways_which_read_the_streams_themselves) {
    Server node(*this), gateway(*this, std::string(publisher_uid));
    Candidate one(*this, "one");
    ASSERT_TRUE(until([&] { return one.publishes(); }));
    append(1, 3);
    ASSERT_TRUE(until([&] { return node.got["domain"].size() == 3; }));
    EXPECT_TRUE(gateway.got.empty());
    EXPECT_EQ(counters.ignored, 3u);
    // What others emit they give to their clients.
    node.adapter->broadcast({.nsp = "/", .data = Array{"m", Object{{"position", "x"}}}},
                            {.rooms = {"domain:acme"}});
    ASSERT_TRUE(until([&] { return !gateway.got.empty(); }));
    EXPECT_EQ(gateway.got["domain"], std::vector<std::string>{"x"});
}

} // namespace
} // namespace netbuild::gateway
