// SPDX-License-Identifier: Apache-2.0
#include "wire/engineio.hpp"

#include "wire/base64.hpp"

namespace netbuild::engineio {

std::optional<Packet> decode_packet(std::string_view text) {
    if (text.empty() || text[0] < '0' || text[0] > '6') return std::nullopt;
    return Packet{static_cast<PacketType>(text[0]), false, text.substr(1)};
}

std::optional<Packet> PayloadDecoder::next() {
    const auto end = rest_.find(payload_separator);
    const std::string_view text = rest_.substr(0, end);
    at_end_ = end == std::string_view::npos;
    rest_ = at_end_ ? std::string_view{} : rest_.substr(end + 1);
    if (!text.starts_with('b')) return decode_packet(text);
    binary_.clear();
    if (!decode_base64(text.substr(1), binary_)) return std::nullopt;
    return Packet{PacketType::message, true, binary_};
}

void append_text(std::string& payload, std::string_view text) {
    if (!payload.empty()) payload += payload_separator;
    payload += text;
}

void append_binary(std::string& payload, std::string_view bytes) {
    if (!payload.empty()) payload += payload_separator;
    payload += 'b';
    append_base64(payload, bytes);
}

} // namespace netbuild::engineio
