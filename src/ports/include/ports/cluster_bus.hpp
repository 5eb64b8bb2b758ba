// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/clock.hpp"

namespace netbuild {

/// What the nodes of a cluster talk over: Pub/Sub channels, sharded ones, streams and keys that
/// expire. One object a process, shared by all namespaces; executor's thread only.
///
/// While the server is away what is published is dropped and counted, and what waits for an answer
/// fails with `unavailable`; subscriptions and streams that are followed are taken up again.
class ClusterBus {
public:
    enum class Kind : std::uint8_t {
        channel,
        /// A glob over channels.
        pattern,
        /// A channel of one shard (SSUBSCRIBE).
        shard,
    };
    /// The views live during the call. It may subscribe and unsubscribe.
    using OnMessage = std::function<void(std::string_view channel, std::string_view message)>;
    using Fields = std::vector<std::pair<std::string, std::string>>;
    struct Entry {
        std::string id;
        Fields fields;
    };
    using OnEntry = std::function<void(const Entry& entry)>;
    /// The new entry's id. `unavailable`: it was not added; `outcome_unknown`: it may have been.
    using OnAppended = std::function<void(result<std::string> id)>;
    using Subscription = std::uint64_t;
    struct Counters {
        std::uint64_t published = 0;
        std::uint64_t received = 0;
        /// Not sent, or refused: the server was away, or more was queued than the maximum.
        std::uint64_t dropped = 0;
        /// Of these: more was queued than the maximum.
        std::uint64_t overflowed = 0;
        std::uint64_t connections_lost = 0;
    };

    virtual ~ClusterBus() = default;

    /// `subscribed` says when it is in force.
    virtual Subscription subscribe(Kind kind, std::string name, OnMessage on_message) = 0;
    virtual void unsubscribe(Subscription subscription) = 0;
    /// Waits until the server has confirmed all subscriptions.
    virtual awaitable<result<void>> subscribed() = 0;
    /// To a `channel` or a `shard`; never waits.
    virtual void publish(Kind kind, std::string_view channel, std::string_view message) = 0;
    /// How many connections, over all of the servers, have subscribed to just this channel.
    virtual awaitable<result<std::size_t>> subscribers(Kind kind, std::string channel) = 0;
    /// Channels with a subscriber, over all of the servers.
    virtual awaitable<result<std::vector<std::string>>> channels(Kind kind, std::string glob) = 0;

    /// Appends, and lets the stream keep about `length_max` entries. `on_appended` is called once.
    virtual void append(std::string stream, std::size_t length_max, Fields fields,
                        OnAppended on_appended) = 0;
    struct Following {
        Subscription subscription = 0;
        /// `on_entry` gets every entry after this one, in order, none twice.
        std::string after;
    };
    virtual awaitable<result<Following>> follow(std::string stream, OnEntry on_entry) = 0;
    virtual void unfollow(Subscription subscription) = 0;
    /// Up to `count` entries of the ids `from` to `to`; `(id` excludes one, `-` and `+` are the
    /// ends.
    virtual awaitable<result<std::vector<Entry>>> range(std::string stream, std::string from,
                                                        std::string to, std::size_t count) = 0;
    /// Never waits.
    virtual void put(std::string key, std::string value, std::chrono::milliseconds lifetime) = 0;
    /// Reads and removes, as one.
    virtual awaitable<result<std::optional<std::string>>> take(std::string key) = 0;

    [[nodiscard]] virtual Counters counters() const = 0;
};

} // namespace netbuild
