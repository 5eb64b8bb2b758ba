// SPDX-License-Identifier: Apache-2.0
#include "realtime/byte_stream.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

namespace netbuild::realtime {
namespace {

using boost::system::error_code;

/// Encrypted in a row while other connections wait.
constexpr std::size_t write_bytes_max = 16 * TlsSocket::record_bytes_max;

/// What is left of a write's pieces, a record's worth at a time.
class Pieces {
public:
    explicit Pieces(std::span<const iovec> pieces) : pieces_(pieces) {}

    /// The next bytes: where they lie if one piece has enough of them, else gathered in `buffer`,
    /// for a frame and its header are one record then. Empty: there are none.
    std::span<const char> next(std::span<char> buffer) {
        std::size_t size = 0;
        while (!pieces_.empty()) {
            const auto rest = pieces_[0].iov_len - offset_;
            const char* from = static_cast<const char*>(pieces_[0].iov_base) + offset_;
            const auto now = std::min(rest, buffer.size() - size);
            if (size == 0 && (now == buffer.size() || (now == rest && pieces_.size() == 1))) {
                advance(now);
                return {from, now};
            }
            std::memcpy(buffer.data() + size, from, now);
            size += now;
            advance(now);
            if (size == buffer.size()) break;
        }
        return buffer.first(size);
    }

private:
    void advance(std::size_t size) {
        offset_ += size;
        if (offset_ < pieces_[0].iov_len) return;
        pieces_ = pieces_.subspan(1);
        offset_ = 0;
    }
    std::span<const iovec> pieces_;
    std::size_t offset_ = 0;
};

class TlsStream final : public ByteStream {
public:
    explicit TlsStream(TlsSocket socket) : state_(std::make_shared<State>(std::move(socket))) {}
    ~TlsStream() override { state_->close(); }

    std::size_t read(std::span<char> into, error_code& ec) override {
        return state_->tls.read(into, ec);
    }

    std::size_t write(std::span<const iovec> pieces, error_code& ec) override {
        State& state = *state_;
        if (!state.pending.empty()) ec = boost::asio::error::would_block;
        if (state.broken) ec = state.broken;
        std::size_t taken = 0;
        std::array<char, TlsSocket::record_bytes_max> buffer;
        for (Pieces rest(pieces); !ec && taken < write_bytes_max;) {
            auto bytes = rest.next(buffer);
            if (bytes.empty()) break;
            while (!bytes.empty() && !ec) {
                const auto sent = state.tls.write(bytes, ec);
                bytes = bytes.subspan(sent);
                taken += sent;
            }
            if (ec != boost::asio::error::would_block) continue;
            // OpenSSL has a part of it encrypted, so it is said to be taken and kept until it has
            // left: the caller may think otherwise about what it was not told of.
            state.pending.assign(bytes.begin(), bytes.end());
            taken += bytes.size();
            state.send_pending_later();
        }
        if (taken > 0) ec.clear();
        return taken;
    }

    void wait_readable(std::shared_ptr<Waiter> waiter) override {
        auto call = [state = state_, waiter = std::move(waiter)](error_code ec = {}) {
            if (!state->tls.socket().is_open()) ec = boost::asio::error::operation_aborted;
            waiter->on_readable(ec);
        };
        auto& socket = state_->tls.socket();
        if (state_->tls.holds_input()) return boost::asio::post(socket.get_executor(), call);
        socket.async_wait(state_->tls.read_waits_for(), std::move(call));
    }

    void wait_writable(std::shared_ptr<Waiter> waiter) override {
        if (!state_->pending.empty()) {
            state_->waiter = std::move(waiter);
            return;
        }
        state_->tls.socket().async_wait(
            TlsSocket::Wait::wait_write,
            [waiter = std::move(waiter)](const error_code& ec) { waiter->on_writable(ec); });
    }

    void shutdown_send() override {
        if (state_->pending.empty()) return state_->tls.shutdown_send();
        state_->ending = true;
    }
    void close() override { state_->close(); }
    std::string address() const override {
        error_code ec;
        const auto endpoint = state_->tls.socket().remote_endpoint(ec);
        return ec ? std::string() : endpoint.address().to_string();
    }
    bool secure() const override { return true; }

private:
    /// Outlives the stream while the socket is waited for.
    struct State : std::enable_shared_from_this<State> {
        explicit State(TlsSocket socket) : tls(std::move(socket)) {}

        void send_pending_later() {
            tls.socket().async_wait(
                tls.write_waits_for(),
                [state = shared_from_this()](const error_code& ec) { state->send_pending(ec); });
        }
        void send_pending(error_code ec) {
            while (!ec && !pending.empty())
                pending.erase(0, tls.write(pending, ec));
            if (ec == boost::asio::error::would_block) return send_pending_later();
            std::string().swap(pending);
            broken = ec;
            if (ending && !ec) tls.shutdown_send();
            if (const auto one = std::exchange(waiter, nullptr)) one->on_writable(ec);
        }
        void close() {
            error_code ignored;
            tls.socket().close(ignored);
        }

        TlsSocket tls;
        /// Taken and not sent: a record at most.
        std::string pending;
        std::shared_ptr<Waiter> waiter; // for `pending` to leave
        error_code broken;
        bool ending = false;
    };
    std::shared_ptr<State> state_;
};

} // namespace

std::unique_ptr<ByteStream> tls_stream(TlsSocket socket) {
    return std::make_unique<TlsStream>(std::move(socket));
}

} // namespace netbuild::realtime
