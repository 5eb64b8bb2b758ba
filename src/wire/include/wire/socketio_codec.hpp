// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/socketio_packet.hpp"

namespace netbuild::socketio {

/// As socket.io-parser has it.
constexpr std::size_t attachments_max = 10;
/// Deeper JSON is refused: other servers of a cluster, to which an event may go, parse by
/// recursion.
constexpr int json_depth_max = 64;

/// Appends the text of a packet to `text`; what it holds of bytes becomes placeholders and is
/// appended to `attachments`, in order.
void encode(const Packet& packet, std::string& text, std::vector<std::string>& attachments);

/// One client's packets. Holds memory only while an event's attachments are awaited.
class Decoder {
public:
    /// A packet, or nothing while attachments are missing. invalid_argument: the client breaks the
    /// protocol, and nothing that it sends from then on can be read. An event without data, which
    /// official servers ignore, has null.
    [[nodiscard]] result<std::optional<Packet>> text(std::string_view text);
    [[nodiscard]] result<std::optional<Packet>> binary(std::string_view bytes);

private:
    struct Partial {
        Packet packet;
        std::size_t wanted = 0;
        std::vector<std::optional<std::string>> attachments;
    };
    std::unique_ptr<Partial> partial_;
};

} // namespace netbuild::socketio
