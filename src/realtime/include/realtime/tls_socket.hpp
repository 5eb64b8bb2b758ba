// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <span>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <openssl/types.h>

namespace netbuild::realtime {

/// The server's side of TLS on a socket, never waiting. OpenSSL reads and writes the socket itself
/// and keeps buffers only while a record is under way, so that an idle connection has none; Asio's
/// ssl::stream keeps a record's worth and more each way for as long as the connection lives.
class TlsSocket {
public:
    using Wait = boost::asio::ip::tcp::socket::wait_type;
    /// What one record holds, and the most that write() takes at a time.
    static constexpr std::size_t record_bytes_max = 16 * 1024;

    explicit TlsSocket(boost::asio::ip::tcp::socket socket);

    /// Goes on with the handshake, which the first call begins with `context`. `would_block`: again
    /// once the socket is as read_waits_for() says.
    void handshake(SSL_CTX* context, boost::system::error_code& ec);
    /// The handshake failed, for what came is HTTP without TLS. Nothing was answered.
    [[nodiscard]] bool heard_plain_http() const noexcept { return heard_plain_http_; }

    /// Bytes read; 0 with `would_block`, with `eof`, or with what broke it.
    std::size_t read(std::span<char> into, boost::system::error_code& ec);
    /// Bytes sent. After `would_block` the next call must be with the same bytes.
    std::size_t write(std::span<const char> bytes, boost::system::error_code& ec);
    /// What read() or write() has to wait for after `would_block`.
    [[nodiscard]] Wait read_waits_for() const noexcept { return read_waits_for_; }
    [[nodiscard]] Wait write_waits_for() const noexcept { return write_waits_for_; }
    /// Something is to be read, or is over, that the socket does not tell of any more.
    [[nodiscard]] bool holds_input() const noexcept;
    /// close_notify, and the end of what TCP sends.
    void shutdown_send() noexcept;

    [[nodiscard]] boost::asio::ip::tcp::socket& socket() noexcept { return socket_; }
    [[nodiscard]] const boost::asio::ip::tcp::socket& socket() const noexcept { return socket_; }

private:
    struct Free {
        void operator()(SSL* ssl) const noexcept;
    };
    [[nodiscard]] bool usable(boost::system::error_code& ec) const noexcept;
    /// Of a call that did not succeed.
    boost::system::error_code outcome(int returned, Wait& waits_for) noexcept;

    boost::asio::ip::tcp::socket socket_;
    std::unique_ptr<SSL, Free> ssl_;
    Wait read_waits_for_ = Wait::wait_read, write_waits_for_ = Wait::wait_write;
    bool read_all_ = false, over_ = false, broken_ = false, open_ = false;
    bool heard_plain_http_ = false;
};

} // namespace netbuild::realtime
