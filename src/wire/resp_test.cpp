// SPDX-License-Identifier: Apache-2.0
#include "wire/resp.hpp"

#include <gtest/gtest.h>

namespace netbuild::resp {
namespace {

using Type = Reply::Type;

/// The only reply in `bytes`, which come one by one.
Reply parse(std::string_view bytes) {
    Parser parser;
    for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
        parser.feed(bytes.substr(i, 1));
        const auto early = parser.next();
        EXPECT_TRUE(early && !*early) << "whole after byte " << i << " of " << bytes;
    }
    parser.feed(bytes.substr(bytes.size() - 1));
    auto reply = parser.next();
    EXPECT_TRUE(reply && *reply) << bytes;
    const auto more = parser.next();
    EXPECT_TRUE(more && !*more);
    return reply && *reply ? std::move(**reply) : Reply{};
}

std::string text_of(const Reply& reply) {
    std::string out(1, "tei-ap"[static_cast<int>(reply.type)]);
    if (reply.type == Type::integer) return out + std::to_string(reply.integer);
    out += reply.text;
    if (reply.type != Type::array && reply.type != Type::push) return out;
    for (const Reply& element : reply.elements)
        out += " " + text_of(element);
    return out + ".";
}

TEST(Resp, every_type_of_both_versions_is_read_in_whatever_pieces_it_comes) {
    EXPECT_EQ(text_of(parse("+OK\r\n")), "tOK");
    EXPECT_EQ(text_of(parse("-ERR no\r\n")), "eERR no");
    EXPECT_EQ(text_of(parse(":-12\r\n")), "i-12");
    EXPECT_EQ(text_of(parse("$5\r\na\r\nbc\r\n")), "ta\r\nbc");
    EXPECT_EQ(text_of(parse("$0\r\n\r\n")), "t");
    EXPECT_EQ(text_of(parse("$-1\r\n")), "-");
    EXPECT_EQ(text_of(parse("*-1\r\n")), "-");
    EXPECT_EQ(text_of(parse("*0\r\n")), "a.");
    EXPECT_EQ(text_of(parse("*2\r\n$1\r\na\r\n*1\r\n:3\r\n")), "a ta a i3..");
    EXPECT_EQ(text_of(parse("_\r\n")), "-");
    EXPECT_EQ(text_of(parse("#t\r\n")), "i1");
    EXPECT_EQ(text_of(parse("#f\r\n")), "i0");
    EXPECT_EQ(text_of(parse(",1.5\r\n")), "t1.5");
    EXPECT_EQ(text_of(parse("(3492890328409238509324850943850943825024385\r\n")),
              "t3492890328409238509324850943850943825024385");
    EXPECT_EQ(text_of(parse("!6\r\nERR no\r\n")), "eERR no");
    EXPECT_EQ(text_of(parse("=7\r\ntxt:abc\r\n")), "tabc");
    EXPECT_EQ(text_of(parse("%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n")), "a ta i1 tb i2.");
    EXPECT_EQ(text_of(parse("~2\r\n+a\r\n+b\r\n")), "a ta tb.");
    EXPECT_EQ(text_of(parse(">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n")), "p tinvalidate a tk..");
    EXPECT_EQ(text_of(parse("|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n")), "tv");
}

TEST(Resp, what_is_no_reply_or_past_a_limit_is_refused) {
    for (const std::string_view bytes :
         {"?1\r\n", ":1x\r\n", "$-2\r\n", "$x\r\n", "$1\r\nab\r\n", "*-2\r\n", "*9999999\r\n",
          "%600000\r\n", "#x\r\n", "=3\r\nabc\r\n", "$99999999999\r\n",
          "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
        Parser parser;
        parser.feed(bytes);
        const auto reply = parser.next();
        ASSERT_FALSE(reply) << bytes;
        EXPECT_EQ(reply.error().code(), ErrorCode::corrupt);
    }
    Parser endless;
    endless.feed(std::string(70 * 1024, '+'));
    EXPECT_FALSE(endless.next());
}

TEST(Resp, replies_that_come_together_are_given_one_by_one) {
    Parser parser;
    parser.feed("+a\r\n>1\r\n+p\r\n+b\r\n$3\r\nab");
    for (const std::string_view expected : {"ta", "p tp.", "tb"}) {
        auto reply = parser.next();
        ASSERT_TRUE(reply && *reply);
        EXPECT_EQ(text_of(**reply), expected);
    }
    auto none = parser.next();
    ASSERT_TRUE(none && !*none);
    parser.feed("c\r\n");
    auto last = parser.next();
    ASSERT_TRUE(last && *last);
    EXPECT_EQ(text_of(**last), "tabc");
}

TEST(Resp, a_large_reply_in_many_pieces_is_looked_at_once) {
    std::string bytes = "*400\r\n";
    for (int i = 0; i < 400; ++i)
        bytes += "*2\r\n:1\r\n$10000\r\n" + std::string(10'000, 'x') + "\r\n";
    Parser parser;
    std::optional<Reply> whole;
    for (std::string_view rest = bytes; !rest.empty();) {
        ASSERT_FALSE(whole);
        parser.feed(rest.substr(0, 100));
        rest.remove_prefix(std::min<std::size_t>(100, rest.size()));
        auto reply = parser.next();
        ASSERT_TRUE(reply);
        whole = std::move(*reply);
    }
    ASSERT_TRUE(whole);
    ASSERT_EQ(whole->elements.size(), 400u);
    EXPECT_EQ(whole->elements[399].elements[1].text.size(), 10'000u);
}

TEST(Resp, a_command_is_an_array_of_its_words) {
    EXPECT_EQ(command({"SET", "a key", ""}), "*3\r\n$3\r\nSET\r\n$5\r\na key\r\n$0\r\n\r\n");
}

// Slots as `CLUSTER KEYSLOT` of Redis 7 gives them.
TEST(Resp, a_key_has_the_slot_that_a_cluster_gives_it) {
    EXPECT_EQ(slot_of("123456789"), 12739);
    EXPECT_EQ(slot_of("foo"), 12182);
    EXPECT_EQ(slot_of("{foo}.bar"), 12182);
    EXPECT_EQ(slot_of("{}foo"), slot_of("{}foo"));
    EXPECT_NE(slot_of("{}foo"), slot_of("foo"));
    EXPECT_EQ(slot_of("a{foo}{bar}"), 12182);
    EXPECT_EQ(slot_of(""), 0);
}

} // namespace
} // namespace netbuild::resp
