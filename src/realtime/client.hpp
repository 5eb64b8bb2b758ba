// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "message.hpp"
#include "realtime/engine.hpp"
#include "realtime/socket.hpp"
#include "server_core.hpp"
#include "session.hpp"
#include "timer_wheel.hpp"
#include "wire/socketio_codec.hpp"

namespace netbuild::realtime {

/// A packet as its messages: for one client or for all that get it.
struct EncodedPacket {
    explicit EncodedPacket(const socketio::Packet& packet);
    MessageRef text;
    std::vector<MessageRef> attachments;
};

/// The Socket.IO side of a session: its packets, and its sockets of each namespace.
class Client final : public SessionHandler,
                     public std::enable_shared_from_this<Client>,
                     private Timer {
public:
    Client(ServerCore& server, Session& session);
    void start();

    void on_message(std::string_view data) override;
    void on_binary(std::string_view data) override;
    void on_close(std::string_view reason) override;
    void on_pressure() override;
    void on_drained() override;
    [[nodiscard]] std::vector<std::string> last_words() override;

    [[nodiscard]] bool open() const noexcept { return open_; }
    [[nodiscard]] const Origin& origin() const noexcept { return session_.origin(); }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return session_.queued_bytes(); }
    void tell_drained() { session_.tell_drained(); }
    void send(const EncodedPacket& packet, bool is_volatile);
    void send(const socketio::Packet& packet) { send(EncodedPacket(packet), false); }
    void refuse(const std::string& nsp, ConnectError error);
    void connected(const std::shared_ptr<Socket>& socket);
    void not_connected(const Namespace& nsp);
    void disconnected(const Socket& socket);
    /// All its sockets, then the transport.
    void disconnect_all();
    void close(std::string_view reason);

private:
    void on_deadline() override;
    void on_packet(result<std::optional<socketio::Packet>> decoded);
    void on_connect(const std::string& name, Value auth);
    [[nodiscard]] bool may_send_event(const std::shared_ptr<Socket>& socket);

    ServerCore& server_;
    Session& session_; // owns this
    socketio::Decoder decoder_;
    std::vector<std::shared_ptr<Socket>> sockets_;
    std::vector<const Namespace*> connecting_;
    std::uint32_t second_ = 0, events_ = 0; // events of the second
    bool open_ = true, told_limit_ = false;
};

} // namespace netbuild::realtime
