// SPDX-License-Identifier: Apache-2.0
#include "resuming_adapter.hpp"

namespace netbuild::gateway {

void OffsettingNamespace::broadcast(const socketio::Packet& packet,
                                    const realtime::Audience& audience, std::string_view) {
    realtime::Audience to = audience;
    to.except.emplace_back(replaying_room);
    if (packet.type != socketio::PacketType::event || packet.id || audience.flags.is_volatile)
        return local_.broadcast(packet, to);
    local_.broadcast(packet, to, gateway_.ports_.feed.text(gateway_.ports_.feed.place()));
}

ResumingAdapter::ResumingAdapter(realtime::LocalNamespace& local, EventGateway& gateway,
                                 const realtime::AdapterFactory& inner)
    : gateway_(gateway),
      offsetting_(local, gateway),
      inner_(inner ? inner(offsetting_) : realtime::local_adapter(offsetting_)) {}

void ResumingAdapter::room_opened(std::string_view room) {
    if (!is_part(room)) inner_->room_opened(room);
}

void ResumingAdapter::room_closed(std::string_view room) {
    gateway_.newest_.erase(std::string(room));
    if (!is_part(room)) inner_->room_closed(room);
}

void ResumingAdapter::save_session(realtime::SavedSession session) {
    // Called for every client that leaves; what is meant is one that came back and is gone again
    // before it was let in.
    if (!gateway_.by_pid_.contains(session.pid)) gateway_.resuming_.erase(session.pid);
}

asio::awaitable<std::optional<realtime::RecoveredSession>>
ResumingAdapter::restore_session(std::string pid, std::string offset) {
    return gateway_.restore(std::move(pid), std::move(offset));
}

} // namespace netbuild::gateway
