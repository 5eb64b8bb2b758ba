// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>

#include "ports/cache_store.hpp"
#include "redis/redis_client.hpp"
#include "runtime/random.hpp"

namespace netbuild {

/// The shared part of caches in Redis. Keys, with what is in <> escaped as in a URL:
///   netbuild:cache:<cache>:k:{<key>}        a record: one line, then the value's bytes
///   netbuild:cache:<cache>:k:{<key>}:lease  the loader's token
///   netbuild:cache:<cache>:t:{<tag>}        "generation position"
/// The line: "nb1 POSITION LOAD_MS STALE_MS value|none TAG=GENERATION,…". A record's time to live
/// holds its end, so no node's clock counts: it is fresh while more than STALE_MS of it are left.
class RedisCacheStore final : public CacheStore {
public:
    struct Options {
        /// Of the client, which is the store's own: `tracking` and `on_invalidated` are set here.
        RedisClient::Options client;
        /// A tag that is not used for so long is forgotten, and what has it is loaded anew.
        Clock::duration tag_time = std::chrono::hours(24);
    };
    RedisCacheStore(asio::any_io_executor executor, Clock& clock, Options options);

    result<void> start() { return client_.start(); }
    awaitable<void> stop() { co_await client_.stop(); }

    [[nodiscard]] Listening listen(const std::string& cache, Listener listener) override;
    [[nodiscard]] bool watching() const override { return client_.connected(); }
    awaitable<result<Seen>> read(CacheKey key) override;
    awaitable<result<Lease>> lease(CacheKey key, std::string token, Clock::duration time) override;
    awaitable<result<void>> release(CacheKey key, std::string token) override;
    awaitable<result<bool>> write(CacheKey key, CacheRecord record, std::string token) override;
    awaitable<result<void>> erase(CacheKey key) override;
    awaitable<result<void>> outdate(std::string cache, std::string tag, Position position) override;
    awaitable<result<void>> forget(std::string cache, std::string tag) override;

private:
    void changed(std::optional<std::string_view> key);
    [[nodiscard]] std::string new_generation();
    awaitable<result<CacheTag>> made_tag(std::string key);
    [[nodiscard]] std::string tag_time_ms() const;

    Options options_;
    Random random_ = Random::from_system();
    std::multimap<std::string, Listener, std::less<>> listeners_; // by cache
    RedisClient client_;
};

} // namespace netbuild
