// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <string>

#include "realtime/adapter.hpp"
#include "realtime/engine.hpp"
#include "realtime/namespace.hpp"

namespace netbuild::realtime {

struct ServerOptions {
    EngineOptions engine;
    /// For a client's first CONNECT.
    std::chrono::milliseconds connect_timeout{45000};
    std::size_t rooms_a_socket_max = 1000;
    std::size_t namespaces_a_client_max = 64;
    /// More are dropped, and the client gets one `error` event a second.
    std::uint32_t events_a_second_max = 1000;
    /// What a client has not acknowledged yet.
    std::size_t acks_a_socket_max = 10000;
    /// Of a broadcast that says nothing of a time-out.
    std::chrono::milliseconds ack_timeout{5000};
    /// Of a cluster; empty: this node alone.
    AdapterFactory adapter;
};

struct ServerCounters {
    EngineCounters engine;
    std::uint64_t sockets = 0, rooms = 0;
    std::uint64_t events = 0, broadcasts = 0, deliveries = 0, recovered = 0;
    std::uint64_t refused_packets = 0, refused_events = 0, limited_events = 0;
};

/// Socket.IO v5 over Engine.IO v4, on one executor (one thread).
class Server {
public:
    Server(asio::any_io_executor executor, Clock& clock, ServerOptions options);
    /// `co_await stop()` first.
    ~Server();

    /// Made if it is new; before start().
    Namespace& of(std::string_view name);
    /// Starts the adapters of all namespaces.
    awaitable<result<void>> start();
    result<void> listen(const std::string& host, std::uint16_t port);
    [[nodiscard]] std::uint16_t port() const;
    /// Of a listener of another's: a request for the path, and the bytes that came after it.
    void take(std::unique_ptr<ByteStream> stream, HttpRequest request, std::string after);
    /// Nobody new; then all clients are let go, spread over `time` so that they do not come back to
    /// another node at once; then the adapters stop.
    awaitable<void> stop(Clock::duration time);

    /// Calls `work` later; false if too much waits.
    bool call_after(Clock::duration time, std::function<void()> work);
    /// Runs until it ends, at the latest at stop().
    void spawn(std::string name, awaitable<result<void>> task);
    [[nodiscard]] ServerCounters counters() const;

private:
    std::unique_ptr<ServerCore> core_;
};

} // namespace netbuild::realtime
