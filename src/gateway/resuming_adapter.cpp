// SPDX-License-Identifier: Apache-2.0
#include "resuming_adapter.hpp"

#include "base/shrink.hpp"

namespace netbuild::gateway {

void OffsettingNamespace::broadcast(const socketio::Packet& packet,
                                    const realtime::Audience& audience, std::string_view) {
    if (packet.type != socketio::PacketType::event || packet.id || audience.flags.is_volatile)
        return local_.broadcast(packet, audience);
    local_.broadcast(packet, audience, gateway_.ports_.feed.text(gateway_.ports_.feed.place()));
    // Who still gets what it missed has it with an offset of its own.
    const auto* event = packet.data.get_if<Array>();
    for (const auto& socket : gateway_.nsp_->held(audience)) {
        const auto member = gateway_.member_of(*socket);
        if (!member || !event) continue;
        Array own = *event;
        own.emplace_back(gateway_.ports_.feed.text(gateway_.place_of(*member)));
        socket->emit(std::move(own));
    }
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
    shrink(gateway_.newest_);
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
