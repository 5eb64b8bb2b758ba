// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "realtime/byte_stream.hpp"
#include "realtime/http_request.hpp"
#include "runtime/clock.hpp"

namespace netbuild::realtime {

class Session;

/// What speaks over a session. Calls come on the executor's thread.
class SessionHandler {
public:
    virtual ~SessionHandler() = default;
    virtual void on_message(std::string_view data) = 0;
    virtual void on_binary(std::string_view data) = 0;
    /// Once, last; the reason is one of Socket.IO's disconnect reasons, or "slow reader".
    virtual void on_close(std::string_view reason) = 0;
    /// The client does not take what it is sent, and more than `pressure_bytes` wait for it: as
    /// long as that holds, called at each message more. May send, but end nothing and change no
    /// room.
    virtual void on_pressure() {}
    /// After Session::tell_drained(), once: all that was queued has left.
    virtual void on_drained() {}
    /// The client is let go because it reads too slowly: messages that still go to it.
    [[nodiscard]] virtual std::vector<std::string> last_words() { return {}; }
};

struct EngineOptions {
    std::string path = "/socket.io/";
    std::chrono::milliseconds ping_interval{25000};
    std::chrono::milliseconds ping_timeout{20000};
    /// Of a message and of a polling request, either way of a client.
    std::size_t payload_bytes_max = 1'000'000;
    /// From the WebSocket's handshake to the end of the upgrade.
    std::chrono::milliseconds upgrade_timeout{10000};
    /// For a whole request: head and body.
    std::chrono::milliseconds request_timeout{10000};
    /// Between requests of a connection.
    std::chrono::milliseconds idle_timeout{20000};
    std::size_t connections_max = 100'000;
    std::uint32_t header_bytes_max = 16 * 1024;
    /// Queued for one client; with more it is a slow reader, and let go.
    std::size_t queued_bytes_max = 4 * 1024 * 1024;
    /// From this part of it on, what a client can get later is not queued now.
    static constexpr std::size_t pressure_share = 16;
    [[nodiscard]] std::size_t pressure_bytes() const noexcept {
        return queued_bytes_max / pressure_share;
    }
    /// Origins whose pages may connect; "*" is any. A request without Origin, or from the page of
    /// the same host, needs none.
    std::vector<std::string> origins;
};

/// Counts since the start, and how much there is now.
struct EngineCounters {
    std::uint64_t connections = 0, sessions = 0;
    std::uint64_t accepted = 0, refused_full = 0, opened = 0, upgraded = 0;
    std::uint64_t messages_in = 0, bytes_in = 0;
    std::uint64_t messages_out = 0, bytes_out = 0, writes = 0;
    std::uint64_t queued_bytes = 0;
    std::uint64_t dropped_volatile = 0, closed_slow = 0, closed_protocol = 0, closed_timeout = 0;
    std::uint64_t bad_requests = 0;
};

/// Engine.IO v4 on one executor: connections, sessions, both transports.
class Engine {
public:
    using Opened = std::function<std::unique_ptr<SessionHandler>(Session& session)>;
    Engine(asio::any_io_executor executor, Clock& clock, EngineOptions options, Opened opened);
    ~Engine();

    /// unavailable: the address is taken or not ours. Port 0: one that is free.
    result<void> listen(const std::string& host, std::uint16_t port);
    [[nodiscard]] std::uint16_t port() const;
    /// A connection that another server accepted, with the request it read for `path` and what came
    /// after it. It ends with its answer, unless it becomes a WebSocket.
    void take(std::unique_ptr<ByteStream> stream, HttpRequest request, std::string after);

    /// No new connections and sessions from now on.
    void stop_accepting();
    [[nodiscard]] std::vector<std::shared_ptr<Session>> sessions() const;
    [[nodiscard]] const EngineCounters& counters() const;

    class Impl;

private:
    std::unique_ptr<Impl> impl_;
};

/// `--raw-engineio`: what a session is sent it sends back.
[[nodiscard]] Engine::Opened echo_sessions();

} // namespace netbuild::realtime
