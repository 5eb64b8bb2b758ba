// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>

#include "ports/cluster_bus.hpp"
#include "realtime/cluster_adapters.hpp"

namespace netbuild::app {

enum class RealtimeAdapter { none, redis, sharded, streams };
/// "none", "redis", "sharded", "streams".
[[nodiscard]] result<RealtimeAdapter> parse_realtime_adapter(std::string_view name);

struct RealtimeClusterOptions {
    RealtimeAdapter adapter = RealtimeAdapter::none;
    /// Empty: there is no bus, and no adapter but `none`.
    std::string redis_url;
    std::string ca_file;
    /// As all nodes of the cluster have it: redis-adapter's `key`, sharded `channelPrefix`, streams
    /// `streamName` and `channelPrefix`.
    std::string key = "socket.io";
    /// What this sender emits is for others.
    std::string ignored_uid = {};
    /// sharded: as all nodes of the cluster have it.
    bool static_channels = false;
    /// redis.
    bool specific_response_channel = false;
    /// streams: how many, and how long a session is kept; zero: no recovery.
    std::uint32_t stream_count = 1;
    std::chrono::milliseconds recovery{0};
};

/// What the namespaces of one process share of a cluster, and the adapters for them. It outlives
/// the adapters; `stop` after theirs.
class RealtimeCluster {
public:
    RealtimeCluster(asio::any_io_executor executor, Clock& clock, RealtimeClusterOptions options);
    ~RealtimeCluster();

    /// Connects in the background; fails for an option that is none.
    result<void> start();
    awaitable<void> stop();
    [[nodiscard]] realtime::AdapterFactory factory();
    /// Of an adapter that is not `none`.
    [[nodiscard]] realtime::ClusterEmitter emitter(const std::string& nsp) const;
    [[nodiscard]] ClusterBus& bus();
    [[nodiscard]] const RealtimeClusterOptions& options() const;

    [[nodiscard]] const realtime::AdapterCounters& adapter_counters() const;
    [[nodiscard]] ClusterBus::Counters bus_counters() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace netbuild::app
