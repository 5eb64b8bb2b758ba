// SPDX-License-Identifier: Apache-2.0
#include "wire/engineio.hpp"

#include <gtest/gtest.h>

#include "wire/base64.hpp"

namespace netbuild::engineio {
namespace {

TEST(EngineIo, a_payload_of_text_and_binary_reads_as_it_was_written) {
    std::string payload;
    append_text(payload, "4hello");
    append_binary(payload, std::string("\x01\x02\x03\x04", 4));
    append_text(payload, "2");
    EXPECT_EQ(payload, "4hello\x1e"
                       "bAQIDBA==\x1e"
                       "2");
    PayloadDecoder decoder(payload);
    auto packet = decoder.next();
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->type, PacketType::message);
    EXPECT_EQ(packet->data, "hello");
    packet = decoder.next();
    ASSERT_TRUE(packet && packet->binary);
    EXPECT_EQ(packet->data, std::string("\x01\x02\x03\x04", 4));
    EXPECT_FALSE(decoder.at_end());
    packet = decoder.next();
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->type, PacketType::ping);
    EXPECT_TRUE(decoder.at_end());
}

TEST(EngineIo, what_is_no_packet_is_refused) {
    for (const auto* text : {"", "7", "abc", "bA", "b****", "\x1e", "4a\x1e"}) {
        PayloadDecoder decoder(text);
        bool refused = false;
        do
            refused = !decoder.next();
        while (!refused && !decoder.at_end());
        EXPECT_TRUE(refused) << text;
    }
}

TEST(Base64, agrees_with_the_rfc_s_vectors_both_ways) {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : vectors) {
        std::string out, back;
        append_base64(out, bytes);
        EXPECT_EQ(out, text);
        ASSERT_TRUE(decode_base64(text, back));
        EXPECT_EQ(back, bytes);
    }
    std::string out;
    EXPECT_FALSE(decode_base64("Zg-_", out));
    EXPECT_FALSE(decode_base64("Z", out));
}

} // namespace
} // namespace netbuild::engineio
