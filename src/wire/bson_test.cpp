// SPDX-License-Identifier: Apache-2.0
#include "wire/bson.hpp"

#include <gtest/gtest.h>

namespace netbuild {
namespace {

const Object sample{{"_id", "a"},
                    {"null", nullptr},
                    {"yes", true},
                    {"int", 7},
                    {"long", Value(std::int64_t{1} << 40)},
                    {"double", -0.25},
                    {"date", Date{1'700'000'000'123}},
                    {"bytes", Binary{std::string("\0\xff", 2)}},
                    {"list", Array{1, "two", Object{{"three", 3}}, Array{}}},
                    {"nested", Object{{"empty", Object{}}, {"text", std::string("a\0b", 3)}}}};

TEST(Bson, gives_back_every_type_of_a_document) {
    EXPECT_EQ(decode_bson(encode_bson(sample)).value(), sample);
    EXPECT_EQ(encode_bson({{"a", 1}}), std::string("\x0c\0\0\0\x10"
                                                   "a\0\1\0\0\0\0",
                                                   12));
}

TEST(Bson, a_cut_at_any_byte_is_corrupt_and_says_where) {
    const std::string bytes = encode_bson(sample);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto cut = decode_bson(std::string_view(bytes).substr(0, size));
        ASSERT_FALSE(cut) << size;
        EXPECT_EQ(cut.error().code(), ErrorCode::corrupt);
        EXPECT_NE(cut.error().detail().find("at byte"), std::string::npos);
    }
    EXPECT_FALSE(decode_bson(bytes + "x"));
}

TEST(Bson, a_changed_byte_never_reads_past_the_end) {
    const std::string bytes = encode_bson(sample);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (const char flip : {'\x01', '\x80', '\xff'}) {
            std::string changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ flip);
            const auto read = decode_bson(changed); // ASan is the judge; a failure must be named
            if (!read) {
                EXPECT_TRUE(read.error().code() == ErrorCode::corrupt ||
                            read.error().code() == ErrorCode::unsupported);
            }
        }
    }
}

/// {v: one element of the type}.
std::string element(char type, std::string_view bytes) {
    std::string body = std::string(1, type) + std::string("v\0", 2) + std::string(bytes) + '\0';
    const auto length = static_cast<std::uint32_t>(body.size() + 4);
    std::string document;
    for (int i = 0; i < 4; ++i)
        document.push_back(static_cast<char>(length >> (8 * i)));
    return document + body;
}

TEST(Bson, a_decimal_is_read_as_its_standard_text) {
    const std::pair<const char*, const char*> cases[] = {
        {"1a040000000000000000000000003c30", "10.50"},
        {"010000000000000000000000000040b0", "-1"},
        {"01000000000000000000000000003a30", "0.001"},
        {"01000000000000000000000000004630", "1E+3"},
        {"7b000000000000000000000000002830", "1.23E-10"},
        {"00000000000000000000000000004030", "0"},
        {"0000000000000000000000000000007c", "NaN"},
        {"000000000000000000000000000000f8", "-Infinity"},
        {"ffffffff638e8d37c087adbe09ed4130", "9999999999999999999999999999999999"},
        {"01000000000000000000000000003230", "1E-7"},
        {"7b000000000000000000000000004430", "1.23E+4"},
    };
    for (const auto& [hex, text] : cases) {
        std::string bytes;
        for (std::size_t i = 0; i < 32; i += 2)
            bytes.push_back(static_cast<char>(std::stoi(std::string(hex + i, 2), nullptr, 16)));
        const auto read = decode_bson(element('\x13', bytes));
        ASSERT_TRUE(read) << text;
        EXPECT_EQ(*read->find("v"), Value(text));
    }
}

TEST(Bson, what_only_other_programs_write_makes_no_document_unreadable) {
    EXPECT_EQ(*decode_bson(element('\x0B', std::string_view("^a\0i\0", 5)))->find("v"),
              Value("/^a/i"));
    for (const char nothing : {'\x06', '\x7F', '\xFF'})
        EXPECT_TRUE(decode_bson(element(nothing, ""))->find("v")->is_null());
    EXPECT_FALSE(decode_bson(element('\x0B', "^a")));
    EXPECT_EQ(decode_bson(element('\x0C', "")).error().code(), ErrorCode::unsupported);
}

} // namespace
} // namespace netbuild
