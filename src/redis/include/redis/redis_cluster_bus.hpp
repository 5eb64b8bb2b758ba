// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "ports/cluster_bus.hpp"

namespace netbuild {

/// Redis 7, one server or a Redis Cluster (which it finds out). On one server: a connection for
/// commands, one for subscriptions, and one for each stream that is followed. In a cluster: one for
/// commands and, for shard channels, one for subscriptions to each master that owns such a slot.
class RedisClusterBus final : public ClusterBus {
public:
    struct Options {
        /// "redis://user:password@127.0.0.1:6379/0", rediss:// for TLS; of a cluster, any node.
        std::string url;
        /// Certificate authority for rediss://; empty: the system's.
        std::string ca_file;
        /// Of what waits for an answer, waiting for a connection included.
        Clock::duration timeout = std::chrono::seconds(5);
        /// Not yet written to one server; past it messages are dropped.
        std::size_t queued_bytes_max = std::size_t{64} << 20;
        /// A connection is tried so often, and given up after two of them in silence.
        Clock::duration ping_interval = std::chrono::seconds(5);
    };
    RedisClusterBus(asio::any_io_executor executor, Clock& clock, Options options);
    /// `stop` first.
    ~RedisClusterBus() override;

    /// Connects in the background; fails only for a URL that is none.
    result<void> start();
    awaitable<void> stop();

    Subscription subscribe(Kind kind, std::string name, OnMessage on_message) override;
    void unsubscribe(Subscription subscription) override;
    awaitable<result<void>> subscribed() override;
    void publish(Kind kind, std::string_view channel, std::string_view message) override;
    awaitable<result<std::size_t>> subscribers(Kind kind, std::string channel) override;
    awaitable<result<std::vector<std::string>>> channels(Kind kind, std::string glob) override;
    void append(std::string stream, std::size_t length_max, Fields fields,
                OnAppended on_appended) override;
    awaitable<result<Following>> follow(std::string stream, OnEntry on_entry) override;
    void unfollow(Subscription subscription) override;
    awaitable<result<std::vector<Entry>>> range(std::string stream, std::string from,
                                                std::string to, std::size_t count) override;
    void put(std::string key, std::string value, std::chrono::milliseconds lifetime) override;
    awaitable<result<std::optional<std::string>>> take(std::string key) override;
    void keep(std::string key, Versioned value, std::chrono::milliseconds lifetime,
              OnKept on_kept) override;
    awaitable<result<std::optional<Versioned>>> read(std::string key) override;
    awaitable<result<std::optional<Versioned>>> raise(std::string key,
                                                      std::chrono::milliseconds lifetime) override;
    awaitable<result<Lease>> hold(LeaseTerms terms) override;
    awaitable<result<void>> release(LeaseTerms terms) override;
    awaitable<result<bool>> send_as_holder(LeaseTerms terms, std::uint64_t generation,
                                           std::string note,
                                           std::vector<Outgoing> messages) override;
    [[nodiscard]] Counters counters() const override;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild
