// SPDX-License-Identifier: Apache-2.0
#include "payments/card_numbers.hpp"

#include <gtest/gtest.h>

#include "wire/json.hpp"

namespace netbuild::payments {
namespace {

// The brands' published test numbers.
constexpr std::string_view cards[] = {"4111111111111111", "4222222222222",    "5555555555554444",
                                      "2223003122003222", "378282246310005",  "6011111111111117",
                                      "30569309025904",   "3530111333300000", "6200000000000005"};

TEST(CardNumbers, the_brands_numbers_are_found_alone_and_in_sentences) {
    for (const std::string_view card : cards) {
        EXPECT_TRUE(holds_card_number(card)) << card;
        EXPECT_TRUE(holds_card_number("PAN" + std::string(card) + ", thanks")) << card;
        std::string wrong(card);
        wrong.back() = wrong.back() == '9' ? '0' : static_cast<char>(wrong.back() + 1);
        EXPECT_FALSE(holds_card_number(wrong)) << wrong;
    }
}

TEST(CardNumbers, separators_of_any_kind_do_not_hide_one) {
    for (const char* text :
         {"4111 1111 1111 1111", "4111-1111-1111-1111", "4111.1111.1111.1111",
          "4111 - 1111 - 1111 - 1111", "4111\t1111\n1111/1111",
          "4111\u00a01111\u20111111\u20131111", "4111\u200b1111\u200b1111\u200b1111",
          "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "3782 822463 10005",
          "４１１１１１１１１１１１１１１１", "no. 7: 4111 1111 1111 1111 12/27",
          "2026-11-24 4111 1111 1111 1111"})
        EXPECT_TRUE(holds_card_number(text)) << text;
}

TEST(CardNumbers, other_numbers_are_left_alone) {
    for (const char* text : {"", "4111", "411111111111", "1700000000000", "0000000000000000",
                             "2026-11-24T10:00:00.000Z", "order-1001",
                             "DE89 3704 0044 0532 0130 00", "41111111111111110000000",
                             "b3a1f4de-91c2-11ee-8c90-0242ac120002", "4111 x 1111 x 1111 x 1111"})
        EXPECT_FALSE(holds_card_number(text)) << text;
}

TEST(CardNumbers, the_refusal_names_the_field_and_never_the_number) {
    const auto refused = [](std::string_view json) {
        const auto outcome = refuse_card_numbers(*parse_json(json));
        if (outcome) return std::string("accepted");
        EXPECT_EQ(outcome.error().code(), ErrorCode::invalid_argument);
        EXPECT_EQ(outcome.error().detail().find("4111"), std::string::npos);
        return outcome.error().detail().substr(0, outcome.error().detail().find(':'));
    };
    EXPECT_EQ(refused(R"({"description":"card 4111 1111 1111 1111"})"), "description");
    EXPECT_EQ(refused(R"({"metadata":{"a":[{"b":1},{"pan":"4111-1111-1111-1111"}]}})"),
              "metadata.a[1].pan");
    EXPECT_EQ(refused(R"({"metadata":{"n":4111111111111111}})"), "metadata.n");
    EXPECT_EQ(refused(R"({"metadata":{"n":-4111111111111111}})"), "metadata.n");
    EXPECT_EQ(refused(R"({"metadata":{"n":4.111111111111111e15}})"), "metadata.n");
    EXPECT_EQ(refused(R"({"metadata":{"4111111111111111":1}})"), "metadata");
    EXPECT_EQ(refused(R"({"4111111111111111":1})"), "body");
    EXPECT_EQ(refused(R"({"unknown":"4111111111111111"})"), "unknown");
    EXPECT_EQ(refused(R"(["4111111111111111"])"), "[0]");
    EXPECT_EQ(refused(R"({"amount":999999999999,"metadata":{"n":1700000000000,"x":1.5}})"),
              "accepted");
}

} // namespace
} // namespace netbuild::payments
