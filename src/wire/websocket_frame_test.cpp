// SPDX-License-Identifier: Apache-2.0
#include "wire/websocket_frame.hpp"

#include <gtest/gtest.h>

#include "wire/utf8.hpp"

namespace netbuild::websocket {
namespace {

constexpr std::size_t payload_max = 100'000;

std::string client_frame(unsigned first_byte, std::string_view payload, bool masked = true) {
    std::string out(1, static_cast<char>(first_byte));
    const unsigned mask_bit = masked ? 0x80 : 0;
    const auto size = payload.size();
    if (size < 126) {
        out += static_cast<char>(mask_bit | size);
    } else if (size <= 0xFFFF) {
        out += static_cast<char>(mask_bit | 126);
        out += {static_cast<char>(size >> 8), static_cast<char>(size & 0xFF)};
    } else {
        out += static_cast<char>(mask_bit | 127);
        for (int shift = 56; shift >= 0; shift -= 8)
            out += static_cast<char>(static_cast<std::uint64_t>(size) >> shift & 0xFF);
    }
    const std::string mask = masked ? "\x37\xfa\x21\x3d" : "";
    out += mask;
    for (std::size_t i = 0; i < size; ++i)
        out += static_cast<char>(payload[i] ^ (masked ? mask[i % 4] : 0));
    return out;
}

struct Got {
    Decoder::Step step;
    std::string payload;
    std::uint16_t code;
};

/// All of `bytes`, shown in pieces of `piece` bytes.
std::vector<Got> decode(const std::string& bytes, std::size_t piece) {
    Decoder decoder;
    std::vector<Got> all;
    std::string held;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        held += bytes.substr(at, piece);
        std::span<char> span(held);
        while (true) {
            const auto outcome = decoder.next(span, payload_max);
            if (outcome.step == Decoder::Step::need_more) break;
            all.push_back({outcome.step, std::string(outcome.payload), outcome.code});
            if (outcome.step == Decoder::Step::failed) return all;
        }
        held.erase(0, held.size() - span.size());
    }
    return all;
}

TEST(WebSocketFrames, of_all_sizes_are_read_in_pieces_of_any_size) {
    std::string bytes;
    for (const std::size_t size : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u})
        bytes += client_frame(0x81, std::string(size, 'x'));
    bytes += client_frame(0x82, std::string("\xff\x00", 2));
    for (const std::size_t piece : {1u, 7u, 4096u, 1'000'000u}) {
        const auto all = decode(bytes, piece);
        ASSERT_EQ(all.size(), 8u) << piece;
        EXPECT_EQ(all[6].payload.size(), 65536u);
        EXPECT_EQ(all[6].step, Decoder::Step::text);
        EXPECT_EQ(all[7].step, Decoder::Step::binary);
        EXPECT_EQ(all[7].payload, std::string("\xff\x00", 2));
    }
}

TEST(WebSocketFrames, fragments_become_one_message_with_a_ping_amid_them) {
    const auto bytes = client_frame(0x01, "4a") + client_frame(0x89, "p") +
                       client_frame(0x00, "b") + client_frame(0x80, "c") +
                       client_frame(0x81, "4next");
    for (const std::size_t piece : {1u, 1000u}) {
        const auto all = decode(bytes, piece);
        ASSERT_EQ(all.size(), 3u);
        EXPECT_EQ(all[0].step, Decoder::Step::ping);
        EXPECT_EQ(all[1].payload, "4abc");
        EXPECT_EQ(all[2].payload, "4next");
    }
}

TEST(WebSocketFrames, what_breaks_the_protocol_fails_with_its_code) {
    const std::pair<std::string, std::uint16_t> cases[] = {
        {client_frame(0x81, "4a", false), close_code::protocol_error}, // not masked
        {client_frame(0xC1, "4a"), close_code::protocol_error},        // a reserved bit
        {client_frame(0x83, "4a"), close_code::protocol_error},        // a reserved opcode
        {client_frame(0x09, "p"), close_code::protocol_error},         // a ping in parts
        {client_frame(0x89, std::string(126, 'p')), close_code::protocol_error}, // a long ping
        {client_frame(0x80, "x"), close_code::protocol_error}, // goes on with nothing
        {client_frame(0x01, "4") + client_frame(0x81, "4"), close_code::protocol_error},
        {client_frame(0x81, "4\xc3("), close_code::invalid_payload},
        {client_frame(0x81, std::string(payload_max + 1, 'x')), close_code::too_big},
        {client_frame(0x01, std::string(payload_max, 'x')) + client_frame(0x80, "x"),
         close_code::too_big},
        {client_frame(0x88, "\x03"), close_code::protocol_error},
        {client_frame(0x88, "\x03\xed"), close_code::protocol_error}, // 1005
        {std::string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10) + "mask", close_code::too_big},
    };
    for (const auto& [bytes, code] : cases) {
        const auto all = decode(bytes, 1'000'000);
        ASSERT_FALSE(all.empty());
        EXPECT_EQ(all.back().step, Decoder::Step::failed);
        EXPECT_EQ(all.back().code, code);
    }
}

TEST(WebSocketFrames, a_close_tells_its_code) {
    const auto all = decode(client_frame(0x88, "\x03\xe8"
                                               "bye") +
                                client_frame(0x88, ""),
                            1);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].code, 1000);
    EXPECT_EQ(all[0].payload, "bye");
    EXPECT_EQ(all[1].code, close_code::no_status);
}

TEST(WebSocketFrames, a_server_s_frames_are_short_and_unmasked) {
    EXPECT_EQ(frame(Opcode::text, "hi"), "\x81\x02hi");
    EXPECT_EQ(frame(Opcode::binary, std::string(126, 'x')).substr(0, 4),
              std::string("\x82\x7e\x00\x7e", 4));
    EXPECT_EQ(frame(Opcode::binary, std::string(65536, 'x')).substr(0, 10),
              std::string("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10));
    EXPECT_EQ(close_frame(close_code::too_big), std::string("\x88\x02\x03\xf1", 4));
}

TEST(Utf8, refuses_overlong_forms_surrogates_and_what_is_too_big_or_cut) {
    for (const auto* text :
         {"", "plain ascii text", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
        EXPECT_TRUE(valid_utf8(text)) << text;
    for (const auto* text : {"\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                             "\xf5\x80\x80\x80", "\xe2\x82", "\x80", "12345678\xff"})
        EXPECT_FALSE(valid_utf8(text)) << text;
    EXPECT_EQ(with_valid_utf8("a\xff\xc3\xa9"), "a\xef\xbf\xbd\xc3\xa9");
}

} // namespace
} // namespace netbuild::websocket
