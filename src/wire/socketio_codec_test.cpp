// SPDX-License-Identifier: Apache-2.0
#include "wire/socketio_codec.hpp"

#include <gtest/gtest.h>

#include "wire/json.hpp"

namespace netbuild::socketio {
namespace {

std::string encoded(const Packet& packet) {
    std::string text;
    std::vector<std::string> attachments;
    encode(packet, text, attachments);
    for (const auto& attachment : attachments)
        text += "|" + attachment;
    return text;
}

Packet decoded(std::string_view text, std::vector<std::string> attachments = {}) {
    Decoder decoder;
    auto packet = decoder.text(text).value();
    for (const auto& attachment : attachments) {
        EXPECT_FALSE(packet);
        packet = decoder.binary(attachment).value();
    }
    EXPECT_TRUE(packet) << text;
    return packet.value_or(Packet{});
}

TEST(SocketIoPackets, are_written_as_official_servers_do) {
    EXPECT_EQ(encoded({PacketType::connect, "/", {}, Object{{"sid", "x"}}}), R"(0{"sid":"x"})");
    EXPECT_EQ(
        encoded(
            {PacketType::connect_error, "/random", {}, Object{{"message", "Invalid namespace"}}}),
        R"(4/random,{"message":"Invalid namespace"})");
    EXPECT_EQ(encoded({PacketType::disconnect, "/admin", {}, {}}), "1/admin,");
    EXPECT_EQ(encoded({PacketType::event, "/", 12, Array{"a", 1}}), R"(212["a",1])");
    EXPECT_EQ(encoded({PacketType::ack, "/n", 3, Array{Binary{"xy"}, Object{{"b", Binary{"z"}}}}}),
              R"(62-/n,3[{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]|xy|z)");
}

TEST(SocketIoPackets, are_read_with_bytes_where_the_placeholders_are) {
    EXPECT_EQ(decoded("0").nsp, "/");
    EXPECT_EQ(decoded("0/custom,{\"a\":1}").nsp, "/custom");
    EXPECT_EQ(decoded("1/custom").type, PacketType::disconnect);
    EXPECT_TRUE(decoded("2").data.is_null());
    const auto event = decoded(R"(2/n,7["a",{"b":[true]}])");
    EXPECT_EQ(event.id, 7u);
    EXPECT_EQ(event.data, Value(Array{"a", Object{{"b", Array{true}}}}));
    const auto binary =
        decoded(R"(52-["a",{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":0}}])",
                {"one", "two"});
    EXPECT_EQ(binary.type, PacketType::event);
    EXPECT_EQ(binary.data, Value(Array{"a", Binary{"two"}, Object{{"x", Binary{"one"}}}}));
}

TEST(SocketIoPackets, that_break_the_protocol_are_refused) {
    for (const auto* text : {"",
                             "7",
                             "abc",
                             "2{}",
                             "2[]",
                             "2[true]",
                             "2abc[\"a\"]",
                             R"(2["connect"])",
                             R"(2["disconnecting"])",
                             "0[]",
                             "1{}",
                             "3{}",
                             "5[\"a\"]",
                             "50-[\"a\"]",
                             "5x-[\"a\"]",
                             "511-[\"a\"]",
                             "51-",
                             "2[\"a\"",
                             "2[\"a\"] x",
                             "21234567890123456[\"a\"]"})
        EXPECT_FALSE(Decoder().text(text)) << text;
    Decoder decoder;
    EXPECT_FALSE(decoder.binary("x"));
    EXPECT_TRUE(decoder.text(R"(51-["a",{"_placeholder":true,"num":1}])"));
    EXPECT_FALSE(decoder.binary("x"));
    Decoder twice;
    EXPECT_TRUE(
        twice.text(R"(51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}])"));
    EXPECT_FALSE(twice.binary("x"));
    Decoder amid;
    EXPECT_TRUE(amid.text(R"(51-["a",{"_placeholder":true,"num":0}])"));
    EXPECT_FALSE(amid.text("2[\"a\"]"));
}

TEST(SocketIoPackets, deeper_than_the_limit_are_refused) {
    const auto nested = [](int depth) {
        return "2[\"a\"," + std::string(depth, '[') + std::string(depth, ']') + "]";
    };
    EXPECT_TRUE(Decoder().text(nested(json_depth_max - 2)));
    EXPECT_FALSE(Decoder().text(nested(json_depth_max + 1)));
    EXPECT_FALSE(Decoder().text(nested(100'000)));
}

TEST(LenientJson, reads_what_a_browser_s_parser_reads) {
    const auto read = [](std::string_view text) {
        return to_json(parse_lenient_json(text).value());
    };
    EXPECT_EQ(read(R"({"a":1,"b":2,"a":3})"), R"({"a":3,"b":2})");
    EXPECT_EQ(read("[1.0,1e3,-0.0,1.5,9007199254740993]"), "[1,1000,0,1.5,9007199254740992.0]");
    EXPECT_EQ(read("123456789012345678901234567890"), "1.2345678901234568e+29");
    EXPECT_EQ(read("0.1234567890123456789"), "0.12345678901234568");
    EXPECT_EQ(read("[1e400,1e-400]"), "[null,0]");
    EXPECT_EQ(read(R"("\ud800")"), "\"\xef\xbf\xbd\"");
    std::string many = "{";
    for (int i = 0; i < 40; ++i)
        many += "\"k" + std::to_string(i % 20) + "\":" + std::to_string(i) + ",";
    many.back() = '}';
    const auto value = parse_lenient_json(many).value();
    EXPECT_EQ(value.get_if<Object>()->size(), 20u);
    EXPECT_EQ(*value.at_path("k3"), Value(23));
}

} // namespace
} // namespace netbuild::socketio
