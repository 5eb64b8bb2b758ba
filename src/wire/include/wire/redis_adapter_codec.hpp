// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "wire/cluster_message.hpp"

// The messages of @socket.io/redis-adapter (8.3), also sent by @socket.io/redis-emitter (5.1).
namespace netbuild::socketio {

/// Each fails with `corrupt` for any other shape than a node sends. What redis-adapter had before
/// its version 6 (join and leave by `sid`) is not understood.
/// Of the channel `socket.io#<nsp>#…`.
[[nodiscard]] result<ClusterMessage> decode_redis_broadcast(std::string_view bytes);
/// Of `socket.io-request#<nsp>#`, JSON or MessagePack.
[[nodiscard]] result<ClusterMessage> decode_redis_request(std::string_view bytes);
/// Of `socket.io-response#<nsp>#…`. An answer says what it is by what it holds; `uid` is there
/// only if the node is one of ours.
[[nodiscard]] result<ClusterMessage> decode_redis_answer(std::string_view bytes);

/// The bytes for the channel that the message belongs on. Fails with `payload_too_large` past the
/// limits of cluster_message.hpp. An answer has its sender's uid as a last member, which Node does
/// not look at.
[[nodiscard]] result<std::string> encode_redis_message(const ClusterMessage& message);

} // namespace netbuild::socketio
