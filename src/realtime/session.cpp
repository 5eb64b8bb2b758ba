// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <openssl/rand.h>

#include "connection.hpp"
#include "engine.hpp"
#include "telemetry/log.hpp"
#include "wire/base64url.hpp"
#include "wire/engineio.hpp"

namespace netbuild::realtime {
namespace {

/// A closing session waits for its client's next poll so long.
constexpr std::chrono::seconds closing_poll_timeout{30};
/// For what is queued when a session closes; one that is slow may need longer for its last words.
constexpr std::chrono::seconds output_timeout{2}, slow_output_timeout{10};
/// A queue's memory above this goes back when it is empty.
constexpr std::size_t queue_kept = 8;
/// Clients count whole milliseconds and their timers run early by one: a heartbeat's end is not to
/// be later than they see it.
constexpr std::chrono::milliseconds early{2};

const MessageRef& ping() {
    static const MessageRef message = MessageRef::packet("2");
    return message;
}

} // namespace

SessionId SessionId::random() {
    constexpr std::size_t bytes = 15;
    // One call of the generator for many ids.
    static std::array<unsigned char, bytes * 64> pool;
    static std::size_t used = pool.size();
    if (used == pool.size()) {
        if (RAND_bytes(pool.data(), static_cast<int>(pool.size())) != 1)
            throw std::runtime_error("the system gives no random numbers");
        used = 0;
    }
    const auto text = encode_base64url({reinterpret_cast<const char*>(&pool[used]), bytes});
    used += bytes;
    SessionId id;
    std::copy_n(text.data(), id.text.size(), id.text.data());
    return id;
}

Origin::Origin(const HttpRequest& request, std::string_view address, bool secure)
    : secure_(secure) {
    std::size_t size = address.size() + request.target.size() + 2;
    for (const auto& [name, value] : request.headers)
        size += name.size() + value.size() + 2;
    text_.reserve(size);
    const auto put = [this](std::string_view piece) {
        text_ += piece;
        text_ += '\0';
    };
    put(address);
    put(request.target);
    for (const auto& [name, value] : request.headers) {
        put(name);
        put(value);
    }
}

std::string_view Origin::address() const {
    return std::string_view(text_).substr(0, text_.find('\0'));
}

std::string_view Origin::target() const {
    const std::string_view rest = std::string_view(text_).substr(address().size() + 1);
    return rest.substr(0, rest.find('\0'));
}

std::vector<std::pair<std::string_view, std::string_view>> Origin::headers() const {
    std::vector<std::pair<std::string_view, std::string_view>> out;
    std::string_view rest = text_;
    const auto take = [&rest] {
        const auto piece = rest.substr(0, rest.find('\0'));
        rest.remove_prefix(piece.size() + 1);
        return piece;
    };
    take();
    take();
    while (!rest.empty()) {
        const auto name = take();
        out.emplace_back(name, take());
    }
    return out;
}

Session::Session(Engine::Impl& engine, Origin origin)
    : engine_(engine), id_(SessionId::random()), origin_(std::move(origin)) {}

Session::~Session() = default;

bool Session::writable() const noexcept {
    return state_ == State::open && (websocket_ ? !blocked_ : connection_ != nullptr);
}

void Session::start(std::unique_ptr<SessionHandler> handler) {
    handler_ = std::move(handler);
    if (state_ == State::open)
        engine_.wheel.arm_after(*this, engine_.options.ping_interval - early);
}

void Session::send(MessageRef message, Delivery delivery) {
    if (state_ != State::open || doomed) return;
    if (delivery == Delivery::if_writable && !writable()) {
        ++engine_.counters.dropped_volatile;
        return;
    }
    ++engine_.counters.messages_out;
    enqueue(std::move(message));
    if (!dirty && !blocked_) engine_.mark_dirty(*this);
    look_at_queue();
}

/// What one turn of the loop queued for a client that takes its bytes is no backlog: it is looked
/// at again once its connection takes no more.
void Session::look_at_queue() {
    if (state_ != State::open || writable()) return;
    if (queued_bytes_ > engine_.options.queued_bytes_max) return engine_.doom(*this);
    if (queued_bytes_ > engine_.options.pressure_bytes() && handler_) handler_->on_pressure();
}

void Session::enqueue(MessageRef message) {
    const std::size_t bytes = message->frame().size();
    queued_bytes_ += bytes;
    engine_.counters.queued_bytes += bytes;
    queue_.push_back(std::move(message));
}

void Session::set_blocked(bool blocked) {
    blocked_ = blocked;
    look_at_queue();
}

std::size_t Session::gather(std::span<iovec> pieces) const {
    std::size_t count = 0;
    for (std::size_t i = head_; i < queue_.size() && count < pieces.size(); ++i) {
        std::string_view bytes = queue_[i]->frame();
        if (i == head_) bytes.remove_prefix(offset_);
        pieces[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    }
    return count;
}

void Session::written(std::size_t bytes) {
    queued_bytes_ -= bytes;
    engine_.counters.queued_bytes -= bytes;
    offset_ += bytes;
    while (head_ < queue_.size() && offset_ >= queue_[head_]->frame().size()) {
        offset_ -= queue_[head_]->frame().size();
        queue_[head_++] = {};
    }
    if (head_ < queue_.size()) {
        // Half of it done: the front is given back, so that a queue that is never empty is bounded.
        if (head_ > 64 && head_ * 2 > queue_.size()) {
            queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
            head_ = 0;
        }
        return;
    }
    head_ = 0;
    queue_.clear();
    if (queue_.capacity() > queue_kept) std::vector<MessageRef>().swap(queue_);
    on_empty();
}

void Session::on_empty() {
    if (state_ == State::open && std::exchange(drained_wanted_, false)) handler_->on_drained();
}

void Session::drop_queue() {
    engine_.counters.queued_bytes -= queued_bytes_;
    queued_bytes_ = head_ = offset_ = 0;
    std::vector<MessageRef>().swap(queue_);
}

void Session::flush() {
    if (websocket_) {
        if (const auto connection = connection_) connection->flush();
    } else if (connection_ && has_output()) {
        answer_poll(take_payload());
    }
}

std::string Session::take_payload() {
    std::string payload;
    for (std::size_t i = head_; i < queue_.size(); ++i) {
        const auto& message = queue_[i];
        if (message->kind() == Message::Kind::text)
            engineio::append_text(payload, message->packet());
        if (message->kind() == Message::Kind::binary)
            engineio::append_binary(payload, message->packet());
    }
    drop_queue();
    on_empty();
    return payload;
}

void Session::answer_poll(std::string payload) {
    if (const auto connection = std::exchange(connection_, nullptr))
        connection->answer({200, "text/plain; charset=UTF-8", std::move(payload)});
}

void Session::poll(Connection& connection) {
    const auto self = shared_from_this();
    if (awaiting_pong_ && deadline() <= engine_.clock.monotonic()) {
        // Its time is over, and only the timer has not been looked at yet.
        fail("ping timeout");
        return connection.answer({400, "text/plain; charset=UTF-8", {}});
    }
    if (connection_) {
        // Two at a time: one of them is not the client's.
        answer_poll("1");
        connection.answer({400, "text/plain; charset=UTF-8", {}});
        return end("transport error");
    }
    connection_ = connection.shared_from_this();
    connection.hold(self);
    if (state_ == State::closing) {
        auto payload = take_payload();
        engineio::append_text(payload, "1");
        answer_poll(std::move(payload));
        return end({});
    }
    if (has_output()) return flush();
    // So that the client sees the end of its last poll, and goes on with the upgrade.
    if (probed_) answer_poll("6");
}

bool Session::post(std::string_view body) {
    const auto self = shared_from_this();
    engineio::PayloadDecoder packets(body);
    do {
        const auto packet = packets.next();
        if (!packet) {
            fail("parse error");
            return false;
        }
        if (packet->type == engineio::PacketType::close) {
            answer_poll("6");
            end("transport close");
            return true;
        }
        if (packet->binary) {
            on_binary(packet->data);
        } else {
            on_packet({packet->data.data() - 1, packet->data.size() + 1});
        }
    } while (!packets.at_end());
    return true;
}

void Session::saw_packet() {
    // A client that sends is there, even if its pong waits behind a long message.
    if (!awaiting_pong_ || extended_) return;
    extended_ = true;
    engine_.wheel.arm_after(*this, engine_.options.ping_timeout);
}

void Session::on_packet(std::string_view text) {
    if (state_ != State::open) return;
    const auto packet = engineio::decode_packet(text);
    if (!packet) {
        ++engine_.counters.closed_protocol;
        return fail("parse error", websocket::close_code::normal);
    }
    switch (packet->type) {
    case engineio::PacketType::ping: // only servers do
        ++engine_.counters.closed_protocol;
        return fail("transport error", websocket::close_code::normal);
    case engineio::PacketType::pong:
        awaiting_pong_ = false;
        return engine_.wheel.arm_after(*this, engine_.options.ping_interval);
    case engineio::PacketType::message:
        saw_packet();
        ++engine_.counters.messages_in;
        return handler_->on_message(packet->data);
    case engineio::PacketType::open:
    case engineio::PacketType::close: // says something on polling only: see post()
    case engineio::PacketType::upgrade:
    case engineio::PacketType::noop:
        return saw_packet();
    }
}

void Session::on_binary(std::string_view data) {
    if (state_ != State::open) return;
    saw_packet();
    ++engine_.counters.messages_in;
    handler_->on_binary(data);
}

void Session::on_deadline() {
    const auto self = shared_from_this();
    if (state_ != State::open) return end({});
    if (awaiting_pong_) {
        ++engine_.counters.closed_timeout;
        return fail("ping timeout");
    }
    awaiting_pong_ = true;
    extended_ = false;
    engine_.wheel.arm(*this, deadline() + engine_.options.ping_timeout);
    send(ping());
}

void Session::attach_websocket(std::shared_ptr<Connection> connection) {
    websocket_ = true;
    connection_ = std::move(connection);
}

bool Session::begin_probe(const std::shared_ptr<Connection>& connection) {
    if (state_ != State::open || websocket_ || probe_) return false;
    probe_ = connection;
    return true;
}

void Session::on_probed() {
    probed_ = true;
    if (connection_ && !has_output()) answer_poll("6");
}

void Session::end_probe() {
    probed_ = false;
    if (const auto probe = std::exchange(probe_, nullptr))
        probe->close_websocket(websocket::close_code::normal);
}

void Session::finish_upgrade(std::shared_ptr<Connection> connection) {
    if (state_ != State::open || probe_ != connection) return;
    answer_poll("6"); // what is queued goes over the WebSocket
    probe_.reset();
    probed_ = false;
    websocket_ = true;
    ++engine_.counters.upgraded;
    connection_ = std::move(connection);
    connection_->carry(shared_from_this());
    if (awaiting_pong_) engine_.wheel.arm_after(*this, engine_.options.ping_timeout);
    if (has_output()) engine_.mark_dirty(*this);
}

void Session::close(std::string_view reason) {
    close(reason, websocket::close_code::normal, {}, output_timeout);
}

void Session::close_slow() {
    if (state_ != State::open) return;
    ++engine_.counters.closed_slow;
    engine_.log_slow(*this);
    // What it has the beginning of has to end.
    MessageRef begun;
    if (offset_ != 0) begun = queue_[head_];
    const std::size_t offset = offset_;
    drop_queue();
    if (begun) {
        enqueue(std::move(begun));
        offset_ = offset;
        queued_bytes_ -= offset;
        engine_.counters.queued_bytes -= offset;
    }
    if (handler_)
        for (const auto& text : handler_->last_words())
            enqueue(MessageRef::packet("4" + text));
    close("slow reader", websocket::close_code::try_again_later, "slow reader",
          slow_output_timeout);
}

void Session::close(std::string_view reason, std::uint16_t websocket_code, std::string_view why,
                    std::chrono::seconds timeout) {
    if (state_ != State::open) return;
    const auto self = shared_from_this();
    state_ = State::closing;
    end_probe();
    if (handler_) handler_->on_close(reason);
    disarm();
    if (websocket_) {
        enqueue(MessageRef::control(websocket::close_frame(websocket_code, why)));
        engine_.forget(*this);
        // It keeps this session until what is queued has left.
        if (const auto connection = std::exchange(connection_, nullptr))
            connection->end_after_output(timeout);
    } else if (connection_) {
        auto payload = take_payload();
        engineio::append_text(payload, "1");
        answer_poll(std::move(payload));
        end({});
    } else {
        engine_.wheel.arm_after(*this, closing_poll_timeout);
    }
}

void Session::fail(std::string_view reason, std::uint16_t websocket_code) {
    if (state_ != State::open) return;
    const auto self = shared_from_this();
    const auto connection = std::exchange(connection_, nullptr);
    const bool amid_frame = offset_ != 0;
    if (connection && !websocket_) connection->answer({200, "text/plain; charset=UTF-8", "1"});
    drop_queue();
    if (connection && websocket_) {
        if (websocket_code == 0 || amid_frame) {
            connection->abort();
        } else {
            connection->close_websocket(websocket_code);
        }
    }
    end(reason);
}

void Session::on_transport_lost(std::string_view reason) {
    const auto self = shared_from_this();
    connection_.reset();
    end(reason);
}

void Session::end(std::string_view reason) {
    if (state_ == State::closed) return;
    const bool told = state_ == State::closing;
    state_ = State::closed;
    disarm();
    drop_queue();
    end_probe();
    connection_.reset();
    engine_.forget(*this);
    if (!told && handler_) handler_->on_close(reason);
}

} // namespace netbuild::realtime
