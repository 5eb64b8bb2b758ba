// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "gateway/event_gateway.hpp"
#include "runtime/signal.hpp"

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
    /// It gets what it missed, and no live events until it has that: it came back, or was too slow.
    bool replaying = false;
    /// How far that has come: its offset.
    feed::Place replayed;
    /// What was queued for it has left, or it is gone. Of who had to be waited for.
    std::unique_ptr<Signal> drained;
    bool kicked = false, checking = false;
    /// Rises when `session.rooms` changes.
    std::uint64_t version = 0;
};

} // namespace netbuild::gateway
