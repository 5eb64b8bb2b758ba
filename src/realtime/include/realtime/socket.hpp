// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/value.hpp"
#include "wire/socketio_packet.hpp"

namespace netbuild::realtime {

class Client;
class Namespace;
struct EncodedPacket;
struct Room;
class Socket;

/// The answer that an event asks for. Given once; later calls do nothing.
class Reply {
public:
    Reply() = default;
    Reply(std::weak_ptr<Socket> socket, std::uint64_t id) : socket_(std::move(socket)), id_(id) {}
    [[nodiscard]] bool wanted() const noexcept { return id_.has_value(); }
    void operator()(Array arguments);

private:
    std::weak_ptr<Socket> socket_;
    std::optional<std::uint64_t> id_;
};

/// One client in one namespace.
class Socket : public std::enable_shared_from_this<Socket> {
public:
    Socket(Namespace& nsp, Client& client, std::string id, std::string pid, Value auth);
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    /// What a client comes back with; empty where nothing is recovered.
    [[nodiscard]] const std::string& pid() const noexcept { return pid_; }
    [[nodiscard]] Namespace& nsp() const noexcept { return nsp_; }
    [[nodiscard]] bool connected() const noexcept { return connected_; }
    /// Its rooms, data and missed events came from an earlier connection.
    [[nodiscard]] bool recovered() const noexcept { return recovered_; }
    /// Of a middleware: what was recovered is not this client's; it begins anew.
    void forget_recovery();
    /// Sent and not yet taken by the client's connection.
    [[nodiscard]] std::size_t queued_bytes() const noexcept;
    /// The namespace's on_drained() is called once when nothing of it waits any more.
    void tell_drained();
    /// Until hold(false), broadcasts with an offset pass this socket by: it has not all before
    /// them.
    void hold(bool held);
    /// What the client gave with its CONNECT.
    [[nodiscard]] const Value& auth() const noexcept { return auth_; }
    /// {headers, time, address, xdomain, secure, issued, url, query, auth}.
    [[nodiscard]] Value handshake() const;
    /// With its own id first.
    [[nodiscard]] std::vector<std::string> rooms() const;

    /// overloaded: more rooms than a client may have.
    result<void> join(std::string_view room);
    void leave(std::string_view room);
    /// `event` = [name, …].
    void emit(Array event, bool is_volatile = false);
    /// Calls once: with the client's answer, or with deadline_exceeded or cancelled.
    void emit_with_ack(Array event, std::chrono::milliseconds timeout,
                       std::function<void(result<Array>)> answered);
    /// Of this namespace, or of the whole client.
    void disconnect(bool close);

    /// Shown by fetchSockets, kept by recovery.
    Value data = Object{};

private:
    friend class Client;
    friend class Namespace;
    friend class Reply;
    struct Membership {
        Room* room;
        std::uint32_t index; // of this socket there
    };
    struct Acks;

    void send(const socketio::Packet& packet, bool is_volatile = false);
    void on_ack(std::uint64_t id, Array answer);
    void close(std::string_view reason);

    Namespace& nsp_;
    Client* client_; // null once the client has gone
    std::string id_, pid_;
    Value auth_;
    std::int64_t issued_us_;
    std::vector<Membership> memberships_;
    std::unique_ptr<Acks> acks_;
    std::uint32_t marked_ = 0; // by the namespace, while it looks for an audience
    std::uint32_t index_ = 0;  // in the namespace's list
    bool connected_ = false, recovered_ = false, in_own_room_ = false, held_ = false;
};

} // namespace netbuild::realtime
