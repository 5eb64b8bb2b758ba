// SPDX-License-Identifier: Apache-2.0
#include "realtime.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include "gateway/shared_sessions.hpp"
#include "ports/stored_events.hpp"
#include "runtime/random.hpp"
#include "telemetry/log.hpp"

namespace netbuild::app {
namespace {

class StoredEvents final : public feed::EventArchive {
public:
    explicit StoredEvents(query::QueryService& queries) : queries_(queries) {}
    awaitable<result<std::vector<StreamEventPtr>>> after(Position after,
                                                         std::size_t documents) override {
        CO_TRY(const auto stored, co_await queries_.stored_events(after, documents));
        std::vector<StreamEventPtr> events;
        for (const ValuePtr& document : stored)
            for (auto& event : stream_events(*document))
                events.push_back(std::move(event));
        co_return events;
    }
    awaitable<result<Position>> removed_upto() override { return queries_.event_horizon(); }

private:
    query::QueryService& queries_;
};

class StoredRooms final : public gateway::RoomDirectory {
public:
    StoredRooms(query::QueryService& queries, data::Conversations& conversations)
        : queries_(queries), conversations_(conversations) {}
    awaitable<result<std::vector<std::string>>> domains(gateway::RoomName room,
                                                        Scope scope) override {
        if (room.kind == gateway::RoomName::Kind::execution)
            co_return co_await queries_.execution_domains(std::move(room.id), std::move(scope));
        CO_TRY(std::string domain, co_await conversations_.domain_of(room.id));
        if (!scope.admits(domain)) co_return fail(ErrorCode::not_found, room.id);
        co_return std::vector<std::string>{std::move(domain)};
    }

private:
    query::QueryService& queries_;
    data::Conversations& conversations_;
};

std::size_t number(const Configuration& configuration, std::string_view key) {
    return static_cast<std::size_t>(configuration.integer(key));
}

std::vector<std::string> list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const auto comma = text.find(',');
        std::string_view item = text.substr(0, comma);
        while (item.starts_with(' '))
            item.remove_prefix(1);
        while (item.ends_with(' '))
            item.remove_suffix(1);
        if (!item.empty()) items.emplace_back(item);
        if (comma == std::string_view::npos) break;
        text.remove_prefix(comma + 1);
    }
    return items;
}

gateway::GatewayOptions gateway_options(const Configuration& configuration,
                                        RealtimeCluster* cluster) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    gateway::GatewayOptions options;
    auto& engine = options.server.engine;
    engine.ping_interval =
        duration_cast<milliseconds>(configuration.duration("realtime.ping_interval"));
    engine.ping_timeout =
        duration_cast<milliseconds>(configuration.duration("realtime.ping_timeout"));
    engine.payload_bytes_max = number(configuration, "realtime.payload_max");
    engine.connections_max = number(configuration, "realtime.connections_max");
    engine.queued_bytes_max = number(configuration, "realtime.queue_max");
    engine.origins = list(configuration.text("realtime.origins"));
    options.server.events_a_second_max =
        static_cast<std::uint32_t>(number(configuration, "realtime.events_max"));
    options.rooms_a_client_max = number(configuration, "realtime.rooms_max");
    options.recheck = configuration.duration("realtime.recheck");
    options.refresh = configuration.duration("realtime.recovery") / 3;
    if (cluster && cluster->options().adapter != RealtimeAdapter::none)
        options.server.adapter = cluster->factory();
    return options;
}

std::unique_ptr<RealtimeCluster> make_cluster(const Configuration& configuration,
                                              const asio::any_io_executor& executor, Clock& clock) {
    if (!configuration.has("redis.url")) return nullptr;
    RealtimeClusterOptions options;
    // Its choices were checked when it was read.
    const auto adapter = parse_realtime_adapter(configuration.text("realtime.adapter"));
    if (adapter) options.adapter = *adapter;
    options.redis_url = configuration.text("redis.url");
    options.ca_file = configuration.text("redis.ca_file");
    options.key = configuration.text("realtime.adapter_key");
    options.ignored_uid = gateway::publisher_uid;
    options.static_channels = configuration.text("realtime.adapter_mode") == "static";
    options.specific_response_channel =
        configuration.text("realtime.adapter_response_channel") == "own";
    options.stream_count =
        static_cast<std::uint32_t>(number(configuration, "realtime.adapter_streams"));
    return std::make_unique<RealtimeCluster>(executor, clock, std::move(options));
}

std::unique_ptr<gateway::SessionStore> make_sessions(const Configuration& configuration,
                                                     const asio::any_io_executor& executor,
                                                     Clock& clock, RealtimeCluster* cluster) {
    const auto keep = configuration.duration("realtime.recovery");
    if (!cluster)
        return std::make_unique<gateway::MemorySessions>(
            clock, gateway::MemorySessions::Options{.keep = keep});
    return std::make_unique<gateway::SharedSessions>(
        executor, clock, cluster->bus(),
        gateway::SharedSessions::Options{
            .keep = std::chrono::duration_cast<std::chrono::milliseconds>(keep)});
}

/// host-pid-random: no process has had it before.
std::string node_name() {
    char host[256] = {};
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    return fmt::format("{}-{}-{:08x}", host, getpid(), Random::from_system().next() & 0xffff'ffffU);
}

std::unique_ptr<gateway::EventPublisher> make_publisher(const Configuration& configuration,
                                                        Clock& clock, feed::EventFeed& feed,
                                                        RealtimeCluster* cluster) {
    if (!cluster || cluster->options().adapter == RealtimeAdapter::none ||
        configuration.text("realtime.publisher") != "true")
        return nullptr;
    auto emitter = cluster->emitter("/");
    gateway::EventPublisher::Options options;
    // In the slot, of a Redis Cluster, of what it sends to.
    options.lease.key = fmt::format("netbuild:publisher:{}:{{{}}}",
                                    configuration.text("engine.name"), emitter.place);
    options.lease.holder = node_name();
    return std::make_unique<gateway::EventPublisher>(
        gateway::EventPublisher::Ports{clock, feed, cluster->bus(), std::move(emitter)},
        std::move(options));
}

} // namespace

EventFeed::EventFeed(const Configuration& configuration, const asio::any_io_executor& executor,
                     Clock& clock, EventBus& engine, EventBus* documents,
                     query::QueryService& queries)
    : archive_(std::make_unique<StoredEvents>(queries)),
      feed({engine, documents, *archive_, clock, executor},
           {.events_max = number(configuration, "realtime.ring_events"),
            .bytes_max = number(configuration, "realtime.ring_bytes")}) {}

Realtime::Realtime(const Configuration& configuration, const asio::any_io_executor& executor,
                   Clock& clock, feed::EventFeed& feed, query::QueryService& queries,
                   data::Conversations& conversations, http::Authenticator* authenticator)
    : clock_(clock),
      drain_(configuration.duration("realtime.drain")),
      cluster_(make_cluster(configuration, executor, clock)),
      options_(gateway_options(configuration, cluster_.get())),
      directory_(std::make_unique<StoredRooms>(queries, conversations)),
      sessions_(make_sessions(configuration, executor, clock, cluster_.get())),
      publisher_(make_publisher(configuration, clock, feed, cluster_.get())) {
    gateway::Authenticate authenticate;
    if (authenticator)
        authenticate = [authenticator](std::string authorization) {
            return authenticator->authenticate(std::move(authorization));
        };
    gateway_ = std::make_unique<gateway::EventGateway>(
        gateway::EventGateway::Ports{executor, clock, feed, *directory_, *sessions_,
                                     std::move(authenticate)},
        options_);
}

Realtime::~Realtime() = default;

void Realtime::take_from(http::Server::Options& options) {
    options.taken_path = options_.server.engine.path;
    options.taken_body_bytes_max = options_.server.engine.payload_bytes_max;
    options.take = [this](std::unique_ptr<realtime::ByteStream> stream,
                          realtime::HttpRequest request, std::string after) {
        gateway_->server().take(std::move(stream), std::move(request), std::move(after));
    };
}

awaitable<result<void>> Realtime::run() {
    if (cluster_) {
        CO_TRY_VOID(cluster_->start());
        // The adapter's start asks it at once.
        CO_TRY_VOID(co_await reach_bus());
    }
    CO_TRY_VOID(co_await gateway_->server().start());
    co_return co_await gateway_->run();
}

awaitable<result<void>> Realtime::reach_bus() {
    bool said = false;
    while (true) {
        auto there = co_await cluster_->bus().subscribed();
        if (there || there.error().error_class() == ErrorClass::cancelled) co_return there;
        if (!std::exchange(said, true))
            log::warning("realtime waits for its fleet: {}", there.error().message());
        CO_TRY_VOID(co_await clock_.sleep(std::chrono::milliseconds(200)));
    }
}

awaitable<result<void>> Realtime::publish() {
    if (!publisher_) co_return result<void>{};
    co_return co_await publisher_->run();
}

awaitable<void> Realtime::stop() {
    if (publisher_) co_await publisher_->release();
    co_await gateway_->server().stop(drain_);
    co_await sessions_->settled();
    if (cluster_) co_await cluster_->stop();
}

} // namespace netbuild::app
