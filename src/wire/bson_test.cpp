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

} // namespace
} // namespace netbuild
