// SPDX-License-Identifier: Apache-2.0
#include "engine.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include "base/shrink.hpp"
#include "connection.hpp"
#include "telemetry/log.hpp"
#include "wire/base64.hpp"
#include "wire/json.hpp"
#include "wire/percent.hpp"

namespace netbuild::realtime {
namespace {

using boost::system::error_code;
using tcp = asio::ip::tcp;

/// Accepted in a row while others wait.
constexpr int accepts_max = 64;
constexpr std::chrono::seconds line_interval{1};

std::string_view query_value(std::string_view target, std::string_view name) {
    std::string_view query = query_of(target);
    while (const auto pair = next_query_pair(query))
        if (pair->name == name) return pair->value;
    return {};
}

bool equal_without_case(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
    });
}

/// `token` is one of the list's, in any case.
bool has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        auto item = list.substr(0, list.find(','));
        list.remove_prefix(std::min(list.size(), item.size() + 1));
        while (item.starts_with(' '))
            item.remove_prefix(1);
        while (item.ends_with(' '))
            item.remove_suffix(1);
        if (equal_without_case(item, token)) return true;
    }
    return false;
}

bool wants_websocket(const HttpRequest& request) {
    return has_token(request.header("upgrade"), "websocket") &&
           has_token(request.header("connection"), "upgrade");
}

/// The body that official servers answer a bad request with.
HttpAnswer bad_request(int code, std::string_view message) {
    return {400, "application/json", fmt::format(R"({{"code":{},"message":"{}"}})", code, message)};
}
HttpAnswer bad_request() { return bad_request(3, "Bad request"); }

class Echo final : public SessionHandler {
public:
    explicit Echo(Session& session) : session_(session) {}
    void on_message(std::string_view data) override {
        session_.send(MessageRef::text(MessageRef::text_begin().append("4").append(data)));
    }
    void on_binary(std::string_view data) override { session_.send(MessageRef::binary(data)); }
    void on_close(std::string_view) override {}

private:
    Session& session_;
};

} // namespace

Engine::Opened echo_sessions() {
    return [](Session& session) { return std::make_unique<Echo>(session); };
}

Engine::Impl::Impl(asio::any_io_executor on, Clock& of, EngineOptions with, Opened calls)
    : executor(on),
      clock(of),
      options(std::move(with)),
      opened(std::move(calls)),
      wheel(on, of),
      read_buffer(std::make_unique<std::array<char, read_bytes>>()),
      acceptor(on) {}

Engine::Impl::~Impl() {
    *alive_ = false;
    error_code ignored;
    acceptor.close(ignored);
    auto connections = std::move(connections_);
    connections_.clear();
    for (const auto& [pointer, connection] : connections)
        connection->abort();
    sessions.clear();
}

result<void> Engine::Impl::listen(const std::string& host, std::uint16_t port) {
    error_code ec;
    const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
    if (ec) return fail(ErrorCode::invalid_argument, host + " is no IP address");
    const tcp::endpoint endpoint(address, port);
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) acceptor.non_blocking(true, ec);
    if (ec)
        return fail(ErrorCode::unavailable,
                    fmt::format("listen on {}:{}: {}", host, port, ec.message()));
    accepting = true;
    accept_some();
    return {};
}

void Engine::Impl::accept_some() {
    for (int i = 0; i < accepts_max; ++i) {
        error_code ec;
        tcp::socket socket(executor);
        acceptor.accept(socket, ec);
        if (ec == asio::error::would_block) break;
        if (ec) {
            // Such as too many open files: others may end. The backlog waits a moment.
            log::warning("accept: {}", ec.message());
            wheel.call_after(std::chrono::milliseconds(100), [this] {
                if (accepting) accept_some();
            });
            return;
        }
        open(std::move(socket));
    }
    acceptor.async_wait(tcp::acceptor::wait_read, [this, alive = alive_](const error_code& ec) {
        if (ec || !*alive || !accepting) return;
        accept_some();
    });
}

std::shared_ptr<Connection> Engine::Impl::adopt(std::unique_ptr<ByteStream> stream) {
    if (connections_.size() >= options.connections_max) {
        ++counters.refused_full;
        return nullptr; // closes it
    }
    ++counters.accepted;
    auto connection = std::make_shared<Connection>(*this, std::move(stream));
    connections_.emplace(connection.get(), connection);
    counters.connections = connections_.size();
    return connection;
}

void Engine::Impl::open(tcp::socket socket) {
    if (const auto connection = adopt(tcp_stream(std::move(socket)))) connection->start();
}

void Engine::Impl::take(std::unique_ptr<ByteStream> stream, HttpRequest request,
                        std::string after) {
    if (const auto connection = adopt(std::move(stream)))
        connection->start_with(std::move(request), std::move(after));
}

void Engine::Impl::stop_accepting() {
    accepting = false;
    error_code ignored;
    acceptor.close(ignored);
}

std::shared_ptr<Session> Engine::Impl::find(std::string_view sid) const {
    SessionId id;
    if (sid.size() != id.text.size()) return nullptr;
    std::copy(sid.begin(), sid.end(), id.text.begin());
    const auto found = sessions.find(id);
    return found == sessions.end() ? nullptr : found->second;
}

std::string Engine::Impl::cors_headers(const HttpRequest& request) const {
    const auto origin = request.header("origin");
    if (origin.empty() || options.origins.empty()) return {};
    const bool any =
        std::find(options.origins.begin(), options.origins.end(), "*") != options.origins.end();
    if (!any &&
        std::find(options.origins.begin(), options.origins.end(), origin) == options.origins.end())
        return "Vary: Origin\r\n";
    std::string out = any ? "Access-Control-Allow-Origin: *\r\n"
                          : fmt::format("Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n"
                                        "Access-Control-Allow-Credentials: true\r\n",
                                        origin);
    if (request.method == "OPTIONS")
        out += "Access-Control-Allow-Methods: GET,POST\r\n"
               "Access-Control-Allow-Headers: content-type,authorization\r\n";
    return out;
}

std::optional<HttpAnswer> Engine::Impl::refuse_early(const HttpRequest& request) const {
    const std::string_view target = request.target;
    const auto path = target.substr(0, target.find('?'));
    if (path != options.path && std::string(path) + "/" != options.path)
        return HttpAnswer{404, "text/plain; charset=UTF-8", "Not Found"};
    if (request.method == "OPTIONS") return std::nullopt;
    const auto transport = query_value(target, "transport");
    if (transport != "polling" && transport != "websocket")
        return bad_request(0, "Transport unknown");
    const auto sid = query_value(target, "sid");
    const bool upgrade = wants_websocket(request);
    if (query_value(target, "EIO") != "4")
        return sid.empty() ? bad_request(5, "Unsupported protocol version") : bad_request();
    if (!sid.empty()) {
        const auto session = find(sid);
        if (!session) return bad_request(1, "Session ID unknown");
        // After an upgrade only the WebSocket is the client's.
        if (!upgrade && (transport != "polling" || session->has_websocket())) return bad_request();
        if (!upgrade && request.method != "GET" && request.method != "POST") return bad_request();
        if (upgrade && (transport != "websocket" || request.method != "GET")) return bad_request();
        return std::nullopt;
    }
    if (request.method != "GET") return bad_request(2, "Bad handshake method");
    if ((transport == "websocket") != upgrade) return bad_request();
    if (!accepting) return HttpAnswer{503, "text/plain; charset=UTF-8", {}};
    return std::nullopt;
}

void Engine::Impl::handle(Connection& connection, HttpRequest request) {
    if (auto refusal = refuse_early(request)) {
        ++counters.bad_requests;
        return connection.answer(*refusal);
    }
    if (request.method == "OPTIONS") return connection.answer({204, {}, {}});
    const std::string sid(query_value(request.target, "sid"));
    if (wants_websocket(request)) return handle_websocket(connection, std::move(request), sid);
    if (sid.empty()) return open_polling(connection, std::move(request));
    const auto session = find(sid);
    if (request.method == "GET") return session->poll(connection);
    if (request.header("content-type") == "application/octet-stream") {
        session->fail("transport error");
        return connection.answer(bad_request());
    }
    if (!session->post(request.body)) return connection.answer(bad_request());
    connection.answer({200, "text/html", "ok"});
}

void Engine::Impl::handle_websocket(Connection& connection, HttpRequest request,
                                    std::string_view sid) {
    const std::string key(request.header("sec-websocket-key"));
    std::string nonce;
    if (!decode_base64(key, nonce) || nonce.size() != 16) return connection.answer(bad_request());
    if (request.header("sec-websocket-version") != "13")
        return connection.answer({426, "text/plain; charset=UTF-8", {}});
    const auto origin = request.header("origin");
    // Same-origin rules do not hold for WebSockets: a page of any site could open one.
    if (!origin.empty() && !options.origins.empty() && !cors_headers(request).starts_with("Acc") &&
        origin.substr(std::min(origin.size(), origin.find("//") + 2)) != request.header("host"))
        return connection.answer({403, "text/plain; charset=UTF-8", {}});
    connection.accept_websocket(key);
    if (!sid.empty()) {
        const auto session = find(sid);
        if (!session->begin_probe(connection.shared_from_this()))
            return connection.close_websocket(websocket::close_code::normal);
        return connection.probe(session);
    }
    const auto session = make_session(std::move(request), connection);
    session->attach_websocket(connection.shared_from_this());
    connection.carry(session);
    start(*session, "[]");
}

void Engine::Impl::start(Session& session, std::string_view upgrades) {
    session.send(MessageRef::packet(fmt::format(
        R"(0{{"sid":"{}","upgrades":{},"pingInterval":{},"pingTimeout":{},"maxPayload":{}}})",
        session.id(), upgrades, options.ping_interval.count(), options.ping_timeout.count(),
        options.payload_bytes_max)));
    session.start(opened(session));
}

void Engine::Impl::open_polling(Connection& connection, HttpRequest request) {
    const auto session = make_session(std::move(request), connection);
    start(*session, R"(["websocket"])");
    session->poll(connection);
}

std::shared_ptr<Session> Engine::Impl::make_session(HttpRequest request,
                                                    const Connection& connection) {
    auto session = std::make_shared<Session>(
        *this, Origin(request, connection.stream().address(), connection.stream().secure()));
    sessions.emplace(session->key(), session);
    ++counters.opened;
    counters.sessions = sessions.size();
    return session;
}

void Engine::Impl::mark_dirty(Session& session) {
    if (session.dirty) return;
    session.dirty = true;
    dirty_.push_back(session.shared_from_this());
    schedule_flush();
}

void Engine::Impl::doom(Session& session) {
    if (session.doomed) return;
    session.doomed = true;
    doomed_.push_back(session.shared_from_this());
    schedule_flush();
}

void Engine::Impl::log_slow(const Session& session) {
    // A burst that is too much for thousands is one line.
    if (clock.monotonic() < next_line_) {
        ++lines_left_out_;
        return;
    }
    next_line_ = clock.monotonic() + line_interval;
    const auto more = std::exchange(lines_left_out_, 0);
    log::warning("realtime: session {} of {} is let go: it reads too slowly, {} bytes waited{}",
                 session.id(), session.origin().address(), session.queued_bytes(),
                 more ? fmt::format(" (as {} before it)", more) : std::string());
}

void Engine::Impl::schedule_flush() {
    if (flush_scheduled_) return;
    flush_scheduled_ = true;
    // Behind all that is ready now: what that work queues leaves in the same writes.
    asio::post(executor, [this, alive = alive_] {
        if (*alive) flush_dirty();
    });
}

void Engine::Impl::flush_dirty() {
    flush_scheduled_ = false;
    auto dirty = std::exchange(dirty_, {});
    for (const auto& session : dirty) {
        session->dirty = false;
        session->flush();
    }
    for (const auto& session : std::exchange(doomed_, {}))
        session->close_slow();
    dirty.clear();
    if (dirty_.empty() && dirty.capacity() <= 2 * sessions.size())
        dirty_ = std::move(dirty); // its memory again
}

void Engine::Impl::forget(Session& session) {
    const auto found = sessions.find(session.key());
    if (found == sessions.end()) return;
    // Its callers are members of it.
    asio::post(executor, [last = std::move(found->second)] {});
    sessions.erase(found);
    shrink(sessions);
    counters.sessions = sessions.size();
}

void Engine::Impl::forget(Connection& connection) {
    const auto found = connections_.find(&connection);
    if (found == connections_.end()) return;
    asio::post(executor, [last = std::move(found->second)] {});
    connections_.erase(found);
    shrink(connections_);
    counters.connections = connections_.size();
}

Engine::Engine(asio::any_io_executor executor, Clock& clock, EngineOptions options, Opened opened)
    : impl_(std::make_unique<Impl>(std::move(executor), clock, std::move(options),
                                   std::move(opened))) {}
Engine::~Engine() = default;
result<void> Engine::listen(const std::string& host, std::uint16_t port) {
    return impl_->listen(host, port);
}
std::uint16_t Engine::port() const {
    error_code ignored;
    return impl_->acceptor.local_endpoint(ignored).port();
}
void Engine::take(std::unique_ptr<ByteStream> stream, HttpRequest request, std::string after) {
    impl_->accepting = true;
    impl_->take(std::move(stream), std::move(request), std::move(after));
}
void Engine::stop_accepting() { impl_->stop_accepting(); }
std::vector<std::shared_ptr<Session>> Engine::sessions() const {
    std::vector<std::shared_ptr<Session>> out;
    out.reserve(impl_->sessions.size());
    for (const auto& [id, session] : impl_->sessions)
        out.push_back(session);
    return out;
}
const EngineCounters& Engine::counters() const { return impl_->counters; }

} // namespace netbuild::realtime
