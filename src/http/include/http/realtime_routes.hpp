// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "gateway/event_gateway.hpp"
#include "http/routes.hpp"

namespace netbuild::http {

/// /v1/realtime/…: for operators, the Socket.IO clients of this node.
class RealtimeRoutes {
public:
    explicit RealtimeRoutes(gateway::EventGateway& gateway) : gateway_(gateway) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> sockets(Call& call);
    awaitable<result<Reply>> rooms(Call& call);
    awaitable<result<Reply>> kick(Call& call);

    gateway::EventGateway& gateway_;
};

} // namespace netbuild::http
