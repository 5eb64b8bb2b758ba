// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace netbuild::engineio {

/// Engine.IO protocol v4 (https://socket.io/docs/v4/engine-io-protocol/).
enum class PacketType : char {
    open = '0',
    close = '1',
    ping = '2',
    pong = '3',
    message = '4',
    upgrade = '5',
    noop = '6',
};

/// Points into what it was decoded from, but for binary of a payload.
struct Packet {
    PacketType type = PacketType::noop;
    bool binary = false;
    std::string_view data;
};

constexpr char payload_separator = '\x1e';

/// A text frame's content: a digit, then data. Nothing if it is none.
[[nodiscard]] std::optional<Packet> decode_packet(std::string_view text);

/// What one HTTP request holds: packets in turn.
class PayloadDecoder {
public:
    explicit PayloadDecoder(std::string_view body) : rest_(body) {}
    [[nodiscard]] bool at_end() const noexcept { return at_end_; }
    /// Nothing if the packet is none; then the rest is not to be read. A binary packet's data is
    /// valid until the next call.
    [[nodiscard]] std::optional<Packet> next();

private:
    std::string_view rest_;
    std::string binary_;
    bool at_end_ = false;
};

/// `text` is a packet with its digit.
void append_text(std::string& payload, std::string_view text);
void append_binary(std::string& payload, std::string_view bytes);

} // namespace netbuild::engineio
