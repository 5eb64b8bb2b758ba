// SPDX-License-Identifier: Apache-2.0
#include "realtime/tls_socket.hpp"

#include <cerrno>
#include <cstdint>

#include <sys/socket.h>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace netbuild::realtime {
namespace {

using boost::system::error_code;
using tcp = boost::asio::ip::tcp;

int descriptor_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int receive(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    ssize_t got = 0;
    do
        got = ::recv(descriptor_of(bio), into, static_cast<std::size_t>(size), 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(got);
}

int send(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    ssize_t sent = 0;
    do
        sent = ::send(descriptor_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return 0;
}

/// OpenSSL's own for sockets raises SIGPIPE.
BIO_METHOD* socket_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "netbuild socket");
        BIO_meth_set_read(made, receive);
        BIO_meth_set_write(made, send);
        BIO_meth_set_ctrl(made, control);
        BIO_meth_set_create(made, [](BIO* bio) {
            BIO_set_init(bio, 1);
            return 1;
        });
        return made;
    }();
    return method;
}

} // namespace

void TlsSocket::Free::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

TlsSocket::TlsSocket(tcp::socket socket) : socket_(std::move(socket)) {
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
}

bool TlsSocket::usable(error_code& ec) const noexcept {
    // The descriptor's number may be another connection's by now.
    if (!socket_.is_open()) ec = boost::asio::error::operation_aborted;
    return socket_.is_open();
}

void TlsSocket::handshake(SSL_CTX* context, error_code& ec) {
    if (!usable(ec)) return;
    if (!ssl_) {
        ssl_.reset(SSL_new(context));
        BIO* bio = ssl_ ? BIO_new(socket_method()) : nullptr;
        if (!bio) {
            ec = boost::asio::error::no_memory;
            return;
        }
        BIO_set_data(bio, reinterpret_cast<void*>(std::intptr_t{socket_.native_handle()}));
        SSL_set_bio(ssl_.get(), bio, bio);
        SSL_set_accept_state(ssl_.get());
    }
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) {
        open_ = true;
        return;
    }
    const auto reason = ERR_GET_REASON(ERR_peek_error());
    ec = outcome(done, read_waits_for_);
    heard_plain_http_ =
        broken_ && (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST);
}

std::size_t TlsSocket::read(std::span<char> into, error_code& ec) {
    if (!usable(ec)) return 0;
    std::size_t size = 0;
    // A call gives one record at most, and several small ones may have come in one piece.
    do {
        ERR_clear_error();
        std::size_t got = 0;
        const int done = SSL_read_ex(ssl_.get(), into.data() + size, into.size() - size, &got);
        size += got;
        read_all_ = false;
        if (done == 1) continue;
        const error_code why = outcome(done, read_waits_for_);
        read_all_ = why == boost::asio::error::would_block;
        // What came before it comes first; the next call says the same again.
        if (size == 0) ec = why;
        over_ = !read_all_;
        break;
    } while (size < into.size() && SSL_has_pending(ssl_.get()) == 1);
    return size;
}

std::size_t TlsSocket::write(std::span<const char> bytes, error_code& ec) {
    if (!usable(ec)) return 0;
    ERR_clear_error();
    std::size_t sent = 0;
    const int done = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    if (done != 1) ec = outcome(done, write_waits_for_);
    return sent;
}

bool TlsSocket::holds_input() const noexcept {
    // OpenSSL counts the beginning of a record too, which has been looked at.
    return over_ || (!read_all_ && SSL_has_pending(ssl_.get()) == 1);
}

void TlsSocket::shutdown_send() noexcept {
    if (open_ && !broken_ && socket_.is_open()) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
    }
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

error_code TlsSocket::outcome(int returned, Wait& waits_for) noexcept {
    const int system = errno;
    switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
        waits_for = Wait::wait_read;
        return boost::asio::error::would_block;
    case SSL_ERROR_WANT_WRITE:
        waits_for = Wait::wait_write;
        return boost::asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
        return boost::asio::error::eof;
    case SSL_ERROR_SYSCALL:
        broken_ = true;
        if (system == 0) return boost::asio::error::eof;
        return {system, boost::system::system_category()};
    default:
        broken_ = true;
        return {static_cast<int>(ERR_get_error()), boost::asio::error::get_ssl_category()};
    }
}

} // namespace netbuild::realtime
