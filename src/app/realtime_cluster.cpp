// SPDX-License-Identifier: Apache-2.0
#include "app/realtime_cluster.hpp"

#include <fmt/format.h>

#include "redis/redis_cluster_bus.hpp"

namespace netbuild::app {
namespace {

realtime::RedisAdapterOptions redis_options(const RealtimeClusterOptions& options) {
    return {.key = options.key, .specific_response_channel = options.specific_response_channel};
}

realtime::ShardedAdapterOptions sharded_options(const RealtimeClusterOptions& options) {
    using Mode = realtime::ShardedAdapterOptions::Mode;
    return {.prefix = options.key,
            .mode = options.static_channels ? Mode::static_channels : Mode::dynamic_channels};
}

realtime::StreamsAdapterOptions streams_options(const RealtimeClusterOptions& options) {
    return {.stream = options.key,
            .stream_count = options.stream_count,
            .prefix = options.key,
            .recovery = options.recovery};
}

} // namespace

result<RealtimeAdapter> parse_realtime_adapter(std::string_view name) {
    if (name == "none") return RealtimeAdapter::none;
    if (name == "redis") return RealtimeAdapter::redis;
    if (name == "sharded") return RealtimeAdapter::sharded;
    if (name == "streams") return RealtimeAdapter::streams;
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is no adapter: none, redis, sharded or streams", name));
}

struct RealtimeCluster::Parts {
    Parts(asio::any_io_executor e, Clock& c, RealtimeClusterOptions o)
        : executor(std::move(e)),
          clock(c),
          options(std::move(o)),
          bus(executor, clock, {.url = options.redis_url, .ca_file = options.ca_file}) {}

    asio::any_io_executor executor;
    Clock& clock;
    RealtimeClusterOptions options;
    Random random = Random::from_system();
    realtime::AdapterCounters counters;
    RedisClusterBus bus;
};

RealtimeCluster::RealtimeCluster(asio::any_io_executor executor, Clock& clock,
                                 RealtimeClusterOptions options)
    : parts_(std::make_unique<Parts>(std::move(executor), clock, std::move(options))) {}
RealtimeCluster::~RealtimeCluster() = default;

result<void> RealtimeCluster::start() {
    if (parts_->options.redis_url.empty()) return {};
    return parts_->bus.start();
}
awaitable<void> RealtimeCluster::stop() { return parts_->bus.stop(); }

realtime::AdapterFactory RealtimeCluster::factory() {
    return [parts = parts_.get()](realtime::LocalNamespace& local) {
        const RealtimeClusterOptions& options = parts->options;
        const realtime::AdapterContext context{parts->executor, parts->bus,
                                               parts->clock,    parts->random,
                                               parts->counters, options.ignored_uid};
        switch (options.adapter) {
        case RealtimeAdapter::redis:
            return realtime::redis_adapter(local, context, redis_options(options));
        case RealtimeAdapter::sharded:
            return realtime::sharded_adapter(local, context, sharded_options(options));
        case RealtimeAdapter::streams:
            return realtime::streams_adapter(local, context, streams_options(options));
        case RealtimeAdapter::none:
            break;
        }
        return realtime::local_adapter(local);
    };
}

realtime::ClusterEmitter RealtimeCluster::emitter(const std::string& nsp) const {
    const RealtimeClusterOptions& options = parts_->options;
    switch (options.adapter) {
    case RealtimeAdapter::redis:
        return realtime::redis_emitter(nsp, redis_options(options));
    case RealtimeAdapter::sharded:
        return realtime::sharded_emitter(nsp, sharded_options(options));
    case RealtimeAdapter::streams:
        return realtime::streams_emitter(nsp, streams_options(options));
    case RealtimeAdapter::none:
        break;
    }
    return {};
}

ClusterBus& RealtimeCluster::bus() { return parts_->bus; }
const RealtimeClusterOptions& RealtimeCluster::options() const { return parts_->options; }

const realtime::AdapterCounters& RealtimeCluster::adapter_counters() const {
    return parts_->counters;
}
ClusterBus::Counters RealtimeCluster::bus_counters() const { return parts_->bus.counters(); }

} // namespace netbuild::app
