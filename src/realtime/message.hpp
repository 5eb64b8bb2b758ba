// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "wire/websocket_frame.hpp"

namespace netbuild::realtime {

class MessageRef;

/// One Engine.IO packet, encoded once for all that get it: the bytes are those of its WebSocket
/// frame, and the part behind the header is what a polling client's payload holds.
/// Counted without atomics: it never leaves the thread of its server.
class Message {
public:
    enum class Kind : std::uint8_t {
        text,
        binary,
        control, // of WebSocket itself
    };
    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    [[nodiscard]] std::string_view frame() const noexcept {
        return std::string_view(bytes_).substr(begin_);
    }
    [[nodiscard]] std::string_view packet() const noexcept {
        return std::string_view(bytes_).substr(packet_);
    }

private:
    friend class MessageRef;
    Message(Kind kind, std::string bytes, std::size_t begin, std::size_t packet)
        : bytes_(std::move(bytes)),
          begin_(static_cast<std::uint8_t>(begin)),
          packet_(static_cast<std::uint8_t>(packet)),
          kind_(kind) {}

    std::string bytes_;
    std::uint32_t references_ = 1;
    std::uint8_t begin_, packet_;
    Kind kind_;
};

class MessageRef {
public:
    MessageRef() = default;
    MessageRef(const MessageRef& other) noexcept : message_(other.message_) {
        if (message_) ++message_->references_;
    }
    MessageRef(MessageRef&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    MessageRef& operator=(MessageRef other) noexcept {
        std::swap(message_, other.message_);
        return *this;
    }
    ~MessageRef() {
        if (message_ && --message_->references_ == 0) delete message_;
    }

    /// What `text_begin()` returned, with an Engine.IO packet ("4…") after it.
    [[nodiscard]] static MessageRef text(std::string bytes);
    [[nodiscard]] static std::string text_begin() {
        return std::string(websocket::header_bytes_max, '\0');
    }
    [[nodiscard]] static MessageRef packet(std::string_view engine_packet) {
        return text(text_begin().append(engine_packet));
    }
    [[nodiscard]] static MessageRef binary(std::string_view bytes);
    [[nodiscard]] static MessageRef control(std::string frame) {
        return MessageRef(new Message(Message::Kind::control, std::move(frame), 0, 0));
    }

    [[nodiscard]] const Message* operator->() const noexcept { return message_; }
    [[nodiscard]] explicit operator bool() const noexcept { return message_ != nullptr; }

private:
    explicit MessageRef(Message* message) : message_(message) {}
    [[nodiscard]] static MessageRef with_header(Message::Kind kind, websocket::Opcode opcode,
                                                std::string bytes);
    Message* message_ = nullptr;
};

} // namespace netbuild::realtime
