// SPDX-License-Identifier: Apache-2.0
#include "realtime/namespace.hpp"

#include <algorithm>
#include <unordered_set>

#include "base/shrink.hpp"
#include "client.hpp"
#include "rooms.hpp"
#include "server_core.hpp"
#include "telemetry/log.hpp"

namespace netbuild::realtime {

using socketio::Packet;
using socketio::PacketType;

bool recoverable_reason(std::string_view reason) {
    constexpr std::array<std::string_view, 7> reasons{
        "transport error",      "transport close",     "forced close", "ping timeout",
        "server shutting down", "forced server close", "slow reader"};
    return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

/// One broadcast whose answers are awaited: every client gets the same id.
struct Namespace::BroadcastAck {
    OnAck on_ack;
    std::unordered_set<const Socket*> asked;
};

Namespace::Namespace(ServerCore& server, std::string name)
    : server_(server), name_(std::move(name)) {
    adapter_ = server.options.adapter ? server.options.adapter(*this) : local_adapter(*this);
}

Namespace::~Namespace() = default;

// --- who comes and goes ---

void Namespace::connect(Client& client, Value auth) {
    const auto* object = auth.get_if<Object>();
    const Value* pid = object ? object->find("pid") : nullptr;
    const Value* offset = object ? object->find("offset") : nullptr;
    // Who has had no event yet comes without an offset: some adapters know its place all the same.
    if (adapter_->recoverable() && pid && pid->is<std::string>() &&
        (!offset || offset->is<std::string>())) {
        std::string session(pid->string_or()), from(offset ? offset->string_or() : "");
        return server_.tasks.spawn("recovery", recover(client.weak_from_this(), std::move(auth),
                                                       std::move(session), std::move(from)));
    }
    admit(std::make_shared<Socket>(*this, client, std::string(SessionId::random().view()),
                                   adapter_->recoverable() ? std::string(SessionId::random().view())
                                                           : std::string(),
                                   std::move(auth)),
          0, {});
}

asio::awaitable<result<void>> Namespace::recover(std::weak_ptr<Client> client, Value auth,
                                                 std::string pid, std::string offset) {
    auto recovered = co_await adapter_->restore_session(std::move(pid), std::move(offset));
    const auto alive = client.lock();
    if (!alive || !alive->open()) {
        // It is gone again: its state stays there for the next time.
        if (recovered) adapter_->save_session(std::move(recovered->session));
        co_return result<void>{};
    }
    if (!recovered) {
        admit(std::make_shared<Socket>(*this, *alive, std::string(SessionId::random().view()),
                                       std::string(SessionId::random().view()), std::move(auth)),
              0, {});
        co_return result<void>{};
    }
    ++server_.counters.recovered;
    auto& session = recovered->session;
    // A connection that is not known to be dead yet.
    if (const auto earlier = find(session.sid)) earlier->disconnect(true);
    const auto socket =
        std::make_shared<Socket>(*this, *alive, session.sid, session.pid, std::move(auth));
    socket->recovered_ = true;
    socket->data = std::move(session.data);
    for (const auto& room : session.rooms)
        if (room != socket->id()) static_cast<void>(enter(*socket, room));
    admit(socket, 0, std::move(recovered->missed));
    co_return result<void>{};
}

void Namespace::admit(const std::shared_ptr<Socket>& socket, std::size_t middleware,
                      std::vector<Array> missed) {
    if (middleware == middlewares_.size()) return add(socket, missed);
    // The client may have gone when `next` is called; once is enough.
    const auto client = socket->client_->weak_from_this();
    auto called = std::make_shared<bool>(false);
    middlewares_[middleware](socket,
                             [this, socket, client, middleware, called, missed = std::move(missed)](
                                 std::optional<ConnectError> error) mutable {
                                 if (std::exchange(*called, true)) return;
                                 const auto alive = client.lock();
                                 if (!alive || !alive->open() || error) {
                                     while (!socket->memberships_.empty())
                                         drop_membership(*socket, socket->memberships_.size() - 1);
                                     if (!alive) return;
                                     alive->not_connected(*this);
                                     if (error) alive->refuse(name_, std::move(*error));
                                     return;
                                 }
                                 admit(socket, middleware + 1, std::move(missed));
                             });
}

void Namespace::add(const std::shared_ptr<Socket>& socket, const std::vector<Array>& missed) {
    socket->index_ = static_cast<std::uint32_t>(sockets_.size());
    sockets_.push_back(socket.get());
    by_id_.emplace(socket->id_, socket.get());
    socket->connected_ = true;
    socket->in_own_room_ = true;
    adapter_->room_opened(socket->id_);
    socket->client_->connected(socket);
    ++server_.counters.sockets;
    // Missed events go first: the client keeps what comes before its CONNECT is answered.
    for (const auto& event : missed)
        socket->emit(event);
    Object answer{{"sid", socket->id_}};
    if (!socket->pid_.empty()) answer.append("pid", socket->pid_);
    socket->send({PacketType::connect, name_, {}, std::move(answer)});
    if (on_connection_) on_connection_(socket);
}

void Namespace::remove(Socket& socket) {
    while (!socket.memberships_.empty())
        drop_membership(socket, socket.memberships_.size() - 1);
    if (std::exchange(socket.in_own_room_, false) && !rooms_.contains(socket.id_))
        adapter_->room_closed(socket.id_);
    socket.hold(false);
    by_id_.erase(socket.id_);
    shrink(by_id_);
    sockets_[socket.index_] = sockets_.back();
    sockets_[socket.index_]->index_ = socket.index_;
    sockets_.pop_back();
    --server_.counters.sockets;
    for (auto& [id, waiting] : broadcast_acks_)
        waiting->asked.erase(&socket);
    if (sockets_.empty()) std::vector<Socket*>().swap(sockets_);
}

std::shared_ptr<Socket> Namespace::find(std::string_view id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second->shared_from_this();
}

// --- rooms ---

result<void> Namespace::enter(Socket& socket, std::string_view name) {
    if (name == socket.id_) {
        if (!std::exchange(socket.in_own_room_, true)) adapter_->room_opened(name);
        return {};
    }
    const auto found = rooms_.find(name);
    if (found != rooms_.end() && in_room(socket, name)) return {};
    if (socket.memberships_.size() >= server_.options.rooms_a_socket_max)
        return fail(ErrorCode::overloaded, "rooms: a client may have " +
                                               std::to_string(server_.options.rooms_a_socket_max));
    Room* room = found != rooms_.end() ? found->second.get() : nullptr;
    const bool fresh = !room;
    if (fresh) {
        auto made = std::make_unique<Room>(Room{std::string(name), {}});
        room = rooms_.emplace(std::string(name), std::move(made)).first->second.get();
    }
    socket.memberships_.push_back({room, static_cast<std::uint32_t>(room->members.size())});
    room->members.push_back(&socket);
    if (fresh && !by_id_.contains(name)) adapter_->room_opened(name);
    return {};
}

void Namespace::exit(Socket& socket, std::string_view name) {
    if (name == socket.id_) {
        if (std::exchange(socket.in_own_room_, false) && !rooms_.contains(name))
            adapter_->room_closed(name);
        return;
    }
    for (std::size_t i = 0; i < socket.memberships_.size(); ++i) {
        if (socket.memberships_[i].room->name != name) continue;
        return drop_membership(socket, i);
    }
}

void Namespace::drop_membership(Socket& socket, std::size_t at) {
    const auto [room, index] = socket.memberships_[at];
    socket.memberships_.erase(socket.memberships_.begin() + static_cast<std::ptrdiff_t>(at));
    // The last member takes its place.
    Socket* moved = room->members.back();
    room->members[index] = moved;
    room->members.pop_back();
    if (moved != &socket) {
        for (auto& membership : moved->memberships_)
            if (membership.room == room) membership.index = index;
    }
    if (!room->members.empty()) return;
    const std::string name = std::move(room->name);
    rooms_.erase(rooms_.find(name));
    shrink(rooms_);
    const auto own = by_id_.find(name);
    if (own == by_id_.end() || !own->second->in_own_room_) adapter_->room_closed(name);
}

bool Namespace::in_room(const Socket& socket, std::string_view room) const {
    if (room == socket.id_) return socket.in_own_room_;
    return std::any_of(socket.memberships_.begin(), socket.memberships_.end(),
                       [&](const auto& membership) { return membership.room->name == room; });
}

template <class Function>
void Namespace::for_each(const Audience& audience, Function function) const {
    // A socket of this call's mark had its turn, or is to have none.
    const std::uint32_t mark = ++mark_;
    const auto members = [this](const std::string& name, auto&& visit) {
        if (const auto room = rooms_.find(name); room != rooms_.end())
            for (Socket* socket : room->second->members)
                visit(socket);
        if (const auto own = by_id_.find(name); own != by_id_.end() && own->second->in_own_room_)
            visit(own->second);
    };
    for (const auto& name : audience.except)
        members(name, [mark](Socket* socket) { socket->marked_ = mark; });
    const auto visit = [&](Socket* socket) {
        if (std::exchange(socket->marked_, mark) != mark && socket->connected_) function(*socket);
    };
    if (audience.rooms.empty()) {
        for (Socket* socket : sockets_)
            visit(socket);
        return;
    }
    for (const auto& name : audience.rooms)
        members(name, visit);
}

std::vector<std::shared_ptr<Socket>> Namespace::held(const Audience& audience) const {
    std::vector<std::shared_ptr<Socket>> out;
    if (held_ == 0) return out;
    for_each(audience, [&](Socket& socket) {
        if (socket.held_) out.push_back(socket.shared_from_this());
    });
    return out;
}

std::vector<std::shared_ptr<Socket>> Namespace::select(const Audience& audience) const {
    std::vector<std::shared_ptr<Socket>> out;
    for_each(audience, [&](Socket& socket) { out.push_back(socket.shared_from_this()); });
    return out;
}

// --- LocalNamespace ---

void Namespace::emit(Audience audience, Array event) {
    adapter_->broadcast({PacketType::event, name_, {}, std::move(event)}, std::move(audience));
}

void Namespace::broadcast(const Packet& packet, const Audience& audience, std::string_view offset) {
    ++server_.counters.broadcasts;
    // Sending ends no session at once and changes no room, so the lists hold still.
    std::optional<EncodedPacket> encoded;
    const auto deliver = [&](const Packet& what) {
        for_each(audience, [&](Socket& socket) {
            if (socket.held_ && !offset.empty()) return;
            if (!encoded) encoded.emplace(what); // only if there is anybody
            ++server_.counters.deliveries;
            if (socket.client_) socket.client_->send(*encoded, audience.flags.is_volatile);
        });
    };
    if (offset.empty() || packet.type != PacketType::event) {
        if (packet.nsp == name_) return deliver(packet);
        Packet own = packet;
        own.nsp = name_;
        return deliver(own);
    }
    Packet with_offset = packet;
    with_offset.nsp = name_;
    if (auto* event = with_offset.data.get_if<Array>()) event->push_back(offset);
    deliver(with_offset);
}

std::size_t Namespace::broadcast_with_ack(const Packet& packet, const Audience& audience,
                                          OnAck on_ack) {
    const std::uint64_t id = next_ack_++;
    auto waiting = std::make_shared<BroadcastAck>();
    waiting->on_ack = std::move(on_ack);
    Packet asking = packet;
    asking.nsp = name_;
    asking.id = id;
    std::optional<EncodedPacket> encoded;
    for_each(audience, [&](Socket& socket) {
        if (!encoded) encoded.emplace(asking);
        waiting->asked.insert(&socket);
        ++server_.counters.deliveries;
        if (socket.client_) socket.client_->send(*encoded, audience.flags.is_volatile);
    });
    const std::size_t asked = waiting->asked.size();
    if (asked == 0) return 0;
    broadcast_acks_.emplace(id, std::move(waiting));
    const auto timeout = audience.flags.timeout.value_or(server_.options.ack_timeout);
    if (!server_.engine->wheel.call_after(timeout, [this, id] { broadcast_acks_.erase(id); }))
        broadcast_acks_.erase(id);
    return asked;
}

void Namespace::on_ack(Socket& socket, std::uint64_t id, Array answer) {
    const auto found = broadcast_acks_.find(id);
    if (found == broadcast_acks_.end()) return socket.on_ack(id, std::move(answer));
    const auto waiting = found->second;
    if (waiting->asked.erase(&socket) == 0) return;
    if (waiting->asked.empty()) broadcast_acks_.erase(found);
    waiting->on_ack(std::move(answer));
}

std::vector<SocketDescription> Namespace::sockets(const Audience& audience) const {
    std::vector<SocketDescription> out;
    for_each(audience, [&](const Socket& socket) {
        out.push_back({socket.id(), socket.handshake(), socket.rooms(), socket.data});
    });
    return out;
}

void Namespace::join(const Audience& audience, const std::vector<std::string>& rooms) {
    for (const auto& socket : select(audience)) {
        for (const auto& room : rooms)
            if (const auto entered = enter(*socket, room); !entered) {
                ++server_.counters.refused_events;
                break; // its rooms are full
            }
    }
}

void Namespace::leave(const Audience& audience, const std::vector<std::string>& rooms) {
    for (const auto& socket : select(audience))
        for (const auto& room : rooms)
            exit(*socket, room);
}

void Namespace::disconnect(const Audience& audience, bool close) {
    for (const auto& socket : select(audience))
        socket->disconnect(close);
}

std::vector<std::string> Namespace::rooms() const {
    std::vector<std::string> names;
    for (const auto& [name, room] : rooms_)
        names.push_back(name);
    for (const auto& [id, socket] : by_id_)
        if (socket->in_own_room_ && !rooms_.contains(id)) names.emplace_back(id);
    return names;
}

bool Namespace::has_room(std::string_view room) const {
    if (rooms_.contains(room)) return true;
    const auto own = by_id_.find(room);
    return own != by_id_.end() && own->second->in_own_room_;
}

void Namespace::server_side_event(Array args, Answer answer) {
    if (args.empty()) return;
    const auto found = server_events_.find(args.front().string_or());
    if (found == server_events_.end()) return;
    args.erase(args.begin());
    found->second(std::move(args), std::move(answer));
}

// --- events ---

void Namespace::on_event(const std::shared_ptr<Socket>& socket, Packet packet) {
    auto* data = packet.data.get_if<Array>();
    if (!data || data->empty()) return; // official servers ignore it too
    ++server_.counters.events;
    Event event;
    event.name = data->front().string_or();
    data->erase(data->begin());
    event.arguments = std::move(*data);
    if (packet.id) event.reply = Reply(socket, *packet.id);
    if (validator_) {
        if (auto refusal = validator_(*socket, event)) {
            ++server_.counters.refused_events;
            socket->emit({"error", Object{{"code", "invalid_event"},
                                          {"message", std::move(*refusal)},
                                          {"event", std::move(event.name)}}});
            return;
        }
    }
    const auto handler = events_.find(event.name);
    if (handler != events_.end()) handler->second(socket, std::move(event));
}

} // namespace netbuild::realtime
