// SPDX-License-Identifier: Apache-2.0
// Bytes that real Node servers sent, read and written again.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "wire/cluster_codec.hpp"
#include "wire/json.hpp"
#include "wire/msgpack.hpp"
#include "wire/redis_adapter_codec.hpp"

namespace netbuild::socketio {
namespace {

std::string from_hex(std::string_view hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return bytes;
}

Array vectors() {
    std::ifstream file(NETBUILD_WIRE_VECTORS);
    std::stringstream text;
    text << file.rdbuf();
    return *parse_json(text.str()).value().get_if<Array>();
}

std::string text_of(const Value& vector, std::string_view key) {
    const Value* value = vector.get_if<Object>()->find(key);
    return std::string(value ? value->string_or() : std::string_view());
}

TEST(WireVectors, redis_adapter_and_emitter_are_read_and_written_byte_for_byte) {
    int broadcasts = 0, requests = 0, answers = 0;
    for (const Value& vector : vectors()) {
        const std::string op = text_of(vector, "op"), channel = text_of(vector, "channel");
        if (!op.starts_with("redis:") || channel.empty()) continue;
        const std::string bytes = from_hex(text_of(vector, "hex"));
        result<ClusterMessage> message = fail(ErrorCode::internal);
        if (channel.starts_with("socket.io-request")) {
            message = decode_redis_request(bytes);
            ++requests;
        } else if (channel.starts_with("socket.io-response")) {
            message = decode_redis_answer(bytes);
            ++answers;
        } else {
            message = decode_redis_broadcast(bytes);
            ++broadcasts;
        }
        ASSERT_TRUE(message) << op << message.error().message();
        // The emitter's join, leave and disconnect are signed by nobody; ours always are.
        if (message->uid.empty() && channel.starts_with("socket.io-request")) continue;
        EXPECT_EQ(encode_redis_message(*message).value(), bytes) << op;
    }
    EXPECT_GE(broadcasts, 4);
    EXPECT_GE(requests, 5);
    EXPECT_GE(answers, 4);
}

TEST(WireVectors, the_sharded_adapter_is_read_and_written_byte_for_byte) {
    int count = 0;
    for (const Value& vector : vectors()) {
        const std::string op = text_of(vector, "op");
        if (!op.starts_with("sharded:") || text_of(vector, "hex").empty()) continue;
        const std::string bytes = from_hex(text_of(vector, "hex"));
        const auto message = decode_cluster_message(bytes);
        ASSERT_TRUE(message) << op << message.error().message();
        EXPECT_EQ(encode_cluster_message(*message, ClusterForm::json_unless_binary).value(), bytes)
            << op;
        ++count;
    }
    EXPECT_GE(count, 9);
}

TEST(WireVectors, the_streams_adapters_messages_entries_and_sessions_are_read_and_written) {
    int messages = 0, entries = 0, sessions = 0;
    for (const Value& vector : vectors()) {
        const std::string op = text_of(vector, "op");
        if (op == "streams:session") {
            const auto session = decode_session(text_of(vector, "base64"));
            ASSERT_TRUE(session);
            EXPECT_EQ(encode_session(*session), text_of(vector, "base64"));
            ++sessions;
        } else if (op == "streams:entry") {
            StreamFields fields;
            for (const auto& [name, value] :
                 *vector.get_if<Object>()->find("message")->get_if<Object>())
                fields.emplace_back(name, value.string_or());
            const auto message = decode_stream_entry(fields);
            ASSERT_TRUE(message) << message.error().message();
            EXPECT_EQ(encode_stream_entry(*message).value(), fields);
            ++entries;
        } else if (op.starts_with("streams:") && !text_of(vector, "hex").empty()) {
            const std::string bytes = from_hex(text_of(vector, "hex"));
            const auto message = decode_cluster_message(bytes);
            ASSERT_TRUE(message) << op << message.error().message();
            const auto written = encode_cluster_message(*message, ClusterForm::msgpack).value();
            // @msgpack/msgpack writes some numbers in another form: the values are the same.
            EXPECT_EQ(parse_msgpack(written).value(), parse_msgpack(bytes).value()) << op;
            ++messages;
        }
    }
    EXPECT_GE(messages, 5);
    EXPECT_GE(entries, 8);
    EXPECT_EQ(sessions, 1);
}

TEST(ClusterMessages, of_a_wrong_shape_are_refused) {
    for (
        const auto* text :
        {R"({"type":3})", R"({"type":3,"uid":"u","nsp":"/","data":null})",
         R"({"type":99,"uid":"u","nsp":"/"})",
         R"({"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":2,"data":[]},"opts":{"rooms":[]}}})",
         R"({"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":2,"data":["e"]},"opts":{"rooms":[{}]}}})",
         R"({"type":6,"uid":"u","nsp":"/","data":{"opts":{},"close":true}})",
         R"({"type":7,"uid":"u","nsp":"/","data":{"opts":{"rooms":[]}}})", "{", "", "\x93\xa1u"})
        EXPECT_FALSE(decode_cluster_message(text)) << text;
    for (const auto* text : {R"({"type":5,"requestId":"r"})", R"({"type":5,"opts":{"rooms":[]}})",
                             R"({"type":4,"opts":{"except":[]}})", R"({"type":6,"data":{}})", "[]"})
        EXPECT_FALSE(decode_redis_request(text)) << text;
    const std::string deep = R"({"uid":"u","type":6,"data":["e",)" + std::string(20'000, '[') +
                             std::string(20'000, ']') + "]}";
    EXPECT_FALSE(decode_redis_request(deep));
}

TEST(Msgpack, believes_no_length_and_reads_what_notepack_writes) {
    for (const auto& bytes :
         {std::string("\xdd\xff\xff\xff\xff", 5), std::string("\xdf\xff\xff\xff\xff", 5),
          std::string("\xc6\xff\xff\xff\xff", 5), std::string("\xdb\xff\xff\xff\xff\x61", 6),
          std::string("\xc1", 1), std::string("\x92\x01", 2), std::string("\x01\x01", 2),
          std::string("\x82\xa1\x61\x01\xa1\x61\x02", 7)})
        EXPECT_FALSE(parse_msgpack(bytes));
    EXPECT_EQ(parse_msgpack(std::string("\xd4\x00\x00", 3)).value(), Value());
    EXPECT_EQ(parse_msgpack(to_msgpack(Date{1'700'000'000'123})).value(),
              Value(Date{1'700'000'000'123}));
    EXPECT_EQ(parse_msgpack(to_msgpack(Date{-1})).value(), Value(Date{-1}));
    // What is no date of ECMAScript's, of either extension type, and a second of too many parts.
    for (const std::string_view none :
         {std::string_view("\xd7\x00\x01\x00\x00\xb8\xd0\x00\x09\xff", 10),
          std::string_view("\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x07\xdb\xa8\x21\x80\x01", 15),
          std::string_view("\xd7\xff\xff\xff\xff\xff\x00\x00\x00\x01", 10)})
        EXPECT_FALSE(parse_msgpack(none).has_value());
    EXPECT_EQ(to_msgpack(1e300).front(), '\xcb');
    EXPECT_EQ(parse_msgpack(to_msgpack(1e300)).value(), Value(1e300));
    for (const std::int64_t n :
         {0LL, 127LL, 128LL, -32LL, -33LL, -129LL, 65536LL, 4294967296LL, -4294967297LL})
        EXPECT_EQ(parse_msgpack(to_msgpack(Value(n))).value().integer_or(7), n);
    EXPECT_FALSE(parse_msgpack(std::string(200, '\x91') + '\x01'));
    EXPECT_FALSE(parse_msgpack("\x93\x01\x02\x03", {.values_max = 3}));
}

} // namespace
} // namespace netbuild::socketio
