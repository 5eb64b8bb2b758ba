// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>

#include "problem.hpp"
#include "runtime/task_group.hpp"
#include "telemetry/log.hpp"
#include "tls_connection.hpp"
#include "wire/percent.hpp"

namespace netbuild::http {

namespace beast = boost::beast;
using tcp = asio::ip::tcp;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

using Message = beast::http::request<beast::http::string_body>;
using BeastResponse = beast::http::response<beast::http::string_body>;

BeastResponse to_beast(Response response, unsigned version, bool keep_alive) {
    BeastResponse answer(static_cast<beast::http::status>(response.status), version);
    answer.set(beast::http::field::content_type, response.content_type);
    answer.set(beast::http::field::server, "netbuild");
    for (const auto& [name, value] : response.headers)
        answer.set(name, value);
    answer.body() = std::move(response.body);
    answer.keep_alive(keep_alive);
    answer.prepare_payload();
    return answer;
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// What TCP and TLS do not do alike.
void shutdown_send(beast::tcp_stream& stream) {
    boost::system::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}
void shutdown_send(TlsConnection& stream) { stream.shutdown_send(); }
auto discard_some(beast::tcp_stream& stream, asio::mutable_buffer buffer) {
    return stream.async_read_some(asio::mutable_buffer(buffer), as_result);
}
auto discard_some(TlsConnection& stream, asio::mutable_buffer buffer) {
    return stream.async_discard_some(buffer, as_result);
}
std::unique_ptr<realtime::ByteStream> release(beast::tcp_stream& stream) {
    stream.expires_never();
    return realtime::tcp_stream(stream.release_socket());
}
std::unique_ptr<realtime::ByteStream> release(TlsConnection& stream) {
    return realtime::tls_stream(stream.release());
}

template <class Connection>
class ConnectionStream final : public Stream {
public:
    ConnectionStream(Connection& stream, Clock::duration timeout)
        : stream_(stream), timeout_(timeout) {}
    awaitable<result<void>> write(std::string bytes) override {
        stream_.expires_after(timeout_);
        const auto [ec, size] = co_await asio::async_write(stream_, asio::buffer(bytes), as_result);
        if (ec) co_return fail(ErrorCode::cancelled, "the client is gone");
        co_return result<void>{};
    }

private:
    Connection& stream_;
    Clock::duration timeout_;
};

} // namespace

class Server::Impl {
public:
    Impl(asio::any_io_executor executor, Options options, Handler& handler)
        : options_(std::move(options)),
          handler_(handler),
          acceptor_(executor),
          connections_(executor, [](const std::string& name, const Error& error) {
              log::error("{}: {}", name, error.message());
          }) {}

    result<void> listen() {
        if (!options_.tls.empty()) {
            TRY(TlsIdentity loaded, TlsIdentity::load(options_.tls));
            identity_.emplace(std::move(loaded));
        }
        boost::system::error_code ec;
        const auto address =
            asio::ip::make_address(options_.host == "localhost" ? "127.0.0.1" : options_.host, ec);
        const std::string name = fmt::format("{}:{}", options_.host, options_.port);
        if (ec)
            return fail(ErrorCode::invalid_configuration,
                        "http.host: " + options_.host + " is no IP address");
        const tcp::endpoint endpoint(address, options_.port);
        acceptor_.open(endpoint.protocol(), ec);
        if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
        if (!ec) acceptor_.bind(endpoint, ec);
        if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
        if (ec)
            return fail(
                ErrorCode::unavailable,
                fmt::format("listen on {}: {} (choose another with --port)", name, ec.message()));
        return {};
    }

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    std::size_t connections() const { return connections_.size(); }

    awaitable<result<void>> run() {
        co_await asio::this_coro::throw_if_cancelled(false);
        while (true) {
            auto [ec, socket] = co_await acceptor_.async_accept(as_result);
            if (ec == asio::error::operation_aborted) break;
            if (ec) {
                log::warning("accept: {}",
                             ec.message()); // such as too many open files: others may end
                continue;
            }
            if (connections_.size() >= options_.connections_max) continue; // closes it
            socket.set_option(tcp::no_delay(true), ec);
            if (identity_) {
                connections_.spawn("connection", serve_tls(TlsConnection(std::move(socket))));
            } else {
                connections_.spawn("connection", serve(beast::tcp_stream(std::move(socket))));
            }
        }
        co_await connections_.stop();
        co_return fail(ErrorCode::cancelled, "http");
    }

private:
    awaitable<result<void>> serve_tls(TlsConnection stream) {
        stream.expires_after(options_.head_timeout);
        const auto [ec, none] = co_await stream.async_handshake(*identity_, as_result);
        if (!ec) co_return co_await serve(std::move(stream));
        if (ec == beast::error::timeout) co_return result<void>{};
        if (stream.heard_plain_http()) {
            constexpr std::string_view answer =
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                "Content-Length: 30\r\nConnection: close\r\nServer: netbuild\r\n\r\n"
                "This port takes https:// only\n";
            co_await stream.async_write_plain(asio::buffer(answer), as_result);
        }
        co_await linger(stream);
        co_return result<void>{};
    }

    template <class Connection>
    awaitable<result<void>> serve(Connection stream) {
        beast::flat_buffer buffer;
        bool first = true;
        boost::system::error_code gone;
        const auto endpoint = stream.socket().remote_endpoint(gone);
        const std::string peer = gone ? std::string() : endpoint.address().to_string();
        while (true) {
            beast::http::request_parser<beast::http::string_body> parser;
            parser.body_limit(std::max(options_.body_bytes_max, options_.taken_body_bytes_max));
            parser.header_limit(options_.header_bytes_max);
            if (!std::exchange(first, false) && buffer.size() == 0 &&
                !co_await next_bytes(stream, buffer))
                break;
            stream.expires_after(options_.head_timeout);
            auto [ec, size] =
                co_await beast::http::async_read_header(stream, buffer, parser, as_result);
            if (!ec) {
                stream.expires_after(options_.idle_timeout);
                std::tie(ec, size) =
                    co_await beast::http::async_read(stream, buffer, parser, as_result);
            }
            if (ec) {
                if (ec == beast::http::error::end_of_stream || ec == beast::error::timeout) break;
                if (!parser.got_some()) break;
                co_await refuse(stream, ec);
                break;
            }
            auto message = parser.release();
            if (options_.take && message.target().starts_with(options_.taken_path)) {
                options_.take(release(stream), to_taken(std::move(message)),
                              beast::buffers_to_string(buffer.data()));
                co_return result<void>{};
            }
            if (message.body().size() > options_.body_bytes_max) {
                co_await refuse(stream, beast::http::error::body_limit);
                break;
            }
            const bool keep_alive = message.keep_alive();
            const unsigned version = message.version();
            auto request = to_request(std::move(message), peer);
            if (!request) {
                co_await send(stream, to_beast(problem(request.error()), version, false));
                break;
            }
            stream.expires_never(); // the handler has deadlines of its own
            if (handler_.streams(*request)) {
                Response head = co_await handler_.stream_head(*request);
                if (head.status != 200) {
                    if (!co_await send(stream, to_beast(std::move(head), version, keep_alive)))
                        break;
                    continue;
                }
                ConnectionStream<Connection> out(stream, options_.idle_timeout);
                std::string text =
                    fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nCache-Control: no-store\r\n"
                                "Connection: close\r\nServer: netbuild\r\n",
                                head.content_type);
                for (const auto& [name, value] : head.headers)
                    text += fmt::format("{}: {}\r\n", name, value);
                if (co_await out.write(text + "\r\n"))
                    co_await handler_.stream(std::move(*request), out);
                break;
            }
            if (!co_await send(stream, to_beast(co_await handler_.handle(std::move(*request)),
                                                version, keep_alive)))
                break;
            if (!keep_alive) break;
        }
        co_await linger(stream);
        co_return result<void>{};
    }

    /// The beginning of a connection's next request; false: there is none.
    template <class Connection>
    awaitable<bool> next_bytes(Connection& stream, beast::flat_buffer& buffer) {
        constexpr std::size_t bytes = 4096;
        stream.expires_after(options_.idle_timeout);
        const auto [ec, size] = co_await stream.async_read_some(buffer.prepare(bytes), as_result);
        buffer.commit(size);
        co_return !ec;
    }

    /// Ends our side and reads what the client still sends, for a while: a connection that is
    /// closed with unread bytes is reset, and the client would lose our last answer.
    template <class Connection>
    awaitable<void> linger(Connection& stream) {
        constexpr std::size_t bytes_max = 64 * 1024 * 1024;
        shutdown_send(stream);
        stream.expires_after(std::chrono::seconds(2));
        std::vector<char> piece(64 * 1024);
        for (std::size_t bytes = 0; bytes < bytes_max;) {
            const auto [ec, size] = co_await discard_some(stream, asio::buffer(piece));
            if (ec) co_return;
            bytes += size;
        }
    }

    template <class Connection>
    awaitable<bool> send(Connection& stream, BeastResponse response) {
        stream.expires_after(options_.idle_timeout);
        const auto [ec, size] = co_await beast::http::async_write(stream, response, as_result);
        co_return !ec;
    }

    template <class Connection>
    awaitable<void> refuse(Connection& stream, boost::system::error_code ec) {
        ErrorCode code = ErrorCode::invalid_argument;
        std::string detail = "request: " + ec.message();
        if (ec == beast::http::error::body_limit) {
            code = ErrorCode::payload_too_large;
            detail = fmt::format("body: more than {} bytes", options_.body_bytes_max);
        }
        Response response = problem(Error(code, std::move(detail)));
        if (ec == beast::http::error::header_limit) response.status = 431;
        co_await send(stream, to_beast(std::move(response), 11, false));
    }

    static realtime::HttpRequest to_taken(Message message) {
        realtime::HttpRequest request;
        request.method = message.method_string();
        request.target = message.target();
        request.keep_alive = message.keep_alive();
        for (const auto& field : message)
            request.headers.emplace_back(lower_case(field.name_string()), field.value());
        request.body = std::move(message.body());
        return request;
    }

    static result<Request> to_request(Message message, const std::string& peer) {
        Request request;
        request.peer = peer;
        request.method = message.method_string();
        std::string_view target = message.target();
        if (target.empty() || target.front() != '/')
            return fail(ErrorCode::invalid_argument, "path: must begin with /");
        request.path = target.substr(0, target.find('?'));
        std::string_view query = query_of(target);
        while (const auto pair = next_query_pair(query)) {
            TRY(std::string name, percent_decode(pair->name, true));
            TRY(std::string value, percent_decode(pair->value, true));
            request.query.emplace_back(std::move(name), std::move(value));
        }
        for (const auto& field : message) {
            std::string& value = request.headers[lower_case(field.name_string())];
            // Each proxy may add a line of its own: together they are one list (RFC 9110, 5.3).
            const bool list = field.name() == beast::http::field::x_forwarded_for;
            if (!list) value.clear();
            if (!value.empty()) value += ", ";
            value += field.value();
        }
        request.body = std::move(message.body());
        return request;
    }

    Options options_;
    Handler& handler_;
    std::optional<TlsIdentity> identity_;
    tcp::acceptor acceptor_;
    TaskGroup connections_;
};

Server::Server(asio::any_io_executor executor, Options options, Handler& handler)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(options), handler)) {}
Server::~Server() = default;
result<void> Server::listen() { return impl_->listen(); }
std::uint16_t Server::port() const { return impl_->port(); }
awaitable<result<void>> Server::run() { return impl_->run(); }
std::size_t Server::connections() const { return impl_->connections(); }

} // namespace netbuild::http
