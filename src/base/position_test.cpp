// SPDX-License-Identifier: Apache-2.0
#include "base/position.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace netbuild {
namespace {

TEST(Position, text_form_is_a_redis_stream_id) {
    EXPECT_EQ(to_string(Position{23803720, 12}), "23803720-12");
    EXPECT_EQ(parse_position("23803720-12").value(), (Position{23803720, 12}));
    EXPECT_EQ(parse_position("23803720").value(), (Position{23803720, 0}));
}

TEST(Position, refuses_what_is_not_a_position) {
    for (const auto* text :
         {"", "-", "1-", "-1", "+1-0", " 1-0", "1-0 ", "1--0", "0/16B3748", "now",
          "9223372036854775808-0", "1-4294967296", "99999999999999999999-0"}) {
        EXPECT_FALSE(parse_position(text)) << text;
    }
}

TEST(Position, a_higher_epoch_is_later_whatever_the_lsn) {
    EXPECT_LT(Position::at(0, Lsn{1}), Position::at(0, Lsn{2}));
    EXPECT_LT(Position::at(0, Lsn{Position::lsn_mask}), Position::at(1, Lsn{1}));
    EXPECT_EQ(Position::at(3, Lsn{77}).epoch(), 3u);
    EXPECT_EQ(Position::at(3, Lsn{77}).lsn(), Lsn{77});
}

TEST(Position, text_round_trips) {
    EXPECT_TRUE(rc::check([](std::uint64_t number, std::uint32_t ordinal) {
        const Position position{number >> 1, ordinal};
        RC_ASSERT(parse_position(to_string(position)).value() == position);
    }));
}

TEST(Lsn, text_form_is_postgresqls) {
    EXPECT_EQ(to_string(Lsn{0x16B3748}), "0/16B3748");
    EXPECT_EQ(to_string(Lsn{0x2A00000010}), "2A/10");
    EXPECT_EQ(parse_lsn("2A/10").value(), Lsn{0x2A00000010});
    for (const auto* text : {"", "/", "1", "1/", "/1", "1/1/1", "G/1", "1/100000000"}) {
        EXPECT_FALSE(parse_lsn(text)) << text;
    }
}

TEST(Error, message_has_the_tables_sentence_and_the_particulars) {
    const Error error = Error(ErrorCode::not_found, "execution 'x'").within("GET /v1/executions/x");
    EXPECT_EQ(error.message(), "no such object: GET /v1/executions/x: execution 'x'");
    EXPECT_EQ(http_status_of(error.code()), 404);
    EXPECT_EQ(code_name(error.code()), "not_found");
}

} // namespace
} // namespace netbuild
