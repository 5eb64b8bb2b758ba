// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "ports/cluster_bus.hpp"
#include "realtime/adapter.hpp"
#include "runtime/random.hpp"

// The adapters of a cluster that Node servers are in, too.
namespace netbuild::realtime {

struct AdapterCounters {
    std::uint64_t received = 0;
    /// Messages of no shape that a node sends: they are dropped.
    std::uint64_t malformed = 0;
    /// Messages past a limit: they are not sent to other nodes.
    std::uint64_t too_large = 0;
    /// Requests to the other nodes that ended, and how long they took in all.
    std::uint64_t requests = 0;
    Clock::duration request_time{};
    /// Of these: some node did not answer in time.
    std::uint64_t timed_out = 0;
    /// Messages of the sender whose messages are for others.
    std::uint64_t ignored = 0;
};

/// What an adapter works with; all of it outlives the adapter.
struct AdapterContext {
    asio::any_io_executor executor;
    ClusterBus& bus;
    Clock& clock;
    Random& random;
    AdapterCounters& counters;
    /// What this sender emits is for others.
    std::string ignored_uid = {};
};

/// How who is no node himself emits to all nodes of a cluster that have the namespace.
struct ClusterEmitter {
    /// The channel or the stream that all of them listen to.
    std::string place;
    /// Of a broadcast without an answer, `nsp` being the one that the emitter was made for.
    /// payload_too_large.
    std::function<result<ClusterBus::Outgoing>(const socketio::ClusterMessage& message)> encode;
};

/// @socket.io/redis-adapter 8.3: Pub/Sub, every node gets everything. Receives from
/// @socket.io/redis-emitter as well.
struct RedisAdapterOptions {
    std::string key = "socket.io";
    /// Answer on the asking node's own channel: all nodes of the cluster do, or none.
    bool specific_response_channel = false;
    std::chrono::milliseconds request_timeout{5000};
};
[[nodiscard]] std::unique_ptr<Adapter> redis_adapter(LocalNamespace& local, AdapterContext context,
                                                     RedisAdapterOptions options = {});
[[nodiscard]] ClusterEmitter redis_emitter(const std::string& nsp, RedisAdapterOptions options);

/// The sharded adapter of the same package: sharded Pub/Sub, on one server or a cluster of them,
/// Redis 7 and later.
struct ShardedAdapterOptions {
    /// All nodes of the cluster have the same: a static node does not listen where a dynamic one
    /// sends what is for one room.
    enum class Mode {
        static_channels,
        /// A channel a room: a node receives what is for rooms that it has.
        dynamic_channels,
    };
    std::string prefix = "socket.io";
    Mode mode = Mode::dynamic_channels;
    std::chrono::milliseconds request_timeout{5000};
};
[[nodiscard]] std::unique_ptr<Adapter>
sharded_adapter(LocalNamespace& local, AdapterContext context, ShardedAdapterOptions options = {});
[[nodiscard]] ClusterEmitter sharded_emitter(const std::string& nsp, ShardedAdapterOptions options);

/// @socket.io/redis-streams-adapter 0.3: a stream, with connection state recovery.
struct StreamsAdapterOptions {
    std::string stream = "socket.io";
    std::uint32_t stream_count = 1;
    std::string prefix = "socket.io";
    std::string session_prefix = "sio:session:";
    std::size_t length_max = 10'000;
    /// How long a session is kept for its client; zero: there is no recovery.
    std::chrono::milliseconds recovery{0};
    std::chrono::milliseconds request_timeout{5000};
};
[[nodiscard]] std::unique_ptr<Adapter>
streams_adapter(LocalNamespace& local, AdapterContext context, StreamsAdapterOptions options = {});
[[nodiscard]] ClusterEmitter streams_emitter(const std::string& nsp, StreamsAdapterOptions options);

} // namespace netbuild::realtime
