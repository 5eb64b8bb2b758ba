// SPDX-License-Identifier: Apache-2.0
#include "wire/canonical_json.hpp"

#include <bit>
#include <limits>

#include <gtest/gtest.h>

#include "wire/sha256.hpp"

namespace netbuild {
namespace {

std::string number(std::uint64_t bits) { return canonical_json(std::bit_cast<double>(bits)); }

// RFC 8785, appendix B.
TEST(CanonicalJson, numbers_are_those_of_the_rfcs_table) {
    EXPECT_EQ(number(0x0000000000000000), "0");
    EXPECT_EQ(number(0x8000000000000000), "0");
    EXPECT_EQ(number(0x0000000000000001), "5e-324");
    EXPECT_EQ(number(0x8000000000000001), "-5e-324");
    EXPECT_EQ(number(0x7fefffffffffffff), "1.7976931348623157e+308");
    EXPECT_EQ(number(0x4340000000000000), "9007199254740992");
    EXPECT_EQ(number(0xc340000000000000), "-9007199254740992");
    EXPECT_EQ(number(0x4430000000000000), "295147905179352830000");
    EXPECT_EQ(number(0x44b52d02c7e14af5), "9.999999999999997e+22");
    EXPECT_EQ(number(0x44b52d02c7e14af6), "1e+23");
    EXPECT_EQ(number(0x444b1ae4d6e2ef4e), "999999999999999700000");
    EXPECT_EQ(number(0x444b1ae4d6e2ef50), "1e+21");
    EXPECT_EQ(number(0x3eb0c6f7a0b5ed8c), "9.999999999999997e-7");
    EXPECT_EQ(number(0x3eb0c6f7a0b5ed8d), "0.000001");
    EXPECT_EQ(number(0x41b3de4355555553), "333333333.3333332");
    EXPECT_EQ(number(0x41b3de4355555557), "333333333.33333343");
    EXPECT_EQ(number(0xbecbf647612f3696), "-0.0000033333333333333333");
    EXPECT_EQ(number(0x43143ff3c1cb0959), "1424953923781206.2");
}

// RFC 8785, sections 3.2.2 and 3.2.3.
TEST(CanonicalJson, the_rfcs_examples_come_out_as_it_says) {
    const auto first = parse_canonical_json(R"({"numbers": [333333333.33333329, 1E30, 4.50, 2e-3,
        0.000000000000000000000000001], "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]})");
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_EQ(
        canonical_json(*first),
        R"({"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],)"
        "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
    const auto second = parse_canonical_json(R"({"\u20ac": "Euro Sign", "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One", "\ud83d\ude00": "Emoji",
        "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"})");
    ASSERT_TRUE(second) << second.error().message();
    std::string order;
    const std::string text = canonical_json(*second);
    for (const char* word : {"Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"}) {
        const auto at = text.find(word);
        ASSERT_NE(at, std::string::npos) << word;
        EXPECT_TRUE(order.empty() || text.find(order) < at) << word;
        order = word;
    }
}

TEST(CanonicalJson, what_json_has_no_number_for_is_a_wrapped_text) {
    EXPECT_EQ(canonical_json(std::int64_t{9007199254740992}), "9007199254740992");
    EXPECT_EQ(canonical_json(std::int64_t{9007199254740993}),
              R"({"$numberLong":"9007199254740993"})");
    EXPECT_EQ(canonical_json(std::numeric_limits<double>::quiet_NaN()),
              R"({"$numberDouble":"NaN"})");
    EXPECT_EQ(canonical_json(Object{{"b", Date{0}}, {"a", Binary{"\x01"}}}),
              R"({"a":"AQ==","b":"1970-01-01T00:00:00.000Z"})");
}

TEST(CanonicalJson, its_own_text_is_read_back_whatever_the_numbers) {
    for (const double number : {5e-324, 1.7976931348623157e308, 295147905179352830000.0, 1e21,
                                -0.0000033333333333333333, 18446744073709551615.0, 0.1, -1e-7}) {
        const std::string text = canonical_json(Object{{"n", number}});
        const auto read = parse_canonical_json(text);
        ASSERT_TRUE(read) << text << read.error().message();
        EXPECT_EQ(canonical_json(*read), text);
    }
    EXPECT_FALSE(parse_canonical_json("[1,]"));
}

// FIPS 180-4's examples.
TEST(Sha256, digests_are_those_of_the_standard) {
    EXPECT_EQ(sha256_hex("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 parts;
    parts.add("a");
    parts.add("bc");
    EXPECT_EQ(parts.hex(), sha256_hex("abc"));
}

} // namespace
} // namespace netbuild
