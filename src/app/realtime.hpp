// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "app/configuration.hpp"
#include "data/conversations.hpp"
#include "feed/event_feed.hpp"
#include "gateway/event_gateway.hpp"
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

/// Role `realtime`: Socket.IO on the HTTP port.
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
    /// Lets the clients go, spread over realtime.drain.
    awaitable<void> stop();
    [[nodiscard]] gateway::EventGateway& gateway() noexcept { return *gateway_; }

private:
    gateway::GatewayOptions options_;
    Clock::duration drain_;
    std::unique_ptr<gateway::RoomDirectory> directory_;
    std::unique_ptr<gateway::SessionStore> sessions_;
    std::unique_ptr<gateway::EventGateway> gateway_;
};

} // namespace netbuild::app
