// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/tls_identity.hpp"
#include "realtime/byte_stream.hpp"
#include "realtime/http_request.hpp"
#include "runtime/clock.hpp"

namespace netbuild::http {

struct Request {
    std::string method;
    /// Percent-encoded, without the query: segments are decoded after they were split.
    std::string path;
    /// Decoded, in order.
    std::vector<std::pair<std::string, std::string>> query;
    /// Names in lower case.
    std::map<std::string, std::string, std::less<>> headers;
    std::string body;
    /// The address of the connection.
    std::string peer = {};

    [[nodiscard]] std::string_view header(std::string_view name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string_view{} : found->second;
    }
};

struct Response {
    int status = 200;
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};

/// An answer without end: server-sent events.
class Stream {
public:
    virtual ~Stream() = default;
    /// Waits until the client takes it; fails with `cancelled` when it is gone.
    virtual awaitable<result<void>> write(std::string bytes) = 0;
};

class Handler {
public:
    virtual ~Handler() = default;
    virtual awaitable<Response> handle(Request request) = 0;
    /// True: the request is answered by stream(), after `head` was sent if its status is 200.
    [[nodiscard]] virtual bool streams(const Request& request) const = 0;
    virtual awaitable<Response> stream_head(const Request& request) = 0;
    virtual awaitable<void> stream(Request request, Stream& stream) = 0;
};

/// HTTP/1.1 with keep-alive, with TLS or without, on one executor. What is no HTTP, too large or
/// too slow is answered with 4xx and the connection ends.
class Server {
public:
    struct Options {
        std::string host = "127.0.0.1";
        /// 0: one that is free.
        std::uint16_t port = 8080;
        /// Empty: without TLS.
        TlsFiles tls = {};
        std::size_t connections_max = 1024;
        std::size_t body_bytes_max = 1024 * 1024;
        std::uint32_t header_bytes_max = 16 * 1024;
        /// For a TLS handshake, and for a request's head, from the connection's or its first byte
        /// on.
        Clock::duration head_timeout = std::chrono::seconds(10);
        /// For its body, and between requests of a connection.
        Clock::duration idle_timeout = std::chrono::seconds(60);
        /// Another protocol on this port: a request whose path begins so is handed over, with its
        /// connection and the bytes that came after it, and counts as none of ours.
        std::string taken_path = {};
        std::size_t taken_body_bytes_max = 0;
        std::function<void(std::unique_ptr<realtime::ByteStream> stream,
                           realtime::HttpRequest request, std::string after)>
            take = {};
    };
    Server(asio::any_io_executor executor, Options options, Handler& handler);
    ~Server();

    /// unavailable: the address is taken or not ours; invalid_configuration: TlsIdentity::load().
    result<void> listen();
    [[nodiscard]] std::uint16_t port() const;
    /// Until cancelled; then no new requests are taken and open ones end.
    awaitable<result<void>> run();
    [[nodiscard]] std::size_t connections() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace netbuild::http
