// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "model/value.hpp"

namespace netbuild::socketio {

/// Socket.IO protocol v5 (https://socket.io/docs/v4/socket-io-protocol/). Binary is a matter of the
/// data: an event that holds a `Binary` anywhere is written as BINARY_EVENT.
enum class PacketType : std::uint8_t {
    connect = 0,
    disconnect = 1,
    event = 2,
    ack = 3,
    connect_error = 4,
};

struct Packet {
    PacketType type = PacketType::event;
    std::string nsp = "/";
    /// Of an event that wants an answer, and of the answer.
    std::optional<std::uint64_t> id;
    /// Events and acks: an Array, an event's first element its name. Bytes are `Binary`.
    Value data;
};

} // namespace netbuild::socketio
