// SPDX-License-Identifier: Apache-2.0
#include "realtime/socket.hpp"

#include <ctime>
#include <unordered_map>

#include "client.hpp"
#include "rooms.hpp"
#include "server_core.hpp"
#include "wire/percent.hpp"

namespace netbuild::realtime {
namespace {

using socketio::Packet;
using socketio::PacketType;

/// As ECMAScript's Date has it: "Mon Nov 23 2026 07:34:29 GMT+0000 (Coordinated Universal Time)".
std::string date_text(std::int64_t utc_us) {
    const std::time_t seconds = utc_us / 1'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[80];
    const auto size = std::strftime(
        text, sizeof text, "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", &parts);
    return std::string(text, size);
}

Object query_object(std::string_view target) {
    Object out;
    std::string_view query = query_of(target);
    while (const auto pair = next_query_pair(query))
        out.set(percent_decode_leniently(pair->name), percent_decode_leniently(pair->value));
    return out;
}

} // namespace

struct Socket::Acks {
    struct Waiting {
        std::function<void(result<Array>)> answered;
    };
    std::unordered_map<std::uint64_t, Waiting> waiting;
};

void Reply::operator()(Array arguments) {
    if (!id_) return;
    const auto id = *std::exchange(id_, std::nullopt);
    const auto socket = socket_.lock();
    if (socket && socket->connected())
        socket->send({PacketType::ack, socket->nsp().name(), id, std::move(arguments)});
}

Socket::Socket(Namespace& nsp, Client& client, std::string id, std::string pid, Value auth)
    : nsp_(nsp),
      client_(&client),
      id_(std::move(id)),
      pid_(std::move(pid)),
      auth_(std::move(auth)),
      issued_us_(nsp.server_.clock.utc_us()) {}

Socket::~Socket() = default;

void Socket::forget_recovery() {
    pid_ = SessionId::random().view();
    recovered_ = false;
    data = Object{};
}

std::size_t Socket::queued_bytes() const noexcept { return client_ ? client_->queued_bytes() : 0; }

void Socket::tell_drained() {
    if (client_) client_->tell_drained();
}

void Socket::hold(bool held) {
    if (std::exchange(held_, held) == held) return;
    held ? ++nsp_.held_ : --nsp_.held_;
}

Value Socket::handshake() const {
    Object headers;
    Object handshake;
    bool xdomain = false;
    if (client_) {
        for (const auto& [name, value] : client_->origin().headers()) {
            headers.set(name, value);
            if (name == "origin") xdomain = true;
        }
    }
    handshake.append("headers", std::move(headers));
    handshake.append("time", date_text(issued_us_));
    handshake.append("address", client_ ? Value(client_->origin().address()) : Value());
    handshake.append("xdomain", xdomain);
    handshake.append("secure", client_ && client_->origin().secure());
    handshake.append("issued", issued_us_ / 1000);
    handshake.append("url", client_ ? Value(client_->origin().target()) : Value());
    handshake.append("query", client_ ? query_object(client_->origin().target()) : Object{});
    handshake.append("auth", auth_);
    return handshake;
}

std::vector<std::string> Socket::rooms() const {
    std::vector<std::string> names;
    names.reserve(memberships_.size() + 1);
    if (in_own_room_) names.push_back(id_);
    for (const auto& membership : memberships_)
        names.push_back(membership.room->name);
    return names;
}

result<void> Socket::join(std::string_view room) { return nsp_.enter(*this, room); }
void Socket::leave(std::string_view room) { nsp_.exit(*this, room); }

void Socket::send(const Packet& packet, bool is_volatile) {
    if (client_) client_->send(EncodedPacket(packet), is_volatile);
}

void Socket::emit(Array event, bool is_volatile) {
    send({PacketType::event, nsp_.name(), {}, std::move(event)}, is_volatile);
}

void Socket::emit_with_ack(Array event, std::chrono::milliseconds timeout,
                           std::function<void(result<Array>)> answered) {
    if (!connected_) return answered(fail(ErrorCode::cancelled, "the socket is disconnected"));
    if (!acks_) acks_ = std::make_unique<Acks>();
    if (acks_->waiting.size() >= nsp_.server_.options.acks_a_socket_max)
        return answered(fail(ErrorCode::overloaded, "too many answers are awaited"));
    const std::uint64_t id = nsp_.next_ack_++;
    acks_->waiting.emplace(id, Acks::Waiting{std::move(answered)});
    const bool planned =
        nsp_.server_.engine->wheel.call_after(timeout, [weak = weak_from_this(), id] {
            const auto socket = weak.lock();
            if (!socket || !socket->acks_) return;
            auto waiting = socket->acks_->waiting.extract(id);
            if (!waiting.empty())
                waiting.mapped().answered(fail(ErrorCode::deadline_exceeded, "no answer"));
        });
    if (!planned) {
        auto waiting = acks_->waiting.extract(id);
        return waiting.mapped().answered(fail(ErrorCode::overloaded, "too much is awaited"));
    }
    send({PacketType::event, nsp_.name(), id, std::move(event)});
}

void Socket::on_ack(std::uint64_t id, Array answer) {
    if (!acks_) return;
    auto waiting = acks_->waiting.extract(id);
    if (acks_->waiting.empty()) acks_.reset();
    if (!waiting.empty()) waiting.mapped().answered(std::move(answer));
}

void Socket::disconnect(bool close_client) {
    if (!connected_) return;
    if (close_client && client_) return client_->disconnect_all();
    send({PacketType::disconnect, nsp_.name(), {}, {}});
    close("server namespace disconnect");
}

void Socket::close(std::string_view reason) {
    if (!connected_) return;
    const auto self = shared_from_this();
    if (nsp_.on_disconnecting_) nsp_.on_disconnecting_(*this, reason);
    if (!connected_) return; // its handler did so
    if (nsp_.adapter_->recoverable() && recoverable_reason(reason))
        nsp_.adapter_->save_session({id_, pid_, rooms(), data});
    connected_ = false;
    nsp_.remove(*this);
    if (client_) client_->disconnected(*this);
    if (const auto acks = std::exchange(acks_, nullptr)) {
        for (auto& [id, waiting] : acks->waiting)
            waiting.answered(fail(ErrorCode::cancelled, "the socket is disconnected"));
    }
    if (nsp_.on_disconnect_) nsp_.on_disconnect_(*this, reason);
}

} // namespace netbuild::realtime
