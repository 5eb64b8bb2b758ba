// SPDX-License-Identifier: Apache-2.0
#include "wire/json.hpp"

#include <gtest/gtest.h>

namespace netbuild {
namespace {

TEST(Json, keeps_integers_exact_and_types_apart) {
    const Value value =
        parse_json(R"({"a":[1,2.0,9007199254740993,"x",true,null],"b":{}})").value();
    EXPECT_EQ(to_json(value), R"({"a":[1,2.0,9007199254740993,"x",true,null],"b":{}})");
    EXPECT_TRUE(value.at_path("a")->get_if<Array>()->at(0).is<std::int32_t>());
    EXPECT_TRUE(value.at_path("a")->get_if<Array>()->at(1).is<double>());
    EXPECT_TRUE(value.at_path("a")->get_if<Array>()->at(2).is<std::int64_t>());
}

TEST(Json, refuses_what_a_document_cannot_hold_exactly) {
    for (const auto* text :
         {R"({"a":1,"a":2})", "18446744073709551615", "123456789012345678901234567890", "1e400",
          "0.1234567890123456789", R"({"a\u0000b":1})", "", "{", "[1,]", "1 2", "nul"}) {
        EXPECT_FALSE(parse_json(text)) << text;
    }
    EXPECT_TRUE(parse_json(std::string(100, '[') + std::string(100, ']')));
    EXPECT_FALSE(parse_json(std::string(102, '[') + std::string(102, ']')));
}

TEST(Json, canonical_text_is_equal_for_equal_documents) {
    const Object one{{"b", 1}, {"a", Value(std::int64_t{2})}, {"c", Date{5}}};
    const Object two{{"c", Date{5}}, {"a", Value(std::int64_t{2})}, {"b", 1}};
    EXPECT_EQ(one, two);
    EXPECT_EQ(to_json(one, JsonStyle::canonical), to_json(two, JsonStyle::canonical));
    EXPECT_EQ(
        to_json(one, JsonStyle::canonical),
        R"({"a":{"$numberLong":"2"},"b":{"$numberInt":"1"},"c":{"$date":{"$numberLong":"5"}}})");
}

TEST(Json, dates_have_camundas_form_and_our_own) {
    const Date date = parse_date("2026-01-02T03:04:05.678+0000").value();
    EXPECT_EQ(format_utc(date), "2026-01-02T03:04:05.678Z");
    EXPECT_EQ(format_camunda(date), "2026-01-02T03:04:05.678+0000");
    EXPECT_EQ(parse_date("2026-01-02T04:04:05.678+01:00").value(), date);
    EXPECT_EQ(parse_date("1969-12-31T23:59:59Z").value(), Date{-1000});
    for (const auto* text :
         {"2026-13-02T03:04:05Z", "2026-02-30T03:04:05Z", "2026-01-02", "x", "2026-01-02T03:04:05",
          "2026-01-02T03:04:05.Z", "-026-01-02T03:04:05Z"}) {
        EXPECT_FALSE(parse_date(text)) << text;
    }
}

} // namespace
} // namespace netbuild
