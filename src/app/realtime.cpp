// SPDX-License-Identifier: Apache-2.0
#include "realtime.hpp"

#include "ports/stored_events.hpp"

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

gateway::GatewayOptions gateway_options(const Configuration& configuration) {
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
    return options;
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
    : options_(gateway_options(configuration)),
      drain_(configuration.duration("realtime.drain")),
      directory_(std::make_unique<StoredRooms>(queries, conversations)),
      sessions_(std::make_unique<gateway::MemorySessions>(
          clock,
          gateway::MemorySessions::Options{.keep = configuration.duration("realtime.recovery")})) {
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
    options.take = [this](asio::ip::tcp::socket socket, realtime::HttpRequest request,
                          std::string after) {
        gateway_->server().take(std::move(socket), std::move(request), std::move(after));
    };
}

awaitable<result<void>> Realtime::run() {
    CO_TRY_VOID(co_await gateway_->server().start());
    co_return co_await gateway_->run();
}

awaitable<void> Realtime::stop() { return gateway_->server().stop(drain_); }

} // namespace netbuild::app
