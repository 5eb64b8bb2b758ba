// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "realtime/byte_stream.hpp"
#include "realtime/engine.hpp"
#include "session.hpp"
#include "timer_wheel.hpp"

namespace netbuild::realtime {

class Connection;

struct HttpAnswer {
    int status = 200;
    std::string_view content_type = "text/plain; charset=UTF-8";
    std::string body;
};

/// What connections and sessions share: options, deadlines, the read buffer, who has to write.
class Engine::Impl {
public:
    Impl(asio::any_io_executor executor, Clock& clock, EngineOptions options, Opened opened);
    ~Impl();

    result<void> listen(const std::string& host, std::uint16_t port);
    void take(std::unique_ptr<ByteStream> stream, HttpRequest request, std::string after);
    void stop_accepting();

    /// Looks at a request's head alone: an answer if the request is refused already.
    [[nodiscard]] std::optional<HttpAnswer> refuse_early(const HttpRequest& request) const;
    /// A whole request; the connection is answered, now or later.
    void handle(Connection& connection, HttpRequest request);
    /// Lines for an answer, each with its end.
    [[nodiscard]] std::string cors_headers(const HttpRequest& request) const;

    void mark_dirty(Session& session);
    /// Lets a slow reader go once nothing iterates over sessions.
    void doom(Session& session);
    void log_slow(const Session& session);
    void forget(Session& session);
    void forget(Connection& connection);

    static constexpr std::size_t read_bytes = 64 * 1024;

    asio::any_io_executor executor;
    Clock& clock;
    const EngineOptions options;
    const Opened opened;
    TimerWheel wheel;
    EngineCounters counters;
    std::unique_ptr<std::array<char, read_bytes>> read_buffer;
    std::unordered_map<SessionId, std::shared_ptr<Session>, SessionId::Hash> sessions;
    asio::ip::tcp::acceptor acceptor;
    bool accepting = false;

private:
    void accept_some();
    void open(asio::ip::tcp::socket socket);
    /// Null: there are too many.
    std::shared_ptr<Connection> adopt(std::unique_ptr<ByteStream> stream);
    void schedule_flush();
    void flush_dirty();
    [[nodiscard]] std::shared_ptr<Session> find(std::string_view sid) const;
    void handle_get(Connection& connection, HttpRequest request, std::string_view sid);
    void handle_websocket(Connection& connection, HttpRequest request, std::string_view sid);
    void open_polling(Connection& connection, HttpRequest request);
    /// Says what the session's settings are, and gives it its handler.
    void start(Session& session, std::string_view upgrades);
    std::shared_ptr<Session> make_session(HttpRequest request, const Connection& connection);

    std::vector<std::shared_ptr<Session>> dirty_, doomed_;
    /// Connections keep themselves; here they are found.
    std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
    bool flush_scheduled_ = false;
    /// Of slow readers' lines in the log.
    Clock::duration next_line_{};
    std::size_t lines_left_out_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace netbuild::realtime
