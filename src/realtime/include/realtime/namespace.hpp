// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "realtime/adapter.hpp"
#include "realtime/socket.hpp"

namespace netbuild::realtime {

class ServerCore;

/// Why a client may not connect: the data of CONNECT_ERROR.
struct ConnectError {
    std::string message;
    Value data;
};

/// What a client sent: its name, then its arguments.
struct Event {
    std::string name;
    Array arguments;
    Reply reply;
};

class Namespace final : public LocalNamespace {
public:
    Namespace(ServerCore& server, std::string name);
    ~Namespace() override;

    /// Before CONNECT is answered; `next` is called once, now or later, without an error to go on.
    using Next = std::function<void(std::optional<ConnectError>)>;
    using Middleware = std::function<void(const std::shared_ptr<Socket>& socket, Next next)>;
    void use(Middleware middleware) { middlewares_.push_back(std::move(middleware)); }

    using OnSocket = std::function<void(const std::shared_ptr<Socket>& socket)>;
    using OnLeaving = std::function<void(Socket& socket, std::string_view reason)>;
    using OnEvent = std::function<void(const std::shared_ptr<Socket>& socket, Event event)>;
    void on_connection(OnSocket call) { on_connection_ = std::move(call); }
    /// While the socket still has its rooms.
    void on_disconnecting(OnLeaving call) { on_disconnecting_ = std::move(call); }
    void on_disconnect(OnLeaving call) { on_disconnect_ = std::move(call); }
    /// See SessionHandler: a socket's client is a slow reader; what was queued for one has left.
    using OnPressure = std::function<void(Socket& socket)>;
    void on_pressure(OnPressure call) { on_pressure_ = std::move(call); }
    void on_drained(OnPressure call) { on_drained_ = std::move(call); }
    void on(std::string event, OnEvent call) { events_[std::move(event)] = std::move(call); }
    /// Looks at each event before its handler; with a text the event is dropped and its client told
    /// so by an `error` event.
    using Validator =
        std::function<std::optional<std::string>(const Socket& socket, const Event& event)>;
    void validate(Validator validator) { validator_ = std::move(validator); }
    using OnServerEvent = std::function<void(Array arguments, Answer answer)>;
    void on_server_event(std::string event, OnServerEvent call) {
        server_events_[std::move(event)] = std::move(call);
    }

    /// To the cluster's sockets; `event` = [name, …].
    void emit(Audience audience, Array event);
    [[nodiscard]] Adapter& adapter() noexcept { return *adapter_; }
    [[nodiscard]] std::size_t size() const noexcept { return sockets_.size(); }
    [[nodiscard]] std::size_t room_count() const noexcept { return rooms_.size(); }
    [[nodiscard]] std::shared_ptr<Socket> find(std::string_view id) const;
    /// Sockets of the audience that Socket::hold() keeps from what has an offset.
    [[nodiscard]] std::vector<std::shared_ptr<Socket>> held(const Audience& audience) const;

    // LocalNamespace
    [[nodiscard]] const std::string& name() const override { return name_; }
    void broadcast(const socketio::Packet& packet, const Audience& audience,
                   std::string_view offset = {}) override;
    std::size_t broadcast_with_ack(const socketio::Packet& packet, const Audience& audience,
                                   OnAck on_ack) override;
    [[nodiscard]] std::vector<SocketDescription> sockets(const Audience& audience) const override;
    void join(const Audience& audience, const std::vector<std::string>& rooms) override;
    void leave(const Audience& audience, const std::vector<std::string>& rooms) override;
    void disconnect(const Audience& audience, bool close) override;
    [[nodiscard]] std::vector<std::string> rooms() const override;
    [[nodiscard]] bool has_room(std::string_view room) const override;
    void server_side_event(Array args, Answer answer) override;

private:
    friend class Client;
    friend class ServerCore;
    friend class Socket;
    struct BroadcastAck;
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const noexcept {
            return std::hash<std::string_view>()(name);
        }
    };

    void connect(Client& client, Value auth);
    void admit(const std::shared_ptr<Socket>& socket, std::size_t middleware,
               std::vector<Array> missed);
    void add(const std::shared_ptr<Socket>& socket, const std::vector<Array>& missed);
    asio::awaitable<result<void>> recover(std::weak_ptr<Client> client, Value auth, std::string pid,
                                          std::string offset);
    void remove(Socket& socket);
    void on_event(const std::shared_ptr<Socket>& socket, socketio::Packet packet);
    void on_ack(Socket& socket, std::uint64_t id, Array answer);
    result<void> enter(Socket& socket, std::string_view room);
    void exit(Socket& socket, std::string_view room);
    void drop_membership(Socket& socket, std::size_t at);
    [[nodiscard]] bool in_room(const Socket& socket, std::string_view room) const;
    template <class Function>
    void for_each(const Audience& audience, Function function) const;
    /// Those of for_each, kept alive, for what changes rooms or sockets.
    [[nodiscard]] std::vector<std::shared_ptr<Socket>> select(const Audience& audience) const;

    ServerCore& server_;
    std::string name_;
    std::unique_ptr<Adapter> adapter_;
    std::vector<Middleware> middlewares_;
    OnSocket on_connection_;
    OnLeaving on_disconnecting_, on_disconnect_;
    OnPressure on_pressure_, on_drained_;
    std::unordered_map<std::string, OnEvent, NameHash, std::equal_to<>> events_;
    std::map<std::string, OnServerEvent, std::less<>> server_events_;
    Validator validator_;
    std::vector<Socket*> sockets_;
    /// A socket's id names a room that it is alone in, mostly: such rooms are not kept as such.
    std::unordered_map<std::string_view, Socket*> by_id_;
    std::unordered_map<std::string, std::unique_ptr<Room>, NameHash, std::equal_to<>> rooms_;
    std::unordered_map<std::uint64_t, std::shared_ptr<BroadcastAck>> broadcast_acks_;
    std::uint64_t next_ack_ = 0;
    std::size_t held_ = 0;
    mutable std::uint32_t mark_ = 0;
};

} // namespace netbuild::realtime
