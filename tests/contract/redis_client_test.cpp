// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_client.hpp"

#include <deque>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <gtest/gtest.h>

#include "support/redis_connection.hpp"

namespace netbuild::test {
namespace {

using Reply = resp::Reply;

const RedisScript& add_script() {
    static const RedisScript script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    return script;
}

class RedisClientOn : public testing::TestWithParam<RedisKind> {
protected:
    RedisClient& client(RedisClient::Options options = {}) {
        const RedisServer server = redis_server(GetParam());
        options.url = server.url;
        options.ca_file = server.ca_file;
        return clients_.emplace_back(context_, clock_, std::move(options)).client;
    }
    Reply ask(RedisClient& client, RedisCommand command) {
        return must(context_, client.execute(std::move(command)));
    }
    /// Runs what is ready, and waits for more, until `done`.
    template <class Done>
    void until(Done done) {
        const Deadline deadline(clock_, std::chrono::seconds(10));
        while (!done()) {
            ASSERT_FALSE(deadline.passed(clock_));
            must(context_, clock_.sleep(std::chrono::milliseconds(5)));
        }
    }
    asio::io_context context_;
    SystemClock clock_;
    std::deque<RedisConnection> clients_;
};
INSTANTIATE_TEST_SUITE_P(Redis, RedisClientOn, testing::ValuesIn(redis_kinds),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(RedisClientOn, keys_of_every_slot_are_written_and_read) {
    RedisClient& redis = client();
    const std::string prefix = unique_name("client");
    std::vector<RedisCommand> writes, reads;
    for (int i = 0; i < 500; ++i) {
        const std::string key = prefix + ":" + std::to_string(i), value = std::to_string(i);
        writes.push_back(RedisCommand::on(key, {"SET", key, value, "EX", "60"}));
        reads.push_back(RedisCommand::on(key, {"GET", key}));
    }
    for (const auto& reply : run(context_, redis.execute_all(std::move(writes))))
        ASSERT_TRUE(reply) << reply.error().message();
    const auto replies = run(context_, redis.execute_all(std::move(reads)));
    ASSERT_EQ(replies.size(), 500u);
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(replies[i]) << replies[i].error().message();
        EXPECT_EQ(replies[i]->text, std::to_string(i));
    }
    EXPECT_EQ(redis.is_cluster(), GetParam() == RedisKind::cluster);
    EXPECT_TRUE(redis.connected());
    EXPECT_EQ(redis.counters().commands, 1000u);
}

TEST_P(RedisClientOn, a_script_is_sent_whole_to_a_server_that_does_not_know_it) {
    RedisClient& redis = client();
    const std::string key = unique_name("script");
    EXPECT_EQ(must(context_, redis.evaluate(add_script(), {key}, {"2"})).integer, 2);
    must(context_, redis.execute_everywhere(RedisCommand::anywhere({"SCRIPT", "FLUSH"})));
    // Several in flight meet NOSCRIPT; each is executed once.
    int sum = 0, answers = 0;
    for (int i = 0; i < 20; ++i) {
        const std::array<std::string_view, 1> keys{key};
        const std::array<std::string_view, 1> arguments{"1"};
        redis.evaluate(add_script(), keys, arguments, [&](result<Reply> reply) {
            ++answers;
            if (reply) sum = std::max(sum, static_cast<int>(reply->integer));
        });
    }
    until([&] { return answers == 20; });
    EXPECT_EQ(sum, 22);
}

TEST_P(RedisClientOn, errors_of_the_server_are_told_apart) {
    RedisClient& redis = client();
    const std::string key = unique_name("errors");
    ask(redis, RedisCommand::on(key, {"SET", key, "text", "EX", "60"}));
    const auto code_of = [&](RedisCommand command) {
        const auto reply = run(context_, redis.execute(std::move(command)));
        return reply ? ErrorCode::internal : reply.error().code();
    };
    EXPECT_EQ(code_of(RedisCommand::on(key, {"LPUSH", key, "x"})), ErrorCode::unsupported);
    EXPECT_EQ(code_of(RedisCommand::on(key, {"NOSUCHCOMMAND", key})), ErrorCode::invalid_argument);
    static const RedisScript wrong("return redis.call('LPUSH', KEYS[1], 'x')");
    const auto reply = run(context_, redis.evaluate(wrong, {key}, {}));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), ErrorCode::unsupported) << reply.error().message();
}

TEST_P(RedisClientOn, a_read_key_that_another_client_changes_is_told) {
    std::vector<std::optional<std::string>> told;
    RedisClient::Options options;
    options.tracking = true;
    options.on_invalidated = [&](std::optional<std::string_view> key) { told.emplace_back(key); };
    RedisClient& reader = client(options);
    RedisClient& writer = client();
    const std::string prefix = unique_name("tracked");
    std::vector<std::string> keys;
    for (int i = 0; i < 10; ++i) // on several masters
        keys.push_back(prefix + std::to_string(i));
    for (const std::string& key : keys) {
        ask(writer, RedisCommand::on(key, {"SET", key, "1", "EX", "60"}));
        EXPECT_EQ(ask(reader, RedisCommand::on(key, {"GET", key})).text, "1");
    }
    told.clear(); // that the slots are known now
    for (const std::string& key : keys)
        ask(writer, RedisCommand::on(key, {"SET", key, "2", "EX", "60"}));
    until([&] { return told.size() >= keys.size(); });
    for (const std::string& key : keys)
        EXPECT_EQ(std::count(told.begin(), told.end(), key), 1) << key;
}

TEST_P(RedisClientOn, a_lost_connection_is_made_again_and_what_was_tracked_is_forgotten) {
    int all = 0, changed = 0;
    RedisClient::Options options;
    options.name = unique_name("lost");
    options.tracking = true;
    options.on_invalidated = [&](std::optional<std::string_view> key) { ++(key ? changed : all); };
    RedisClient& redis = client(options);
    RedisClient& killer = client();
    const std::string key = unique_name("key");
    ask(redis, RedisCommand::on(key, {"SET", key, "1", "EX", "60"}));
    all = 0;
    for (const Reply& reply :
         must(context_, killer.execute_everywhere(RedisCommand::anywhere({"CLIENT", "LIST"})))) {
        // id=7 addr=… … name=NAME …
        const auto at = reply.text.find("name=" + options.name);
        if (at == std::string::npos) continue;
        const auto line = reply.text.rfind("id=", at) + 3;
        const std::string id = reply.text.substr(line, reply.text.find(' ', line) - line);
        must(context_,
             killer.execute_everywhere(RedisCommand::anywhere({"CLIENT", "KILL", "ID", id})));
    }
    until([&] { return all > 0; });
    EXPECT_GT(redis.counters().connections_lost, 0u);
    // Waits for the new connection, on which reads are tracked again.
    EXPECT_EQ(ask(redis, RedisCommand::on(key, {"GET", key})).text, "1");
    changed = 0;
    ask(killer, RedisCommand::on(key, {"SET", key, "2", "EX", "60"}));
    until([&] { return changed == 1; });
    EXPECT_EQ(ask(redis, RedisCommand::on(key, {"GET", key})).text, "2");
}

TEST_P(RedisClientOn, a_command_that_is_cancelled_ends_at_once_and_the_next_ones_are_answered) {
    using namespace asio::experimental::awaitable_operators;
    RedisClient& redis = client();
    const std::string key = unique_name("blocked");
    ask(redis, RedisCommand::on(key, {"DEL", key}));
    const auto began = clock_.monotonic();
    const auto either = [&]() -> awaitable<bool> {
        auto first = co_await (
            redis.execute(RedisCommand::on(key, {"BLPOP", key, "3"}), std::chrono::seconds(20)) ||
            clock_.sleep(std::chrono::milliseconds(20)));
        co_return first.index() == 1;
    };
    EXPECT_TRUE(run(context_, either()));
    EXPECT_LT(clock_.monotonic() - began, std::chrono::seconds(3));
    // Its reply comes all the same, and is nobody else's.
    RedisClient& other = client();
    ask(other, RedisCommand::on(key, {"RPUSH", key, "x"}));
    EXPECT_EQ(ask(redis, RedisCommand::on(key, {"LLEN", key})).integer, 0);
}

TEST_P(RedisClientOn, what_is_not_answered_in_time_has_an_unknown_outcome) {
    RedisClient::Options options;
    options.timeout = std::chrono::milliseconds(200);
    RedisClient& redis = client(options);
    const std::string key = unique_name("slow");
    ask(redis, RedisCommand::on(key, {"EXISTS", key}));
    const auto slow = run(context_, redis.execute(RedisCommand::on(key, {"BLPOP", key, "1"})));
    ASSERT_FALSE(slow);
    EXPECT_EQ(slow.error().code(), ErrorCode::outcome_unknown) << slow.error().message();
    EXPECT_GT(redis.counters().timeouts, 0u);
    until([&] { // the connection is of use again
        return run(context_, redis.execute(RedisCommand::on(key, {"EXISTS", key}))).has_value();
    });
}

TEST(RedisClient, a_server_that_is_away_is_named_within_the_time_out) {
    asio::io_context context;
    SystemClock clock;
    RedisConnection away(context, clock,
                         {.url = "redis://127.0.0.1:1", .timeout = std::chrono::milliseconds(100)});
    RedisClient& redis = away.client;
    const auto reply = run(context, redis.execute(RedisCommand::on("key", {"GET", "key"})));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), ErrorCode::unavailable);
    EXPECT_NE(reply.error().message().find("127.0.0.1:1: connect: Connection refused"),
              std::string::npos)
        << reply.error().message();
    EXPECT_FALSE(redis.connected());
}

TEST(RedisClient, a_wrong_password_a_foreign_certificate_and_a_url_that_is_none_are_named) {
    const RedisServer server = redis_server(RedisKind::tls);
    const auto failure = [&](std::string url, std::string ca_file) {
        asio::io_context context;
        SystemClock clock;
        RedisClient redis(context.get_executor(), clock,
                          {.url = std::move(url),
                           .ca_file = std::move(ca_file),
                           .timeout = std::chrono::milliseconds(700)});
        if (const auto started = redis.start(); !started) return started.error().message();
        const auto reply = run(context, redis.execute(RedisCommand::on("key", {"GET", "key"})));
        return reply ? std::string("no failure") : reply.error().message();
    };
    const auto has = [](const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos ? testing::AssertionSuccess()
                                                    : testing::AssertionFailure() << text;
    };
    const std::string port = server_port(77);
    EXPECT_TRUE(
        has(failure("rediss://netbuild:wrong@localhost:" + port, server.ca_file), "WRONGPASS"));
    const std::string other_ca = server.ca_file.substr(0, server.ca_file.rfind('/')) + "/other.pem";
    EXPECT_TRUE(has(failure(server.url, other_ca), "certificate"));
    std::string by_address = server.url;
    by_address.replace(by_address.find("localhost"), 9, "127.0.0.1");
    EXPECT_TRUE(has(failure(by_address, server.ca_file), "certificate"));
    EXPECT_TRUE(has(failure(server.url, "no/such/file.pem"), "redis.ca_file no/such/file.pem"));
    EXPECT_TRUE(has(failure("http://127.0.0.1", {}), "redis.url"));
}

} // namespace
} // namespace netbuild::test
