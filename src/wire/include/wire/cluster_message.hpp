// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/value.hpp"
#include "wire/socketio_packet.hpp"

namespace netbuild::socketio {

/// Which sockets, and how. No rooms: all of the namespace.
struct Audience {
    struct Flags {
        bool is_volatile = false;
        bool compress = true;
        bool local = false;
        std::optional<std::chrono::milliseconds> timeout;
    };
    std::vector<std::string> rooms;
    std::vector<std::string> except;
    Flags flags;
};

/// What `fetchSockets` tells of one: handshake is {headers, time, address, xdomain, secure, issued,
/// url, query, auth}.
struct SocketDescription {
    std::string id;
    Value handshake;
    std::vector<std::string> rooms;
    Value data;
};

/// What a socket leaves behind for its recovery.
struct SavedSession {
    std::string sid;
    std::string pid;
    std::vector<std::string> rooms;
    Value data;
};

/// What the nodes of a cluster tell each other, in whichever protocol. The numbers are those of the
/// sharded and the streams adapter; from 32 on it is what only redis-adapter has.
enum class ClusterMessageType : std::uint8_t {
    initial_heartbeat = 1,
    heartbeat = 2,
    broadcast = 3,
    join = 4,
    leave = 5,
    disconnect = 6,
    fetch_sockets = 7,
    fetch_sockets_answer = 8,
    server_side_emit = 9,
    server_side_emit_answer = 10,
    broadcast_client_count = 11,
    broadcast_ack = 12,
    close = 13,
    all_rooms = 32,
    all_rooms_answer = 33,
    socket_ids = 34,
    socket_ids_answer = 35,
};

/// One message; only the members of its type mean something.
struct ClusterMessage {
    ClusterMessageType type = ClusterMessageType::heartbeat;
    /// Of the sender; "emitter" or empty if it is no node, or the protocol does not say.
    std::string uid;
    std::string nsp = "/";
    /// Of what wants an answer, and of the answer.
    std::optional<std::string> request_id;
    /// broadcast: the data is an Array, [event, …].
    Packet packet;
    /// broadcast, join, leave, disconnect, fetch_sockets, socket_ids.
    Audience audience;
    /// join, leave, all_rooms_answer; socket_ids_answer: the ids.
    std::vector<std::string> rooms;
    /// disconnect: the connection too.
    bool close = false;
    /// server_side_emit: [event, …].
    Array args;
    /// server_side_emit_answer, broadcast_ack.
    Value answer;
    std::vector<SocketDescription> sockets;
    std::uint64_t client_count = 0;
};

/// Whoever sends more, or deeper, is not understood: a Node server does not survive all of it.
inline constexpr std::size_t cluster_message_bytes_max = std::size_t{32} << 20;
inline constexpr int cluster_data_depth_max = 128;

} // namespace netbuild::socketio
