// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: whatever an Engine.IO payload holds, its packets are read or refused; a
// Socket.IO packet that is read can be written, and what was written reads as the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "wire/engineio.hpp"
#include "wire/socketio_codec.hpp"

using namespace netbuild;

namespace {

void check_round_trip(const socketio::Packet& packet) {
    std::string text;
    std::vector<std::string> attachments;
    socketio::encode(packet, text, attachments);
    socketio::Decoder decoder;
    auto again = decoder.text(text);
    for (const auto& attachment : attachments) {
        if (!again || *again) std::abort();
        again = decoder.binary(attachment);
    }
    if (!again || !*again || (*again)->type != packet.type || (*again)->nsp != packet.nsp ||
        (*again)->id != packet.id || (*again)->data != packet.data)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    engineio::PayloadDecoder payload({reinterpret_cast<const char*>(data), size});
    socketio::Decoder decoder;
    do {
        const auto packet = payload.next();
        if (!packet) return 0;
        if (packet->type != engineio::PacketType::message) continue;
        const auto decoded =
            packet->binary ? decoder.binary(packet->data) : decoder.text(packet->data);
        if (!decoded) return 0;
        if (*decoded) check_round_trip(**decoded);
    } while (!payload.at_end());
    return 0;
}
