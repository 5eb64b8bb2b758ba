// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "gateway/event_gateway.hpp"

namespace netbuild::gateway {

/// A client of this node.
struct EventGateway::Member {
    Session session;
    std::weak_ptr<realtime::Socket> socket;
    std::string subject, authorization, address;
    Scope scope, admin_scope;
    std::int64_t connected_us = 0;
    Clock::duration recheck_at{}, refresh_at{};
    /// Where to go on, of one that came back.
    std::optional<feed::Place> resume_from;
    /// The last place that it was given by a replay or a gap; live events: see `newest_`.
    feed::Place sent;
    /// It is in no room of Socket.IO until it has what it missed.
    bool replaying = false;
    bool kicked = false, checking = false;
    /// Rises when `session.rooms` changes.
    std::uint64_t version = 0;
};

} // namespace netbuild::gateway
