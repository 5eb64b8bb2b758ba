// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/error.hpp>

#include "http/tls_identity.hpp"
#include "realtime/tls_socket.hpp"
#include "runtime/clock.hpp"

namespace netbuild::http {

/// TLS as Beast and Asio want a stream, with beast::tcp_stream's deadlines: what is not done by
/// then fails with beast::error::timeout. One read and one write at a time.
class TlsConnection {
    using error_code = boost::system::error_code;
    using Socket = realtime::TlsSocket;

public:
    using executor_type = asio::ip::tcp::socket::executor_type;

    explicit TlsConnection(asio::ip::tcp::socket socket)
        : state_(std::make_shared<State>(std::move(socket))) {}

    [[nodiscard]] executor_type get_executor() { return state_->tls.socket().get_executor(); }
    [[nodiscard]] asio::ip::tcp::socket& socket() { return state_->tls.socket(); }

    void expires_after(Clock::duration time) {
        State& state = *state_;
        state.expired = false;
        state.timer.expires_after(time);
        state.timer.async_wait(
            [weak = std::weak_ptr(state_), turn = ++state.turn](const error_code& ec) {
                const auto self = weak.lock();
                if (ec || !self || self->turn != turn) return;
                self->expired = true;
                error_code ignored;
                self->tls.socket().cancel(ignored);
            });
    }
    void expires_never() {
        state_->expired = false;
        ++state_->turn;
        state_->timer.cancel();
    }

    /// void(error_code, size_t): the size means nothing. OpenSSL's part is made when
    /// the first byte has come: a client that says nothing costs what one without TLS does.
    template <class Token>
    auto async_handshake(TlsIdentity& identity, Token&& token) {
        return run(
            [&identity, begun = false](Socket& tls, error_code& ec) mutable -> std::size_t {
                if (!std::exchange(begun, true)) {
                    ec = asio::error::would_block;
                    return 0;
                }
                tls.handshake(identity.context(), ec);
                return 0;
            },
            &Socket::read_waits_for, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return run(
            [buffer = first_of<asio::mutable_buffer>(buffers)](Socket& tls, error_code& ec) {
                return buffer.size() == 0
                           ? 0
                           : tls.read({static_cast<char*>(buffer.data()), buffer.size()}, ec);
            },
            &Socket::read_waits_for, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return run(
            [buffers](Socket& tls, error_code& ec) -> std::size_t {
                // A head and its body are one record, and the same bytes after a wait.
                std::array<char, Socket::record_bytes_max> gathered;
                const auto first = first_of<asio::const_buffer>(buffers);
                if (first.size() >= gathered.size())
                    return tls.write({static_cast<const char*>(first.data()), gathered.size()}, ec);
                const auto size = asio::buffer_copy(asio::buffer(gathered), buffers);
                return size == 0 ? 0 : tls.write({gathered.data(), size}, ec);
            },
            &Socket::write_waits_for, std::forward<Token>(token));
    }
    /// What comes is read and not looked at; after the end of what we send, or a failed handshake.
    template <class Token>
    auto async_discard_some(asio::mutable_buffer buffer, Token&& token) {
        return run(
            [buffer](Socket& tls, error_code& ec) {
                return tls.socket().read_some(asio::buffer(buffer), ec);
            },
            &Socket::read_waits_for, std::forward<Token>(token));
    }
    /// Without TLS: an answer to who speaks without.
    template <class Token>
    auto async_write_plain(asio::const_buffer bytes, Token&& token) {
        return run(
            [bytes](Socket& tls, error_code& ec) {
                return tls.socket().write_some(asio::buffer(bytes), ec);
            },
            &Socket::write_waits_for, std::forward<Token>(token));
    }

    [[nodiscard]] bool heard_plain_http() const { return state_->tls.heard_plain_http(); }
    void shutdown_send() { state_->tls.shutdown_send(); }
    /// Nothing waits any more.
    [[nodiscard]] Socket release() {
        expires_never();
        return std::move(state_->tls);
    }

private:
    struct State {
        explicit State(asio::ip::tcp::socket socket)
            : tls(std::move(socket)), timer(tls.socket().get_executor()) {}
        Socket tls;
        asio::steady_timer timer;
        std::uint64_t turn = 0;
        bool expired = false;
    };

    /// `work` again and again, until it would not block.
    template <class Work>
    struct Operation {
        std::shared_ptr<State> state;
        Work work;
        Socket::Wait (Socket::*waits_for)() const noexcept;
        enum class Phase : std::uint8_t { first, waited, done } phase = Phase::first;
        error_code outcome = {};
        std::size_t size = 0;

        template <class Self>
        void operator()(Self& self, error_code ec = {}) {
            if (phase == Phase::done) return self.complete(outcome, size);
            const bool first = std::exchange(phase, Phase::waited) == Phase::first;
            if (state->expired) ec = boost::beast::error::timeout;
            if (!ec) {
                size = work(state->tls, ec);
                if (ec == asio::error::would_block) {
                    auto& socket = state->tls.socket();
                    const auto what = (state->tls.*waits_for)();
                    return socket.async_wait(what, std::move(self));
                }
            }
            if (!first) return self.complete(ec, size);
            // Never before its start has returned.
            phase = Phase::done;
            outcome = ec;
            const auto executor = state->tls.socket().get_executor();
            asio::post(executor, std::move(self));
        }
    };
    template <class Work, class Token>
    auto run(Work work, Socket::Wait (Socket::*waits_for)() const noexcept, Token&& token) {
        return asio::async_compose<Token, void(error_code, std::size_t)>(
            Operation<Work>{state_, std::move(work), waits_for}, token, state_->tls.socket());
    }
    /// That has bytes, of a sequence.
    template <class Buffer, class Buffers>
    static Buffer first_of(const Buffers& buffers) {
        for (auto at = asio::buffer_sequence_begin(buffers);
             at != asio::buffer_sequence_end(buffers); ++at)
            if (Buffer(*at).size() > 0) return *at;
        return {};
    }

    std::shared_ptr<State> state_;
};

} // namespace netbuild::http
