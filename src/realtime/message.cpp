// SPDX-License-Identifier: Apache-2.0
#include "message.hpp"

#include <span>

#include "wire/utf8.hpp"

namespace netbuild::realtime {

MessageRef MessageRef::with_header(Message::Kind kind, websocket::Opcode opcode,
                                   std::string bytes) {
    constexpr auto room = websocket::header_bytes_max;
    const auto header = websocket::write_header(std::span<char, room>(bytes.data(), room), opcode,
                                                bytes.size() - room);
    return MessageRef(new Message(kind, std::move(bytes), room - header, room));
}

MessageRef MessageRef::text(std::string bytes) {
    // A client ends the connection over bad UTF-8, and other nodes' strings come in as they are.
    const auto packet = std::string_view(bytes).substr(websocket::header_bytes_max);
    if (!valid_utf8(packet)) return text(text_begin().append(with_valid_utf8(packet)));
    return with_header(Message::Kind::text, websocket::Opcode::text, std::move(bytes));
}

MessageRef MessageRef::binary(std::string_view bytes) {
    return with_header(Message::Kind::binary, websocket::Opcode::binary,
                       text_begin().append(bytes));
}

} // namespace netbuild::realtime
