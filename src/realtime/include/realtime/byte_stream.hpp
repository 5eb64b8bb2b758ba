// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <span>
#include <string>

#include <sys/uio.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include "realtime/tls_socket.hpp"

namespace netbuild::realtime {

/// A connection's bytes both ways, never waiting: TCP, or TLS over it.
class ByteStream {
public:
    class Waiter {
    public:
        virtual ~Waiter() = default;
        virtual void on_readable(const boost::system::error_code& ec) = 0;
        virtual void on_writable(const boost::system::error_code& ec) = 0;
    };
    virtual ~ByteStream() = default;
    /// Bytes read; 0 with `would_block`, with `eof`, or with what broke it.
    virtual std::size_t read(std::span<char> into, boost::system::error_code& ec) = 0;
    /// Bytes taken, as few as it likes: they are sent before anything that comes later.
    virtual std::size_t write(std::span<const iovec> pieces, boost::system::error_code& ec) = 0;
    /// One call of the waiter each, never before this returns; the waiter lives at least until
    /// then. A call may come although there is nothing to read.
    virtual void wait_readable(std::shared_ptr<Waiter> waiter) = 0;
    virtual void wait_writable(std::shared_ptr<Waiter> waiter) = 0;
    /// The end of what we send, after all that was taken.
    virtual void shutdown_send() = 0;
    /// Waiters are called with `operation_aborted`.
    virtual void close() = 0;
    [[nodiscard]] virtual std::string address() const = 0;
    [[nodiscard]] virtual bool secure() const = 0;
};

[[nodiscard]] std::unique_ptr<ByteStream> tcp_stream(boost::asio::ip::tcp::socket socket);
/// The handshake has been made.
[[nodiscard]] std::unique_ptr<ByteStream> tls_stream(TlsSocket socket);

} // namespace netbuild::realtime
