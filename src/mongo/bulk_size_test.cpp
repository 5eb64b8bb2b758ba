// SPDX-License-Identifier: Apache-2.0
#include "bulk_size.hpp"

#include <gtest/gtest.h>

namespace netbuild::mongo {
namespace {

TEST(BulkSize, what_is_not_answered_is_halved_until_it_is) {
    BulkSize size;
    std::size_t writes = 1000, tries = 0;
    constexpr std::size_t a_slow_server_answers = 40;
    for (; writes > a_slow_server_answers; ++tries) {
        size.unanswered(writes);
        ASSERT_LT(size.now(), writes);
        writes = std::min<std::size_t>(1000, size.now());
    }
    EXPECT_EQ(tries, 5u); // 500, 250, 125, 62, 31
}

TEST(BulkSize, never_falls_below_the_least) {
    BulkSize size;
    size.unanswered(20);
    size.unanswered(3);
    EXPECT_EQ(size.now(), BulkSize::least);
}

TEST(BulkSize, grows_again_with_full_bulks_that_are_answered) {
    BulkSize size;
    size.unanswered(64);
    ASSERT_EQ(size.now(), 32u);
    size.answered(31); // says nothing of larger ones
    EXPECT_EQ(size.now(), 32u);
    size.answered(32);
    EXPECT_EQ(size.now(), 64u);
    for (int i = 0; i < 20; ++i)
        size.answered(size.now());
    EXPECT_EQ(size.now(), BulkSize::most);
}

TEST(BulkSize, one_that_went_out_before_it_fell_does_not_raise_it) {
    BulkSize size;
    size.unanswered(100);
    size.unanswered(1000); // an older, larger one: 50 is tried already
    EXPECT_EQ(size.now(), 50u);
}

} // namespace
} // namespace netbuild::mongo
