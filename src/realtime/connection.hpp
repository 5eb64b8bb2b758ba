// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <span>
#include <string>

#include "engine.hpp"
#include "http_reader.hpp"
#include "realtime/byte_stream.hpp"
#include "wire/websocket_frame.hpp"

namespace netbuild::realtime {

/// One TCP connection: HTTP requests in turn, until it becomes a WebSocket.
class Connection final : public ByteStream::Waiter,
                         public std::enable_shared_from_this<Connection>,
                         private Timer {
public:
    Connection(Engine::Impl& engine, std::unique_ptr<ByteStream> stream);

    void start();
    /// With a request that was read already. Its answer is the last.
    void start_with(HttpRequest request, std::string after);
    [[nodiscard]] const ByteStream& stream() const noexcept { return *stream_; }

    /// The request's answer; the next request is read afterwards.
    void answer(const HttpAnswer& answer);
    /// The request is a poll of `session`, which answers later.
    void hold(std::shared_ptr<Session> session);
    /// Answers the handshake; frames from now on, of an open session or of one that is probed.
    void accept_websocket(std::string_view key);
    void carry(std::shared_ptr<Session> session);
    void probe(std::shared_ptr<Session> session);

    void flush();
    /// A close frame, then the connection ends.
    void close_websocket(std::uint16_t code);
    /// The connection ends once what is queued has left, or has not within `time`.
    void end_after_output(std::chrono::seconds time = linger);
    /// At once.
    void abort();

    void on_readable(const boost::system::error_code& ec) override;
    void on_writable(const boost::system::error_code& ec) override;

private:
    /// For the peer's end, after ours.
    static constexpr std::chrono::seconds linger{2};
    enum class Mode : std::uint8_t {
        reading,  // a request
        waiting,  // for the answer to one
        probing,  // a WebSocket beside a polling session
        carrying, // a session's WebSocket
        ending,   // nothing but the peer's end is awaited
        closed,
    };
    void on_deadline() override;
    void wait_readable();
    void process(std::span<char> fresh);
    [[nodiscard]] std::size_t read_requests(std::span<char> bytes);
    void read_frames(std::span<char>& bytes);
    void on_probe_frame(std::string_view text);
    bool on_frame(const websocket::Decoder::Outcome& outcome);
    void on_request(HttpRequest request);
    void lost(std::string_view reason);
    void finish_output();
    [[nodiscard]] bool websocket() const noexcept {
        return mode_ == Mode::probing || mode_ == Mode::carrying;
    }

    Engine::Impl& engine_;
    std::unique_ptr<ByteStream> stream_;
    std::unique_ptr<HttpReader> reader_;
    std::shared_ptr<Session> session_;
    websocket::Decoder decoder_;
    std::string in_;   // the beginning of a request or frame
    std::string out_;  // before what the session has queued
    std::string cors_; // of the request in hand
    std::size_t discarded_ = 0;
    Mode mode_ = Mode::reading;
    bool keep_alive_ = true, reading_ = false, writing_ = false, end_after_output_ = false;
    bool processing_ = false, peer_closed_ = false;
};

} // namespace netbuild::realtime
