// SPDX-License-Identifier: Apache-2.0
// What a client goes through when the servers change under it: on servers of each test's own.
#include <list>

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>

#include "support/private_redis.hpp"
#include "support/redis_connection.hpp"

namespace netbuild::test {
namespace {

using Reply = resp::Reply;
using namespace std::chrono_literals;

struct Client {
    explicit Client(RedisClient::Options options)
        : connection(context, clock, std::move(options)) {}
    Reply ask(RedisCommand command, Clock::duration timeout = 30s) {
        return must(context, client.execute(std::move(command), timeout));
    }
    Reply set(const std::string& key, const std::string& value) {
        return ask(RedisCommand::on(key, {"SET", key, value}));
    }
    std::string get(const std::string& key) {
        return ask(RedisCommand::on(key, {"GET", key})).text;
    }
    asio::io_context context;
    SystemClock clock;
    RedisConnection connection;
    RedisClient& client = connection.client;
};

TEST(RedisCluster, a_slot_that_moves_while_it_is_written_and_read_loses_nothing) {
    const PrivateRedis redis(3, true);
    Client client({.url = redis.url(0)});
    for (int i = 0; i < 50; ++i)
        client.set("{moving}" + std::to_string(i), "before");
    const int from = redis.owner("{moving}0");
    const int to = (from + 1) % 3;
    const std::string slot = redis.ask(0, "cluster keyslot {moving}0");
    const std::string number = slot.substr(slot.find_first_of("0123456789"));
    const std::string moving = number.substr(0, number.find_first_not_of("0123456789"));
    const auto id = [&](int server) { return redis.ask(server, "cluster myid").substr(0, 40); };
    redis.ask(to, "cluster setslot " + moving + " importing " + id(from));
    redis.ask(from, "cluster setslot " + moving + " migrating " + id(to));
    // Half of the keys are there, half here; new ones begin there: ASK.
    for (int i = 0; i < 25; ++i)
        ASSERT_NE(redis
                      .ask(from, "migrate 127.0.0.1 " + redis.port(to) + " {moving}" +
                                     std::to_string(i) + " 0 1000")
                      .find("OK"),
                  std::string::npos);
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(client.get("{moving}" + std::to_string(i)), "before");
    for (int i = 50; i < 60; ++i)
        client.set("{moving}" + std::to_string(i), "new");
    EXPECT_GT(client.client.counters().redirections, 0u);
    for (int i = 25; i < 50; ++i)
        redis.ask(from, "migrate 127.0.0.1 " + redis.port(to) + " {moving}" + std::to_string(i) +
                            " 0 1000");
    for (const int server : {to, from, 3 - from - to})
        redis.ask(server, "cluster setslot " + moving + " node " + id(to));
    // MOVED: the next one finds it, those after it are asked there at once.
    for (int i = 0; i < 60; ++i)
        EXPECT_EQ(client.get("{moving}" + std::to_string(i)), i < 50 ? "before" : "new");
    const auto redirections = client.client.counters().redirections;
    for (int i = 0; i < 60; ++i)
        client.get("{moving}" + std::to_string(i));
    EXPECT_EQ(client.client.counters().redirections, redirections);
}

TEST(RedisCluster, a_master_that_dies_is_followed_to_its_replica_and_tracked_keys_are_forgotten) {
    PrivateRedis redis(6, true);
    int forgotten = 0;
    RedisClient::Options options;
    options.url = redis.url(1);
    options.tracking = true;
    options.on_invalidated = [&](std::optional<std::string_view> key) { forgotten += !key; };
    Client client(options);
    std::vector<std::string> keys;
    for (int i = 0; i < 60; ++i)
        keys.push_back("key" + std::to_string(i));
    for (const std::string& key : keys) {
        client.set(key, "v");
        EXPECT_EQ(client.get(key), "v");
    }
    // Replication is asynchronous: only what its replica has is still there afterwards.
    for (const std::string& key : keys)
        client.ask(RedisCommand::on(key, {"WAIT", "1", "5000"}));
    forgotten = 0;
    const int dead = redis.owner(keys.front());
    redis.kill(dead);
    for (const std::string& key : keys) // waits out the failover
        EXPECT_EQ(client.get(key), "v") << key;
    client.set(keys.front(), "after");
    EXPECT_EQ(client.get(keys.front()), "after");
    EXPECT_GT(forgotten, 0);
    // The dead one comes back as a replica; whoever has its address is sent on.
    redis.start(dead);
    redis.until(dead, "info replication", "role:slave");
    EXPECT_EQ(client.get(keys.front()), "after");
}

TEST(RedisCluster, a_promoted_replica_is_found_by_the_next_command) {
    PrivateRedis redis(6, true);
    RedisClient::Options options;
    options.url = redis.url(1);
    options.ping_interval = std::chrono::hours(1); // does not find it by that
    Client client(options);
    std::string key = "key";
    while (redis.owner(key) != 0)
        key += "y";
    client.set(key, "v");
    const int replica = redis.replica_of(0);
    client.ask(RedisCommand::on(key, {"WAIT", "1", "5000"}));
    redis.kill(0);
    // That it is away is known, and that nobody has taken over yet.
    for (int i = 0; i < 3; ++i)
        EXPECT_FALSE(
            run(client.context, client.client.execute(RedisCommand::on(key, {"GET", key}), 50ms)));
    redis.until(replica, "info replication", "role:master");
    EXPECT_EQ(client.ask(RedisCommand::on(key, {"GET", key}), 2s).text, "v");
}

TEST(RedisFailover, a_server_that_became_a_replica_is_left_and_asked_again_when_it_is_a_master) {
    const PrivateRedis redis(2, false);
    Client client({.url = redis.url(0)});
    client.set("key", "1");
    redis.ask(0, "replicaof 127.0.0.1 " + redis.port(1));
    const auto refused = run(
        client.context, client.client.execute(RedisCommand::on("key", {"SET", "key", "2"}), 300ms));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::unavailable) << refused.error().message();
    EXPECT_NE(refused.error().message().find("replica"), std::string::npos)
        << refused.error().message();
    redis.ask(0, "replicaof no one");
    client.set("key", "3");
    EXPECT_EQ(client.get("key"), "3");
    EXPECT_GT(client.client.counters().connections_lost, 0u);
}

TEST(RedisFailover, what_is_under_way_to_a_server_that_became_a_replica_is_known_not_to_be_done) {
    const PrivateRedis redis(2, false);
    Client client({.url = redis.url(0), .timeout = 500ms});
    client.set("key", "1");
    redis.ask(0, "replicaof 127.0.0.1 " + redis.port(1));
    // Some are under way whenever another one is refused.
    constexpr int calls = 2000;
    int answers = 0, unavailable = 0;
    std::string other;
    for (int i = 0; i < calls; ++i) {
        client.client.send(RedisCommand::on("key", {"SET", "key", "2"}), [&](result<Reply> reply) {
            ++answers;
            const bool away = !reply && reply.error().code() == ErrorCode::unavailable;
            unavailable += away;
            if (!away) other = reply ? reply->text : reply.error().message();
        });
        client.context.restart();
        client.context.poll();
    }
    while (answers < calls)
        client.context.run_one();
    EXPECT_EQ(unavailable, calls) << other;
}

TEST(RedisFailover, a_server_that_is_away_for_a_moment_is_waited_for_and_nothing_is_sent_twice) {
    PrivateRedis redis(1, false, {"--appendonly", "yes", "--appendfsync", "always"});
    Client client({.url = redis.url(0)});
    int sent = 0, done = 0, unknown = 0, away = 0;
    const auto increment = [&] {
        ++sent;
        client.client.send(RedisCommand::on("count", {"INCR", "count"}), [&](result<Reply> reply) {
            if (reply) {
                ++done;
            } else {
                ++(reply.error().code() == ErrorCode::outcome_unknown ? unknown : away);
            }
        });
    };
    const auto settled = [&] {
        const Deadline deadline(client.clock, 20s);
        while (done + unknown + away < sent) {
            ASSERT_FALSE(deadline.passed(client.clock));
            must(client.context, client.clock.sleep(1ms));
        }
    };
    client.get("count");
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 200; ++i)
            increment();
        must(client.context, client.clock.sleep(round * 1ms)); // some are written, some answered
        redis.kill(0);
        for (int i = 0; i < 50; ++i) {
            increment();
            must(client.context, client.clock.sleep(1ms));
        }
        redis.start(0);
        settled();
    }
    const int count = std::stoi(client.get("count"));
    // Each that was answered counts once; one with an unknown outcome at most once.
    EXPECT_GE(count, done);
    EXPECT_LE(count, done + unknown);
    EXPECT_GT(done, 100);
    EXPECT_EQ(away, 0) << "what waits for a connection is sent when there is one";
}

TEST(RedisFailover, a_server_that_takes_a_connection_and_says_nothing_is_given_up_and_asked_again) {
    // As one that hangs while its name has moved on: only another connection finds the new one.
    using asio::ip::tcp;
    const std::string port = free_port();
    Client client({.url = "redis://127.0.0.1:" + port, .ping_interval = std::chrono::hours(1)});
    tcp::acceptor silent(client.context, {asio::ip::address_v4::loopback(),
                                          static_cast<std::uint16_t>(std::stoi(port))});
    std::list<tcp::socket> taken;
    std::function<void()> take = [&] {
        silent.async_accept([&](boost::system::error_code ec, tcp::socket socket) {
            if (ec) return;
            taken.push_back(std::move(socket));
            take();
        });
    };
    take();
    const Deadline deadline(client.clock, 10s);
    while (taken.size() < 2) {
        ASSERT_FALSE(deadline.passed(client.clock));
        must(client.context, client.clock.sleep(1ms));
    }
    const auto refused =
        run(client.context, client.client.execute(RedisCommand::on("key", {"GET", "key"}), 100ms));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::unavailable) << refused.error().message();
    EXPECT_NE(refused.error().message().find("no answer"), std::string::npos)
        << refused.error().message();
    silent.close();
}

TEST(RedisFaults, a_full_server_and_a_user_without_rights_are_named) {
    const PrivateRedis redis(1, false, {"--maxmemory-policy", "noeviction"});
    redis.ask(0, "acl setuser reader on '>word' '~*' +@read +hello +client +cluster");
    Client client({.url = redis.url(0)});
    client.set("key", "v");
    redis.ask(0, "config set maxmemory 1");
    const auto full =
        run(client.context, client.client.execute(RedisCommand::on("key", {"SET", "key", "w"})));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code(), ErrorCode::out_of_memory) << full.error().message();
    static const RedisScript script("return redis.call('SET', KEYS[1], ARGV[1])");
    const auto in_script = run(client.context, client.client.evaluate(script, {"other"}, {"v"}));
    ASSERT_FALSE(in_script);
    EXPECT_EQ(in_script.error().code(), ErrorCode::out_of_memory) << in_script.error().message();
    Client reader({.url = "redis://reader:word@127.0.0.1:" + redis.port(0)});
    EXPECT_EQ(reader.get("key"), "v");
    const auto refused =
        run(reader.context, reader.client.execute(RedisCommand::on("k", {"DEL", "k"})));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::unauthorized) << refused.error().message();
}

} // namespace
} // namespace netbuild::test
