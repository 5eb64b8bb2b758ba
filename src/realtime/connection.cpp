// SPDX-License-Identifier: Apache-2.0
#include "connection.hpp"

#include <algorithm>

#include <boost/asio/error.hpp>
#include <openssl/evp.h>

#include <fmt/format.h>

#include "wire/base64.hpp"

namespace netbuild::realtime {
namespace {

using boost::system::error_code;

constexpr std::size_t discarded_bytes_max = 16 * 1024 * 1024;
constexpr std::size_t pieces_max = 64;
/// Writes in a row for one connection while others wait.
constexpr int writes_max = 8;

std::string_view status_text(int status) {
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 408:
        return "Request Timeout";
    case 413:
        return "Payload Too Large";
    case 426:
        return "Upgrade Required";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Error";
    }
}

/// RFC 6455, section 4.2.2.
std::string accept_key(std::string_view key) {
    std::string text(key);
    text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
    return encode_base64({reinterpret_cast<const char*>(digest), size});
}

} // namespace

Connection::Connection(Engine::Impl& engine, std::unique_ptr<ByteStream> stream)
    : engine_(engine), stream_(std::move(stream)) {}

void Connection::start() {
    engine_.wheel.arm_after(*this, engine_.options.request_timeout);
    wait_readable();
}

void Connection::start_with(HttpRequest request, std::string after) {
    keep_alive_ = false;
    in_ = std::move(after);
    on_request(std::move(request));
    if (mode_ != Mode::closed && !in_.empty()) process({});
    if (mode_ != Mode::closed) wait_readable();
}

void Connection::wait_readable() {
    if (reading_) return;
    reading_ = true;
    stream_->wait_readable(shared_from_this());
}

void Connection::on_readable(const error_code& ec) {
    if (mode_ == Mode::closed) return;
    reading_ = false;
    if (ec) return lost("transport error");
    auto& buffer = *engine_.read_buffer;
    error_code broken;
    const std::size_t size = stream_->read(buffer, broken);
    if (broken == boost::asio::error::would_block) return wait_readable();
    if (broken)
        return lost(broken == boost::asio::error::eof ? "transport close" : "transport error");
    if (mode_ == Mode::ending) {
        discarded_ += size;
        if (discarded_ > discarded_bytes_max) return abort();
        return wait_readable();
    }
    engine_.counters.bytes_in += size;
    process(std::span(buffer.data(), size));
    if (mode_ != Mode::closed) wait_readable();
}

void Connection::process(std::span<char> fresh) {
    processing_ = true;
    const bool held = !in_.empty();
    if (held) in_.append(fresh.data(), fresh.size());
    std::span<char> bytes = held ? std::span<char>(in_) : fresh;
    if (!websocket()) bytes = bytes.subspan(read_requests(bytes));
    if (websocket()) read_frames(bytes);
    if (mode_ == Mode::closed || mode_ == Mode::ending) {
        std::string().swap(in_);
    } else if (held) {
        in_.erase(0, in_.size() - bytes.size());
        if (in_.empty()) std::string().swap(in_);
    } else {
        in_.assign(bytes.data(), bytes.size());
    }
    if (websocket() && in_.size() > 2)
        in_.reserve(std::min(websocket::Decoder::wanted(in_),
                             engine_.options.payload_bytes_max + websocket::header_bytes_max + 4));
    processing_ = false;
    // A client that goes on to send while its request is answered has no reason to.
    if (mode_ == Mode::waiting && in_.size() > engine_.options.header_bytes_max)
        lost("transport error");
}

std::size_t Connection::read_requests(std::span<char> bytes) {
    std::size_t used = 0;
    while (mode_ == Mode::reading) {
        if (!reader_) {
            if (used == bytes.size()) break;
            reader_ = std::make_unique<HttpReader>(HttpReader::Limits{
                engine_.options.header_bytes_max, engine_.options.payload_bytes_max});
            engine_.wheel.arm_after(*this, engine_.options.request_timeout);
        }
        std::size_t now = 0;
        const auto state = reader_->feed({bytes.data() + used, bytes.size() - used}, now);
        used += now;
        if (state == HttpReader::State::need_more) break;
        if (state == HttpReader::State::head) {
            const HttpRequest& request = reader_->request();
            cors_ = engine_.cors_headers(request);
            const auto refusal = engine_.refuse_early(request);
            if (!refusal) {
                if (request.header("expect") == "100-continue")
                    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
                continue;
            }
            keep_alive_ = keep_alive_ && request.keep_alive && request.method == "GET";
            ++engine_.counters.bad_requests;
            std::size_t rest = 0;
            const bool whole = reader_->feed({bytes.data() + used, bytes.size() - used}, rest) ==
                               HttpReader::State::complete;
            used += rest;
            keep_alive_ = keep_alive_ && whole;
            reader_.reset();
            answer(*refusal);
            continue;
        }
        if (state == HttpReader::State::failed) {
            ++engine_.counters.bad_requests;
            keep_alive_ = false;
            const int status = reader_->status();
            reader_.reset();
            answer({status, "text/plain; charset=UTF-8", {}});
            return bytes.size();
        }
        HttpRequest request = std::move(reader_->request());
        reader_.reset();
        on_request(std::move(request));
    }
    return mode_ == Mode::ending || mode_ == Mode::closed ? bytes.size() : used;
}

void Connection::on_request(HttpRequest request) {
    disarm();
    mode_ = Mode::waiting;
    cors_ = engine_.cors_headers(request);
    keep_alive_ = keep_alive_ && request.keep_alive;
    engine_.handle(*this, std::move(request));
}

void Connection::answer(const HttpAnswer& answer) {
    if (mode_ == Mode::closed || mode_ == Mode::ending) return;
    out_ += fmt::format("HTTP/1.1 {} {}\r\n", answer.status, status_text(answer.status));
    if (answer.status != 204)
        out_ += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", answer.content_type,
                            answer.body.size());
    if (answer.status == 426) out_ += "Sec-WebSocket-Version: 13\r\n";
    out_ += "Cache-Control: no-store\r\n";
    out_ += cors_;
    if (!keep_alive_) out_ += "Connection: close\r\n";
    out_ += "\r\n";
    out_ += answer.body;
    session_.reset();
    mode_ = Mode::reading;
    if (keep_alive_) {
        engine_.wheel.arm_after(*this, engine_.options.idle_timeout);
        flush();
    } else {
        end_after_output();
    }
    // Requests that came while this one was in hand.
    if (!processing_ && mode_ == Mode::reading && !in_.empty()) process({});
}

void Connection::hold(std::shared_ptr<Session> session) { session_ = std::move(session); }

void Connection::accept_websocket(std::string_view key) {
    disarm();
    out_ += fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                        accept_key(key));
    mode_ = Mode::probing;
    std::string().swap(cors_);
}

void Connection::carry(std::shared_ptr<Session> session) {
    disarm();
    mode_ = Mode::carrying;
    session_ = std::move(session);
}

void Connection::probe(std::shared_ptr<Session> session) {
    session_ = std::move(session);
    engine_.wheel.arm_after(*this, engine_.options.upgrade_timeout);
    flush();
}

void Connection::read_frames(std::span<char>& bytes) {
    while (websocket()) {
        const auto outcome = decoder_.next(bytes, engine_.options.payload_bytes_max);
        if (outcome.step == websocket::Decoder::Step::need_more) return;
        if (!on_frame(outcome)) return;
    }
}

bool Connection::on_frame(const websocket::Decoder::Outcome& outcome) {
    using Step = websocket::Decoder::Step;
    const bool carrying = mode_ == Mode::carrying;
    const auto session = session_; // may let go of it meanwhile
    if (!session) return false;    // it is closing
    switch (outcome.step) {
    case Step::text:
        if (carrying) {
            session->on_packet(outcome.payload);
        } else {
            on_probe_frame(outcome.payload);
        }
        return true;
    case Step::binary:
        if (carrying) {
            session->on_binary(outcome.payload);
        } else {
            session->end_probe();
        }
        return true;
    case Step::ping:
        if (carrying) {
            session->send(
                MessageRef::control(websocket::frame(websocket::Opcode::pong, outcome.payload)));
        } else {
            out_ += websocket::frame(websocket::Opcode::pong, outcome.payload);
            flush();
        }
        return true;
    case Step::close:
        peer_closed_ = true;
        if (carrying) {
            session->fail("transport close", outcome.code == websocket::close_code::no_status
                                                 ? websocket::close_code::normal
                                                 : outcome.code);
        } else {
            session->end_probe();
        }
        return false;
    case Step::failed:
        ++engine_.counters.closed_protocol;
        if (carrying) {
            session->fail("transport error", outcome.code);
        } else {
            session->end_probe();
        }
        return false;
    case Step::pong:
    case Step::need_more:
        return true;
    }
    return true;
}

void Connection::on_probe_frame(std::string_view text) {
    if (text == "2probe") {
        out_ += websocket::frame(websocket::Opcode::text, "3probe");
        flush();
        if (session_) session_->on_probed();
    } else if (text.starts_with('5')) {
        const auto session = session_;
        if (session) session->finish_upgrade(shared_from_this());
    } else {
        const auto session = session_;
        if (session) session->end_probe();
    }
}

void Connection::flush() {
    if (mode_ == Mode::closed || mode_ == Mode::ending || writing_) return;
    for (int round = 0; round < writes_max; ++round) {
        std::array<iovec, pieces_max> pieces;
        std::size_t count = 0, wanted = 0;
        if (!out_.empty()) pieces[count++] = {out_.data(), out_.size()};
        if (mode_ == Mode::carrying && session_)
            count += session_->gather(std::span(pieces).subspan(count));
        if (count == 0) return finish_output();
        for (std::size_t i = 0; i < count; ++i)
            wanted += pieces[i].iov_len;
        error_code ec;
        const std::size_t size = stream_->write(std::span(pieces).first(count), ec);
        if (ec && ec != boost::asio::error::would_block) return lost("transport error");
        ++engine_.counters.writes;
        engine_.counters.bytes_out += size;
        const std::size_t of_out = std::min(size, out_.size());
        out_.erase(0, of_out);
        if (size > of_out) session_->written(size - of_out);
        if (size == wanted) continue;
        writing_ = true;
        if (mode_ == Mode::carrying && session_) session_->set_blocked(true);
        return stream_->wait_writable(shared_from_this());
    }
    if (mode_ == Mode::carrying && session_) return engine_.mark_dirty(*session_); // others first
    writing_ = true;
    stream_->wait_writable(shared_from_this());
}

void Connection::finish_output() {
    if (out_.capacity() > 256) std::string().swap(out_);
    if (mode_ == Mode::carrying && session_) session_->set_blocked(false);
    if (!end_after_output_) return;
    if (peer_closed_) return abort();
    stream_->shutdown_send();
    mode_ = Mode::ending;
    session_.reset();
    reader_.reset();
    engine_.wheel.arm_after(*this, linger);
}

void Connection::on_writable(const error_code& ec) {
    if (mode_ == Mode::closed) return;
    writing_ = false;
    if (ec) return lost("transport error");
    flush();
}

void Connection::close_websocket(std::uint16_t code) {
    if (!websocket()) return;
    out_ += websocket::close_frame(code);
    session_.reset();
    end_after_output();
}

void Connection::end_after_output(std::chrono::seconds time) {
    if (mode_ == Mode::closed || mode_ == Mode::ending) return;
    end_after_output_ = true;
    engine_.wheel.arm_after(*this, time);
    flush();
}

void Connection::on_deadline() {
    const auto self = shared_from_this();
    switch (mode_) {
    case Mode::reading:
        ++engine_.counters.closed_timeout;
        if (!reader_ || end_after_output_) return abort();
        keep_alive_ = false;
        reader_.reset();
        return answer({408, "text/plain; charset=UTF-8", {}});
    case Mode::probing:
        if (session_ && !end_after_output_) {
            const auto session = session_;
            return session->end_probe();
        }
        return abort();
    case Mode::waiting:
    case Mode::carrying:
    case Mode::ending:
        return abort();
    case Mode::closed:
        return;
    }
}

void Connection::lost(std::string_view reason) {
    const auto session = session_;
    const Mode mode = mode_;
    abort();
    if (!session) return;
    if (mode == Mode::probing) return session->end_probe();
    if (mode == Mode::carrying) return session->on_transport_lost(reason);
    // A poll that its client gave up.
    if (mode == Mode::waiting) session->on_transport_lost("transport error");
}

void Connection::abort() {
    if (mode_ == Mode::closed) return;
    const Mode mode_before = std::exchange(mode_, Mode::closed);
    // Of a session that waited for its output to leave, nothing else counts that back.
    if (mode_before == Mode::carrying && session_) session_->drop_queue();
    disarm();
    stream_->close();
    session_.reset();
    reader_.reset();
    std::string().swap(out_);
    engine_.forget(*this);
}

} // namespace netbuild::realtime
