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

/// What the nodes of a cluster talk over: Pub/Sub channels, sharded ones, streams, keys that expire
/// and leases. One object a process, shared by all namespaces; executor's thread only.
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

    /// A value of which whoever writes it knows how many had it before: generations go from 1 to
    /// `generation_max`.
    struct Versioned {
        std::uint64_t generation = 1;
        std::string value;
    };
    static constexpr std::uint64_t generation_max = (std::uint64_t{1} << 53) - 1;
    /// False: one of a later generation is there, and stays.
    using OnKept = std::function<void(result<bool> kept)>;
    /// Puts it unless a later one is there, as one step. Never waits; `on_kept` is called once.
    virtual void keep(std::string key, Versioned value, std::chrono::milliseconds lifetime,
                      OnKept on_kept) = 0;
    virtual awaitable<result<std::optional<Versioned>>> read(std::string key) = 0;
    /// Reads it and makes it the next generation, as one step: whoever had it before is late from
    /// now on. What is empty stays as it is.
    virtual awaitable<result<std::optional<Versioned>>>
    raise(std::string key, std::chrono::milliseconds lifetime) = 0;

    /// What one holder at a time has, by the server's clock.
    struct Lease {
        /// Empty: nobody's.
        std::string holder;
        /// Rises with each new holder.
        std::uint64_t generation = 0;
        /// What the last `send_as_holder` left; empty: there was none, or too long ago.
        std::string note;
    };
    struct LeaseTerms {
        std::string key;
        /// A name that no other process has, nor had.
        std::string holder;
        std::chrono::milliseconds lifetime{5000};
        /// How long a note is kept that nobody renews.
        std::chrono::milliseconds note_lifetime{std::chrono::hours(24 * 7)};
    };
    /// Takes the lease if it is nobody's, renews it if it is ours; whose it is then.
    virtual awaitable<result<Lease>> hold(LeaseTerms terms) = 0;
    /// If it is ours, the next one need not wait for its end.
    virtual awaitable<result<void>> release(LeaseTerms terms) = 0;

    /// A message for a channel, or an entry for a stream.
    struct Outgoing {
        enum class To : std::uint8_t { channel, shard, stream };
        To to = To::channel;
        std::string name;
        std::string message = {};
        Fields fields = {};
        std::size_t length_max = 0;
    };
    /// Sends all of them, in order, leaves `note` with the lease and renews that, as one step.
    /// False: the lease has another generation or holder, and nothing was sent. `outcome_unknown`,
    /// `unavailable`: the note tells whether it was. Shards and streams have the hash tag of the
    /// lease's key.
    virtual awaitable<result<bool>> send_as_holder(LeaseTerms terms, std::uint64_t generation,
                                                   std::string note,
                                                   std::vector<Outgoing> messages) = 0;

    [[nodiscard]] virtual Counters counters() const = 0;
};

} // namespace netbuild
