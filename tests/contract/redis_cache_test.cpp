// SPDX-License-Identifier: Apache-2.0
#include "redis/redis_cache_store.hpp"

#include <gtest/gtest.h>

#include "cache_contract.hpp"
#include "support/private_redis.hpp"
#include "support/redis_servers.hpp"

namespace netbuild::test {
namespace {

/// Two nodes with a client each.
struct RedisNodes {
    explicit RedisNodes(RedisServer server, Clock::duration timeout = std::chrono::seconds(5)) {
        for (auto& each : stores_) {
            RedisCacheStore::Options options;
            options.client.url = server.url;
            options.client.ca_file = server.ca_file;
            options.client.timeout = timeout;
            each = std::make_unique<RedisCacheStore>(context.get_executor(), clock_,
                                                     std::move(options));
            each->start().value();
        }
        until([&] { return store(0).watching() && store(1).watching(); });
    }
    ~RedisNodes() {
        for (auto& each : stores_)
            run(stopped(*each));
    }
    static awaitable<bool> stopped(RedisCacheStore& store) {
        co_await store.stop();
        co_return true;
    }
    Clock& clock() { return clock_; }
    CacheStore& store(int node) { return *stores_[static_cast<std::size_t>(node)]; }
    template <class T>
    T run(awaitable<T> task) {
        return test::run(context, std::move(task));
    }
    void pass(Clock::duration time) { test::must(context, clock_.sleep(time)); }
    void until(const std::function<bool()>& done) {
        const Deadline deadline(clock_, std::chrono::seconds(20));
        while (!done()) {
            if (deadline.passed(clock_)) throw std::runtime_error("it never came");
            pass(std::chrono::milliseconds(2));
        }
    }
    asio::io_context context;
    std::string name = unique_name("cache");

private:
    SystemClock clock_;
    std::array<std::unique_ptr<RedisCacheStore>, 2> stores_;
};

template <RedisKind kind>
struct RedisCaches : RedisNodes {
    RedisCaches() : RedisNodes(redis_server(kind)) {}
};
using Kinds = testing::Types<RedisCaches<RedisKind::single>, RedisCaches<RedisKind::cluster>,
                             RedisCaches<RedisKind::tls>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, CacheContract, Kinds);

/// A server of the test's own, and one cache on it.
class CacheInTrouble : public testing::Test {
protected:
    explicit CacheInTrouble(std::vector<std::string> settings = {})
        : redis(1, false, std::move(settings)) {}
    ~CacheInTrouble() override { (void)nodes.run(stopped(cache)); }
    static awaitable<bool> stopped(Texts& cache) {
        co_await cache.stop();
        co_return true;
    }
    std::string text() {
        source.clock = &nodes.clock();
        const auto found = test::must(nodes.context, cache.get("k", {"t"}, source.loader()));
        return found.value ? *found.value : "(none)";
    }
    void settle() {
        nodes.until([&] {
            (void)text();
            return cache.try_get("k") != nullptr;
        });
    }
    PrivateRedis redis;
    RedisNodes nodes{{redis.url(0), {}}, std::chrono::milliseconds(200)};
    CacheSource source;
    cache::Options options() {
        cache::Options options;
        options.name = "texts";
        options.beta = 0;
        return options;
    }
    Texts cache{nodes.context.get_executor(), nodes.clock(), nodes.store(0), options(),
                text_codec()};
};

TEST_F(CacheInTrouble, redis_away_is_answered_from_the_source_and_nothing_is_served_from_before) {
    settle();
    source.value = "two";
    source.position = {11, 0};
    redis.kill(0);
    nodes.until([&] { return cache.try_get("k") == nullptr; });
    EXPECT_EQ(text(), "two");
    EXPECT_EQ(text(), "two");
    EXPECT_EQ(cache.try_get("k"), nullptr) << "nobody would tell when it is outdated";
    EXPECT_GE(source.loads, 3);
    EXPECT_GT(cache.core().counters().store_errors, 0u);
    // What was outdated meanwhile is outdated for others too, when it is back.
    cache.outdate("t", {50, 0});
    redis.start(0);
    nodes.until([&] {
        return redis.ask(0, "get 'netbuild:cache:texts:t:{t}'").find(" 50-0") != std::string::npos;
    });
    source.position = {50, 0};
    settle();
}

TEST_F(CacheInTrouble, a_slow_redis_costs_its_time_out_and_no_answer) {
    settle();
    redis.ask(0, "client pause 1000 all");
    source.value = "two";
    source.position = {11, 0};
    cache.outdate("t", {11, 0});
    EXPECT_EQ(text(), "two");
    nodes.until([&] { return redis.ask(0, "ping").starts_with("PONG"); });
    settle();
}

TEST_F(CacheInTrouble, something_else_at_the_key_is_answered_from_the_source_and_stays) {
    redis.ask(0, "lpush 'netbuild:cache:texts:k:{k}' theirs");
    EXPECT_EQ(text(), "one");
    EXPECT_EQ(text(), "one");
    EXPECT_EQ(source.loads, 2);
    EXPECT_GT(cache.core().counters().store_errors, 0u);
    EXPECT_EQ(redis.ask(0, "type 'netbuild:cache:texts:k:{k}'"), "list\n");
}

TEST_F(CacheInTrouble, a_value_that_is_none_of_ours_is_loaded_anew_and_replaced) {
    redis.ask(0, "set 'netbuild:cache:texts:k:{k}' 'nb9 of a version to come' PX 60000");
    EXPECT_EQ(text(), "one");
    settle();
    EXPECT_EQ(source.loads, 1);
}

TEST_F(CacheInTrouble, an_emptied_redis_makes_nothing_valid_again) {
    settle();
    const std::string record = redis.ask(0, "get 'netbuild:cache:texts:k:{k}'");
    EXPECT_TRUE(record.starts_with("nb1 10-0 ")) << record;
    // Only the tags are lost, as eviction may have it: what they said is not known any more.
    redis.ask(0, "del 'netbuild:cache:texts:t:{t}'");
    source.value = "two";
    source.position = {11, 0};
    nodes.until([&] { return text() == "two"; });
    redis.ask(0, "flushall");
    nodes.until([&] { return cache.try_get("k") == nullptr; });
    EXPECT_EQ(text(), "two");
}

struct CacheOnFullRedis : CacheInTrouble {
    CacheOnFullRedis() : CacheInTrouble({"--maxmemory", "1", "--maxmemory-policy", "noeviction"}) {}
};

TEST_F(CacheOnFullRedis, a_full_redis_is_counted_and_every_answer_comes_from_the_source) {
    EXPECT_EQ(text(), "one");
    EXPECT_EQ(text(), "one");
    EXPECT_EQ(source.loads, 2);
    EXPECT_GT(cache.core().counters().store_errors, 0u);
}

} // namespace
} // namespace netbuild::test
