// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/uio.h>

#include "message.hpp"
#include "realtime/engine.hpp"
#include "timer_wheel.hpp"

namespace netbuild::realtime {

class Connection;

/// 20 characters of base64url: 120 random bits.
struct SessionId {
    std::array<char, 20> text;
    [[nodiscard]] static SessionId random();
    [[nodiscard]] std::string_view view() const noexcept { return {text.data(), text.size()}; }
    friend bool operator==(const SessionId&, const SessionId&) = default;
    struct Hash {
        std::size_t operator()(const SessionId& id) const noexcept {
            return std::hash<std::string_view>()(id.view());
        }
    };
};

/// What is kept of the request that opened a session, in one piece of memory.
class Origin {
public:
    Origin(const HttpRequest& request, std::string_view address, bool secure);
    [[nodiscard]] std::string_view target() const;
    [[nodiscard]] std::string_view address() const;
    [[nodiscard]] bool secure() const noexcept { return secure_; }
    [[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> headers() const;

private:
    std::string text_; // address, target, then name and value in turn, each ended by NUL
    bool secure_;
};

/// One client, over whichever transport it has now.
class Session final : public std::enable_shared_from_this<Session>, private Timer {
public:
    Session(Engine::Impl& engine, Origin origin);
    ~Session();

    [[nodiscard]] std::string_view id() const noexcept { return id_.view(); }
    [[nodiscard]] const SessionId& key() const noexcept { return id_; }
    [[nodiscard]] const Origin& origin() const noexcept { return origin_; }
    [[nodiscard]] bool open() const noexcept { return state_ == State::open; }
    /// The client takes what it is sent: nothing waits for its socket, or for its next poll.
    [[nodiscard]] bool writable() const noexcept;
    [[nodiscard]] bool has_websocket() const noexcept { return websocket_; }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return queued_bytes_; }

    enum class Delivery : std::uint8_t { reliable, if_writable };
    /// Leaves with whatever else is queued until the executor's other ready work is done.
    void send(MessageRef message, Delivery delivery = Delivery::reliable);
    /// What is queued still leaves; then the transport ends. The handler is told at once.
    void close(std::string_view reason);
    /// Ends at once.
    void fail(std::string_view reason, std::uint16_t websocket_code = 0);
    /// Lets a slow reader go: what is queued is dropped, and the client told why.
    void close_slow();
    /// The handler is told once when nothing is queued any more.
    void tell_drained() noexcept { drained_wanted_ = true; }

    // For the engine and its connections.
    void start(std::unique_ptr<SessionHandler> handler);
    void attach_websocket(std::shared_ptr<Connection> connection);
    void poll(Connection& connection);
    /// False: the payload is malformed and the session has ended.
    bool post(std::string_view body);
    void on_packet(std::string_view text);
    void on_binary(std::string_view data);
    /// False: the transport is not to be probed.
    bool begin_probe(const std::shared_ptr<Connection>& connection);
    void on_probed();
    void end_probe();
    void finish_upgrade(std::shared_ptr<Connection> connection);
    void on_transport_lost(std::string_view reason);
    void flush();
    void drop_queue();
    /// Up to pieces.size() of what is to be written next.
    [[nodiscard]] std::size_t gather(std::span<iovec> pieces) const;
    void written(std::size_t bytes);
    void set_blocked(bool blocked);
    [[nodiscard]] bool has_output() const noexcept { return head_ < queue_.size(); }
    bool dirty = false, doomed = false;

private:
    enum class State : std::uint8_t { open, closing, closed };
    void on_deadline() override;
    void look_at_queue();
    void enqueue(MessageRef message);
    void close(std::string_view reason, std::uint16_t websocket_code, std::string_view why,
               std::chrono::seconds timeout);
    void saw_packet();
    void answer_poll(std::string payload);
    [[nodiscard]] std::string take_payload();
    void on_empty();
    void end(std::string_view reason);

    Engine::Impl& engine_;
    SessionId id_;
    State state_ = State::open;
    bool websocket_ = false, blocked_ = false, probed_ = false;
    bool awaiting_pong_ = false, extended_ = false, drained_wanted_ = false;
    std::unique_ptr<SessionHandler> handler_;
    /// The WebSocket, or the connection whose poll waits.
    std::shared_ptr<Connection> connection_;
    std::shared_ptr<Connection> probe_;
    std::vector<MessageRef> queue_;
    std::size_t head_ = 0, offset_ = 0, queued_bytes_ = 0;
    Origin origin_;
};

} // namespace netbuild::realtime
