// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "app/configuration.hpp"
#include "app/realtime_cluster.hpp"
#include "data/conversations.hpp"
#include "feed/event_feed.hpp"
#include "gateway/event_gateway.hpp"
#include "gateway/event_publisher.hpp"
#include "http/call.hpp"
#include "http/server.hpp"
#include "query/query_service.hpp"

namespace netbuild::app {

/// The events of this process, followed once for server-sent events and Socket.IO.
class EventFeed {
public:
    EventFeed(const Configuration& configuration, const asio::any_io_executor& executor,
              Clock& clock, EventBus& engine, EventBus* documents, query::QueryService& queries);

private:
    std::unique_ptr<feed::EventArchive> archive_;

public:
    feed::EventFeed feed;
};

/// Role `realtime`: Socket.IO on the HTTP port, and a part in a fleet where there is a Redis.
class Realtime {
public:
    /// `authenticator` null: whoever reaches the port may do anything.
    Realtime(const Configuration& configuration, const asio::any_io_executor& executor,
             Clock& clock, feed::EventFeed& feed, query::QueryService& queries,
             data::Conversations& conversations, http::Authenticator* authenticator);
    ~Realtime();

    /// Requests for /socket.io/ that the HTTP server gets are ours.
    void take_from(http::Server::Options& options);
    awaitable<result<void>> run();
    /// Emits events to the clients of Node servers, when it is this node's turn.
    awaitable<result<void>> publish();
    /// Lets the clients go, spread over realtime.drain.
    awaitable<void> stop();
    [[nodiscard]] gateway::EventGateway& gateway() noexcept { return *gateway_; }
    [[nodiscard]] const gateway::SessionStore& sessions() const noexcept { return *sessions_; }
    /// Null without a Redis.
    [[nodiscard]] const RealtimeCluster* cluster() const noexcept { return cluster_.get(); }
    /// Null without an adapter, or where realtime.publisher is off.
    [[nodiscard]] const gateway::EventPublisher* publisher() const noexcept {
        return publisher_.get();
    }

private:
    awaitable<result<void>> reach_bus();

    Clock& clock_;
    Clock::duration drain_;
    std::unique_ptr<RealtimeCluster> cluster_;
    gateway::GatewayOptions options_;
    std::unique_ptr<gateway::RoomDirectory> directory_;
    std::unique_ptr<gateway::SessionStore> sessions_;
    std::unique_ptr<gateway::EventGateway> gateway_;
    std::unique_ptr<gateway::EventPublisher> publisher_;
};

} // namespace netbuild::app
