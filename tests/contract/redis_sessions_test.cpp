// SPDX-License-Identifier: Apache-2.0
#include "session_store_contract.hpp"

#include "redis/redis_sessions.hpp"
#include "support/private_redis.hpp"
#include "support/redis_connection.hpp"

namespace netbuild::test {
namespace {

template <RedisKind kind>
struct On {
    static constexpr Clock::duration brief = std::chrono::milliseconds(1200);
    explicit On(asio::io_context& context)
        : context_(context), connection_(context, clock_, redis_options(redis_server(kind))) {}
    SessionStore& store(SessionTimeouts timeouts) {
        return stores_
            .emplace_back(connection_.client, clock_, RedisSessions::Options{.timeouts = timeouts})
            .store();
    }
    void pass(Clock::duration time) { must(context_, clock_.sleep(time)); }

    asio::io_context& context_;
    SystemClock clock_;
    RedisConnection connection_;
    std::deque<RedisSessions> stores_;
};
using Single = On<RedisKind::single>;
using Cluster = On<RedisKind::cluster>;
using Tls = On<RedisKind::tls>;
INSTANTIATE_TYPED_TEST_SUITE_P(RedisSingle, SessionStoreContract, Single);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisCluster, SessionStoreContract, Cluster);
INSTANTIATE_TYPED_TEST_SUITE_P(RedisTls, SessionStoreContract, Tls);

class RedisSessionsTest : public testing::Test {
protected:
    SessionStore& store(SessionTimeouts timeouts = {}) { return redis.store(timeouts); }
    resp::Reply ask(std::initializer_list<std::string_view> words) {
        return redis.connection_.ask(RedisCommand::anywhere(words));
    }
    static std::string key(const Session& session) {
        return "netbuild:session:{" + session.handle.substr(3) + "}";
    }
    asio::io_context context;
    Single redis{context};
};

TEST_F(RedisSessionsTest, redis_has_a_hash_of_the_id_only_and_every_key_ends) {
    SessionStore& sessions = store();
    const std::string user = unique_name("user");
    const auto made = must(context, sessions.create(user, {{"a", 1}}));
    const std::string list = "netbuild:session:user:" + session_handle(user).substr(3);
    EXPECT_EQ(ask({"GET", key(made.session)}).text.find(made.id), std::string::npos);
    for (const std::string& each : {key(made.session), list})
        EXPECT_GT(ask({"PTTL", each}).integer, 0) << each;
    ASSERT_TRUE(must(context, sessions.revoke(made.id)));
    EXPECT_EQ(ask({"EXISTS", key(made.session)}).integer, 0);
    // The tombstone stays until the session would have ended in any case.
    const auto left = ask({"PTTL", key(made.session) + ":ended"}).integer;
    EXPECT_NEAR(static_cast<double>(left), 12 * 3600e3, 10e3);
    EXPECT_EQ(ask({"ZCARD", list}).integer, 0);
}

TEST_F(RedisSessionsTest, a_write_whose_tombstone_is_there_is_refused_even_if_the_key_is_back) {
    SessionStore& sessions = store();
    const auto made = must(context, sessions.create("", {{"a", 1}}));
    const std::string text = ask({"GET", key(made.session)}).text;
    must(context, sessions.revoke(made.id));
    ask({"SET", key(made.session), text, "EX", "60"});
    EXPECT_EQ(
        run(context, sessions.update(made.id, {.set = {{"a", 2}}, .expected = {}})).error().code(),
        ErrorCode::not_found);
    EXPECT_EQ(run(context, sessions.touch(made.id)).error().code(), ErrorCode::not_found);
    // And the look at it has cleared it away.
    EXPECT_EQ(ask({"EXISTS", key(made.session)}).integer, 0);
}

TEST_F(RedisSessionsTest, something_else_at_the_key_is_unsupported_and_stays) {
    SessionStore& sessions = store();
    const auto made = must(context, sessions.create("", {}));
    must(context, sessions.read(made.id)); // Redis' time is known: reads are plain ones
    const auto all_refused = [&] {
        EXPECT_EQ(run(context, sessions.read(made.id)).error().code(), ErrorCode::unsupported);
        EXPECT_EQ(run(context, sessions.update(made.id, {})).error().code(),
                  ErrorCode::unsupported);
        EXPECT_EQ(run(context, sessions.rotate(made.id, {})).error().code(),
                  ErrorCode::unsupported);
    };
    ask({"DEL", key(made.session)});
    ask({"RPUSH", key(made.session), "x"});
    all_refused();
    EXPECT_EQ(run(context, sessions.touch(made.id)).error().code(), ErrorCode::unsupported);
    EXPECT_EQ(run(context, sessions.revoke(made.id)).error().code(), ErrorCode::unsupported);
    EXPECT_EQ(ask({"LLEN", key(made.session)}).integer, 1);
    ask({"DEL", key(made.session)});
    ask({"SET", key(made.session), "text", "EX", "60"});
    all_refused();
}

TEST_F(RedisSessionsTest, a_key_that_is_kept_longer_than_its_session_is_none_by_redis_clock) {
    // As after a plain read whose reader ended before it could move the key's end back.
    SessionStore& sessions = store();
    const std::string user = unique_name("user");
    const auto made = must(context, sessions.create(user, {{"a", 1}}));
    must(context, sessions.read(made.id));
    std::string text = ask({"GET", key(made.session)}).text;
    const auto ends = text.find(' ') + 1;
    const auto over = [&](std::string_view until) {
        std::string changed = text;
        changed.replace(ends, text.find(' ', ends) - ends, until);
        ask({"SET", key(made.session), changed, "EX", "3600"});
    };
    for (const int way : {0, 1, 2, 3, 4}) {
        over("1700000000000");
        const auto outcome = [&] {
            if (way == 0) return run(context, sessions.read(made.id)).error().code();
            if (way == 1) return run(context, sessions.touch(made.id)).error().code();
            if (way == 2) return run(context, sessions.update(made.id, {})).error().code();
            if (way == 3) return run(context, sessions.rotate(made.id, {})).error().code();
            return must(context, sessions.list(user)).empty() ? ErrorCode::not_found
                                                              : ErrorCode::internal;
        };
        EXPECT_EQ(outcome(), ErrorCode::not_found) << way;
    }
    over("1700000000000");
    EXPECT_FALSE(must(context, sessions.revoke(made.id)));
    // Nor is a key that ends soon anyway kept past that.
    const auto now = std::stoll(ask({"TIME"}).elements[0].text);
    over(std::to_string((now + 20) * 1000));
    must(context, sessions.read(made.id));
    const auto left = ask({"PTTL", key(made.session)}).integer;
    EXPECT_GT(left, 0);
    EXPECT_LE(left, 20'000);
}

TEST_F(RedisSessionsTest, a_session_of_the_list_that_is_not_there_is_struck_only_after_a_while) {
    SessionStore& sessions = store();
    const std::string user = unique_name("user");
    const auto made = must(context, sessions.create(user, {}));
    const std::string list = "netbuild:session:user:" + session_handle(user).substr(3);
    const std::string coming = session_handle("coming"), gone = session_handle("gone");
    const std::string score = ask({"ZSCORE", list, made.session.handle}).text;
    ask({"ZADD", list, score, coming});
    ask({"ZADD", list, "1000", gone});
    EXPECT_EQ(must(context, sessions.list(user)).size(), 1u);
    EXPECT_EQ(ask({"ZCARD", list}).integer, 2);
    // One that is being made while all are revoked is not made.
    EXPECT_EQ(must(context, sessions.revoke_all(user)), 1u);
    EXPECT_EQ(ask({"EXISTS", "netbuild:session:{" + coming.substr(3) + "}:ended"}).integer, 1);
}

TEST_F(RedisSessionsTest, reads_by_callback_are_the_same_and_pipelined) {
    RedisSessions sessions(redis.connection_.client, redis.clock_, {});
    const auto made = must(context, sessions.store().create("", {{"a", 1}}));
    int right = 0, none = 0, left = 0;
    for (int i = 0; i < 100; ++i) {
        ++left;
        sessions.read(i % 10 ? made.id : new_session_id(), [&](const result<Session>& session) {
            --left;
            (session ? right : none) += 1;
        });
    }
    while (left > 0)
        must(context, redis.clock_.sleep(std::chrono::milliseconds(1)));
    EXPECT_EQ(right, 90);
    EXPECT_EQ(none, 10);
}

TEST(RedisSessionsAway, a_server_that_is_away_is_unavailable) {
    asio::io_context context;
    SystemClock clock;
    RedisConnection redis(context, clock,
                          {.url = "redis://127.0.0.1:1", .timeout = std::chrono::milliseconds(50)});
    RedisSessions sessions(redis.client, clock, {});
    EXPECT_EQ(run(context, sessions.store().create("u", {})).error().code(),
              ErrorCode::unavailable);
    EXPECT_EQ(run(context, sessions.store().read(new_session_id())).error().code(),
              ErrorCode::unavailable);
    EXPECT_EQ(run(context, sessions.store().revoke_all("u")).error().code(),
              ErrorCode::unavailable);
}

TEST(RedisSessionsFull, a_full_server_refuses_new_ones_and_still_reads_and_ends_those_there_are) {
    const PrivateRedis server(1, false, {"--maxmemory-policy", "noeviction"});
    asio::io_context context;
    SystemClock clock;
    RedisConnection redis(context, clock,
                          {.url = server.url(0), .timeout = std::chrono::seconds(5)});
    RedisSessions sessions(redis.client, clock, {});
    SessionStore& store = sessions.store();
    const auto made = must(context, store.create("ada", {{"a", 1}}));
    const auto other = must(context, store.create("ada", {{"a", 1}}));
    redis.ask(RedisCommand::anywhere({"CONFIG", "SET", "maxmemory", "1mb"}));
    EXPECT_EQ(run(context, store.create("ada", {})).error().code(), ErrorCode::out_of_memory);
    EXPECT_EQ(
        run(context, store.update(made.id, {.set = {{"a", 2}}, .expected = {}})).error().code(),
        ErrorCode::out_of_memory);
    EXPECT_EQ(must(context, store.read(made.id)).data, (Object{{"a", 1}}));
    EXPECT_TRUE(must(context, store.revoke(made.id)));
    EXPECT_EQ(run(context, store.read(made.id)).error().code(), ErrorCode::not_found);
    EXPECT_EQ(must(context, store.revoke_all("ada")), 1u);
    EXPECT_EQ(run(context, store.read(other.id)).error().code(), ErrorCode::not_found);
}

} // namespace
} // namespace netbuild::test
