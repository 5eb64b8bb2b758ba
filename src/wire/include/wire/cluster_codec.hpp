// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "wire/cluster_message.hpp"

// The messages of @socket.io/redis-adapter's sharded adapter (8.3) and of
// @socket.io/redis-streams-adapter (0.3), which are those of socket.io-adapter's ClusterAdapter.
namespace netbuild::socketio {

enum class ClusterForm {
    /// JSON, or MessagePack where the data holds bytes: the sharded adapter.
    json_unless_binary,
    /// The streams adapter's Pub/Sub.
    msgpack,
};

/// Fails with `corrupt` for any other shape than a node sends: nothing may be done with it.
[[nodiscard]] result<ClusterMessage> decode_cluster_message(std::string_view bytes);
/// Fails with `payload_too_large` for what is past the limits of cluster_message.hpp.
[[nodiscard]] result<std::string> encode_cluster_message(const ClusterMessage& message,
                                                         ClusterForm form);

/// An entry of the adapter's stream: uid, nsp, type, data.
using StreamFields = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] result<ClusterMessage> decode_stream_entry(const StreamFields& fields);
[[nodiscard]] result<StreamFields> encode_stream_entry(const ClusterMessage& message);
/// Which of `count` streams a namespace has: `name`, or `name-i`.
[[nodiscard]] std::string stream_of_namespace(std::string_view name, std::string_view nsp,
                                              std::uint32_t count);

/// base64 of MessagePack {sid, pid, rooms, data}.
[[nodiscard]] std::string encode_session(const SavedSession& session);
[[nodiscard]] result<SavedSession> decode_session(std::string_view text);

} // namespace netbuild::socketio
