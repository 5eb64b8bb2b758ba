// SPDX-License-Identifier: Apache-2.0
#include "client.hpp"

#include <algorithm>

namespace netbuild::realtime {

using socketio::Packet;
using socketio::PacketType;

EncodedPacket::EncodedPacket(const Packet& packet) {
    std::string bytes = MessageRef::text_begin();
    bytes += '4';
    std::vector<std::string> binaries;
    socketio::encode(packet, bytes, binaries);
    text = MessageRef::text(std::move(bytes));
    for (const auto& binary : binaries)
        attachments.push_back(MessageRef::binary(binary));
}

Client::Client(ServerCore& server, Session& session) : server_(server), session_(session) {}

void Client::start() { server_.engine->wheel.arm_after(*this, server_.options.connect_timeout); }

void Client::on_deadline() {
    if (sockets_.empty()) close("forced server close");
}

void Client::send(const EncodedPacket& packet, bool is_volatile) {
    if (!open_) return;
    // An event and its attachments go together or not at all.
    if (is_volatile && !session_.writable()) {
        ++server_.engine->counters.dropped_volatile;
        return;
    }
    session_.send(packet.text);
    for (const auto& attachment : packet.attachments)
        session_.send(attachment);
}

void Client::on_message(std::string_view data) { on_packet(decoder_.text(data)); }
void Client::on_binary(std::string_view data) { on_packet(decoder_.binary(data)); }

void Client::on_packet(result<std::optional<Packet>> decoded) {
    if (!decoded) {
        ++server_.counters.refused_packets;
        return session_.close("forced close");
    }
    if (!*decoded) return;
    Packet packet = std::move(**decoded);
    const auto found = std::find_if(sockets_.begin(), sockets_.end(), [&](const auto& socket) {
        return socket->nsp().name() == packet.nsp;
    });
    if (found == sockets_.end()) {
        if (packet.type == PacketType::connect)
            return on_connect(packet.nsp, std::move(packet.data));
        ++server_.counters.refused_packets;
        return close("forced server close");
    }
    const auto socket = *found;
    switch (packet.type) {
    case PacketType::event:
        if (may_send_event(socket)) socket->nsp().on_event(socket, std::move(packet));
        return;
    case PacketType::ack:
        if (auto* answer = packet.data.get_if<Array>(); answer && packet.id)
            socket->nsp().on_ack(*socket, *packet.id, std::move(*answer));
        return;
    case PacketType::disconnect:
        return socket->close("client namespace disconnect");
    case PacketType::connect:
    case PacketType::connect_error:
        ++server_.counters.refused_packets;
        return close("forced server close");
    }
}

void Client::on_connect(const std::string& name, Value auth) {
    const auto found = server_.namespaces.find(name);
    if (found == server_.namespaces.end()) return refuse(name, {"Invalid namespace", {}});
    Namespace& nsp = *found->second;
    if (std::find(connecting_.begin(), connecting_.end(), &nsp) != connecting_.end())
        return close("forced server close");
    if (sockets_.size() + connecting_.size() >= server_.options.namespaces_a_client_max)
        return refuse(name, {"Too many namespaces", {}});
    connecting_.push_back(&nsp);
    if (auth.is_null()) auth = Object{};
    nsp.connect(*this, std::move(auth));
}

bool Client::may_send_event(const std::shared_ptr<Socket>& socket) {
    const auto second = static_cast<std::uint32_t>(server_.clock.monotonic() /
                                                   Clock::duration(std::chrono::seconds(1)));
    if (second != second_) {
        second_ = second;
        events_ = 0;
        told_limit_ = false;
    }
    if (++events_ <= server_.options.events_a_second_max) return true;
    ++server_.counters.limited_events;
    if (!std::exchange(told_limit_, true))
        socket->emit(
            {"error",
             Object{{"code", "rate_limited"},
                    {"message", "too many events a second"},
                    {"limit", static_cast<std::int64_t>(server_.options.events_a_second_max)}}});
    return false;
}

void Client::refuse(const std::string& nsp, ConnectError error) {
    Object data{{"message", std::move(error.message)}};
    if (!error.data.is_null()) data.set("data", std::move(error.data));
    send(Packet{PacketType::connect_error, nsp, {}, std::move(data)});
}

void Client::connected(const std::shared_ptr<Socket>& socket) {
    not_connected(socket->nsp());
    sockets_.push_back(socket);
    disarm();
}

void Client::not_connected(const Namespace& nsp) {
    std::erase(connecting_, &nsp);
    if (connecting_.empty()) std::vector<const Namespace*>().swap(connecting_);
}

void Client::disconnected(const Socket& socket) {
    std::erase_if(sockets_, [&](const auto& each) { return each.get() == &socket; });
}

void Client::disconnect_all() {
    const auto self = shared_from_this();
    for (const auto& socket : std::vector(sockets_))
        socket->disconnect(false);
    close("forced server close");
}

void Client::close(std::string_view reason) {
    if (open_) session_.close(reason);
}

void Client::on_pressure() {
    for (const auto& socket : sockets_)
        if (const auto& call = socket->nsp().on_pressure_) call(*socket);
}

void Client::on_drained() {
    for (const auto& socket : std::vector(sockets_))
        if (const auto& call = socket->nsp().on_drained_) call(*socket);
}

std::vector<std::string> Client::last_words() {
    std::vector<std::string> words;
    for (const auto& socket : sockets_) {
        std::vector<std::string> none;
        const Object error{
            {"code", "slow_reader"},
            {"message", "more waited than a client may have: it reads too slowly"},
            {"limit", static_cast<std::int64_t>(server_.options.engine.queued_bytes_max)}};
        socketio::encode({PacketType::event, socket->nsp().name(), {}, Array{"error", error}},
                         words.emplace_back(), none);
    }
    return words;
}

void Client::on_close(std::string_view reason) {
    if (!open_) return;
    open_ = false;
    disarm();
    for (const auto& socket : std::exchange(sockets_, {})) {
        socket->close(reason);
        socket->client_ = nullptr;
    }
}

} // namespace netbuild::realtime
