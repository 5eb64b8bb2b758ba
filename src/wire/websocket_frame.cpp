// SPDX-License-Identifier: Apache-2.0
#include "wire/websocket_frame.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "wire/utf8.hpp"

namespace netbuild::websocket {
namespace {

constexpr std::size_t mask_bytes = 4;
constexpr std::size_t control_payload_max = 125;

struct Header {
    bool fin = false;
    unsigned reserved = 0;
    Opcode opcode = Opcode::continuation;
    bool masked = false;
    std::uint64_t payload_bytes = 0;
    std::size_t header_bytes = 0;
};

std::optional<Header> read_header(std::span<const char> bytes) {
    if (bytes.size() < 2) return std::nullopt;
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    Header header;
    header.fin = at(0) & 0x80;
    header.reserved = at(0) & 0x70;
    header.opcode = static_cast<Opcode>(at(0) & 0x0F);
    header.masked = at(1) & 0x80;
    const unsigned length = at(1) & 0x7F;
    const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    header.header_bytes = 2 + more + (header.masked ? mask_bytes : 0);
    if (bytes.size() < header.header_bytes) return std::nullopt;
    header.payload_bytes = more == 0 ? length : 0;
    for (std::size_t i = 0; i < more; ++i)
        header.payload_bytes = header.payload_bytes << 8 | at(2 + i);
    return header;
}

void unmask(std::span<char> payload, const char* mask) {
    std::uint32_t word = 0;
    std::memcpy(&word, mask, mask_bytes);
    const std::uint64_t both = std::uint64_t{word} << 32 | word;
    std::size_t i = 0;
    for (; i + 8 <= payload.size(); i += 8) {
        std::uint64_t piece = 0;
        std::memcpy(&piece, payload.data() + i, 8);
        piece ^= both;
        std::memcpy(payload.data() + i, &piece, 8);
    }
    for (; i < payload.size(); ++i)
        payload[i] = static_cast<char>(payload[i] ^ mask[i % mask_bytes]);
}

bool known(Opcode opcode) {
    switch (opcode) {
    case Opcode::continuation:
    case Opcode::text:
    case Opcode::binary:
    case Opcode::close:
    case Opcode::ping:
    case Opcode::pong:
        return true;
    }
    return false;
}

bool control(Opcode opcode) { return static_cast<unsigned>(opcode) >= 8; }

Decoder::Outcome failed(std::uint16_t code) { return {Decoder::Step::failed, {}, code}; }

/// RFC 6455, section 7.4: what an endpoint may send.
bool sendable(std::uint16_t code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

Decoder::Outcome control_frame(Opcode opcode, std::string_view payload) {
    if (opcode == Opcode::ping) return {Decoder::Step::ping, payload, 0};
    if (opcode == Opcode::pong) return {Decoder::Step::pong, payload, 0};
    if (payload.empty()) return {Decoder::Step::close, {}, close_code::no_status};
    if (payload.size() == 1) return failed(close_code::protocol_error);
    const auto code = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                                 static_cast<unsigned char>(payload[1]));
    if (!sendable(code)) return failed(close_code::protocol_error);
    if (!valid_utf8(payload.substr(2))) return failed(close_code::invalid_payload);
    return {Decoder::Step::close, payload.substr(2), code};
}

} // namespace

std::size_t write_header(std::span<char, header_bytes_max> header, Opcode opcode,
                         std::uint64_t payload_bytes) {
    const std::size_t more = payload_bytes < 126 ? 0 : payload_bytes <= 0xFFFF ? 2 : 8;
    const std::size_t size = 2 + more;
    char* at = header.data() + (header_bytes_max - size);
    at[0] = static_cast<char>(0x80 | static_cast<unsigned>(opcode));
    at[1] = static_cast<char>(more == 0 ? payload_bytes : more == 2 ? 126 : 127);
    for (std::size_t i = 0; i < more; ++i)
        at[2 + i] = static_cast<char>(payload_bytes >> (8 * (more - 1 - i)) & 0xFF);
    return size;
}

std::string frame(Opcode opcode, std::string_view payload) {
    char header[header_bytes_max];
    const auto size = write_header(header, opcode, payload.size());
    std::string out(header + header_bytes_max - size, size);
    out += payload;
    return out;
}

std::string close_frame(std::uint16_t code, std::string_view reason) {
    if (code == close_code::no_status) return frame(Opcode::close, {});
    std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
    payload += reason.substr(0, control_payload_max - payload.size());
    return frame(Opcode::close, payload);
}

Decoder::Outcome Decoder::next(std::span<char>& bytes, std::size_t payload_bytes_max) {
    delivered_.reset();
    while (true) {
        const auto header = read_header(bytes);
        if (!header) return {};
        if (header->reserved || !header->masked || !known(header->opcode))
            return failed(close_code::protocol_error);
        if (control(header->opcode) &&
            (!header->fin || header->payload_bytes > control_payload_max))
            return failed(close_code::protocol_error);
        const std::size_t held = fragments_ ? fragments_->payload.size() : 0;
        if (header->payload_bytes > payload_bytes_max - std::min(held, payload_bytes_max))
            return failed(close_code::too_big);
        const auto payload_bytes = static_cast<std::size_t>(header->payload_bytes);
        if (bytes.size() - header->header_bytes < payload_bytes) return {};
        const auto payload = bytes.subspan(header->header_bytes, payload_bytes);
        unmask(payload, bytes.data() + header->header_bytes - mask_bytes);
        bytes = bytes.subspan(header->header_bytes + payload_bytes);
        const std::string_view text(payload.data(), payload.size());
        if (control(header->opcode)) return control_frame(header->opcode, text);
        const auto outcome = data_frame(header->opcode, header->fin, text);
        if (outcome.step != Step::need_more) return outcome; // else a fragment that is not the last
    }
}

Decoder::Outcome Decoder::data_frame(Opcode opcode, bool fin, std::string_view payload) {
    if ((opcode == Opcode::continuation) != (fragments_ != nullptr))
        return failed(close_code::protocol_error);
    if (fragments_) {
        fragments_->payload += payload;
        if (!fin) return {};
        delivered_ = std::move(fragments_);
        opcode = delivered_->opcode;
        payload = delivered_->payload;
    } else if (!fin) {
        fragments_ = std::make_unique<Fragments>(Fragments{opcode, std::string(payload)});
        return {};
    }
    if (opcode == Opcode::binary) return {Step::binary, payload, 0};
    if (!valid_utf8(payload)) return failed(close_code::invalid_payload);
    return {Step::text, payload, 0};
}

std::size_t Decoder::wanted(std::span<const char> bytes) {
    const auto header = read_header(bytes);
    return header ? header->header_bytes + static_cast<std::size_t>(header->payload_bytes) : 0;
}

} // namespace netbuild::websocket
