// SPDX-License-Identifier: Apache-2.0
// A server in this process and clients that speak to it over real sockets, byte by byte, so that
// they can do what no proper client does. One thread runs both: a client waits by running the loop.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <malloc.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "realtime/server.hpp"

namespace netbuild::realtime {

constexpr std::chrono::seconds patience{10};

/// A client's masked frame; the mask is zero, which is one too.
inline std::string client_frame(unsigned char first, std::string_view payload) {
    std::string out(1, static_cast<char>(first));
    if (payload.size() < 126) {
        out += static_cast<char>(0x80 | payload.size());
    } else if (payload.size() <= 0xFFFF) {
        out += static_cast<char>(0x80 | 126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size() & 0xFF);
    } else {
        out += static_cast<char>(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            out += static_cast<char>(std::uint64_t{payload.size()} >> shift & 0xFF);
    }
    return out.append(4, '\0').append(payload);
}

/// Of this process, and 0 under a sanitizer, whose allocator is another.
inline std::size_t heap_bytes() { return mallinfo2().uordblks; }

class Loop {
public:
    asio::io_context context{1};
    SystemClock clock;

    /// False: it did not become true in time.
    bool until(const std::function<bool()>& condition, Clock::duration time = patience) {
        const Deadline deadline(clock, time);
        while (!condition()) {
            if (deadline.passed(clock)) return false;
            if (context.stopped()) context.restart(); // nobody had anything to do
            context.run_one_for(std::chrono::milliseconds(5));
        }
        return true;
    }
    void run_for(Clock::duration time) {
        static_cast<void>(until([] { return false; }, time));
    }
    void run(awaitable<void> task) {
        bool ended = false;
        asio::co_spawn(context, std::move(task), [&](const std::exception_ptr&) { ended = true; });
        EXPECT_TRUE(until([&] { return ended; }));
    }
};

/// What a client has between itself and its socket, such as TLS.
class Layer {
public:
    virtual ~Layer() = default;
    virtual void send(std::string_view bytes) = 0;
    virtual void receive(std::string_view from_socket) = 0;
    /// To be taken away.
    std::string to_socket, received;
};

/// One TCP connection of a client.
class Peer {
public:
    Peer(Loop& loop, std::uint16_t port, std::unique_ptr<Layer> layer = {})
        : loop_(loop), socket_(loop.context), layer_(std::move(layer)) {
        socket_.connect({asio::ip::make_address("127.0.0.1"), port});
        socket_.non_blocking(true);
        if (layer_) send({});
    }
    void send(std::string_view bytes) {
        if (!layer_) return put(bytes);
        layer_->send(bytes);
        put(std::exchange(layer_->to_socket, {}));
    }
    /// Without the layer.
    void put(std::string_view bytes) {
        while (!bytes.empty()) {
            boost::system::error_code ec;
            const auto size = socket_.write_some(asio::buffer(bytes), ec);
            if (ec == asio::error::would_block) {
                loop_.context.run_one_for(std::chrono::milliseconds(1));
                continue;
            }
            if (ec) return; // seen by who reads
            bytes.remove_prefix(size);
        }
    }
    /// What came so far is in `received`; false once the other side has ended.
    bool read() {
        char buffer[16 * 1024];
        while (!ended_) {
            boost::system::error_code ec;
            const auto size = socket_.read_some(asio::buffer(buffer), ec);
            if (ec == asio::error::would_block) break;
            if (ec) ended_ = true;
            if (!layer_) {
                received.append(buffer, size);
                continue;
            }
            layer_->receive({buffer, size});
            received += std::exchange(layer_->received, {});
            if (!layer_->to_socket.empty()) put(std::exchange(layer_->to_socket, {}));
        }
        return !ended_;
    }
    [[nodiscard]] bool ends(Clock::duration time = patience) {
        return loop_.until([&] { return !read(); }, time);
    }
    void close() { socket_.close(); }
    void shutdown_send() { socket_.shutdown(asio::socket_base::shutdown_send); }
    void receive_buffer(int bytes) {
        socket_.set_option(asio::socket_base::receive_buffer_size(bytes));
    }

    struct Answer {
        int status = 0; // 0: the connection ended without one
        std::string head, body;
    };
    void request(std::string_view method, std::string_view target, std::string_view body = {},
                 std::string_view headers = {}) {
        send(fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}{}\r\n{}", method, target, headers,
                         method == "POST" ? fmt::format("Content-Length: {}\r\n", body.size())
                                          : std::string(),
                         body));
    }
    Answer answer(Clock::duration time = patience) {
        Answer answer;
        static_cast<void>(loop_.until([&] { return take_answer(answer) || ended_; }, time));
        return answer;
    }
    Answer get(std::string_view target, std::string_view headers = {}) {
        request("GET", target, {}, headers);
        return answer();
    }
    Answer post(std::string_view target, std::string_view body) {
        request("POST", target, body);
        return answer();
    }
    /// The status of the handshake.
    int upgrade(std::string_view target) {
        request("GET", target, {},
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
        return answer().status;
    }
    void text(std::string_view payload) { send(client_frame(0x81, payload)); }
    void binary(std::string_view payload) { send(client_frame(0x82, payload)); }
    /// The next frame: its first byte, then its payload; "" if the connection ended before.
    std::string frame(Clock::duration time = patience) {
        std::string out;
        static_cast<void>(loop_.until([&] { return take_frame(out) || ended_; }, time));
        return out;
    }
    /// The next text, pings of the server left out; a close frame is "closed <code>".
    std::string message(Clock::duration time = patience) {
        while (true) {
            const std::string next = frame(time);
            if (next.empty()) return ended_ ? "ended" : "nothing";
            if (next == "\x81"
                        "2")
                continue;
            if (static_cast<unsigned char>(next[0]) == 0x88)
                return next.size() < 3
                           ? "closed"
                           : fmt::format("closed {}", static_cast<unsigned char>(next[1]) << 8 |
                                                          static_cast<unsigned char>(next[2]));
            return next.substr(1);
        }
    }

    std::string received;

private:
    bool take_answer(Answer& answer) {
        read();
        const auto end = received.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const std::string head = received.substr(0, end);
        const auto at = head.find("Content-Length: ");
        const std::size_t size = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
        if (received.size() < end + 4 + size) return false;
        answer.status = std::stoi(head.substr(9));
        answer.head = head;
        answer.body = received.substr(end + 4, size);
        received.erase(0, end + 4 + size);
        return true;
    }
    bool take_frame(std::string& out) {
        read();
        if (received.size() < 2) return false;
        const auto at = [&](std::size_t i) { return static_cast<unsigned char>(received[i]); };
        std::size_t header = 2, size = at(1);
        if (size >= 126) {
            const std::size_t more = size == 126 ? 2 : 8;
            header += more;
            if (received.size() < header) return false;
            size = 0;
            for (std::size_t i = 0; i < more; ++i)
                size = size << 8 | at(2 + i);
        }
        if (received.size() < header + size) return false;
        out = received.substr(0, 1) + received.substr(header, size);
        received.erase(0, header + size);
        return true;
    }

    Loop& loop_;
    asio::ip::tcp::socket socket_;
    std::unique_ptr<Layer> layer_;
    bool ended_ = false;
};

inline EngineOptions quick_options() {
    EngineOptions options;
    options.ping_interval = std::chrono::milliseconds(300);
    options.ping_timeout = std::chrono::milliseconds(200);
    options.origins = {"*"};
    return options;
}

inline std::string sid_of(std::string_view open_packet) {
    const auto at = open_packet.find(R"("sid":")") + 7;
    return std::string(open_packet.substr(at, 20));
}

} // namespace netbuild::realtime
