// SPDX-License-Identifier: Apache-2.0
#include "postgres/slot_watch.hpp"

#include <gtest/gtest.h>

namespace netbuild::postgres {
namespace {

TEST(SlotCommand, speaks_the_servers_version_and_asks_for_failover_where_it_is_offered) {
    EXPECT_EQ(create_slot_command("a", false, 140011),
              R"(CREATE_REPLICATION_SLOT "a" LOGICAL pgoutput EXPORT_SNAPSHOT)");
    EXPECT_EQ(create_slot_command("a", true, 140011),
              R"(CREATE_REPLICATION_SLOT "a" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT)");
    EXPECT_EQ(create_slot_command("a", false, 150004),
              R"(CREATE_REPLICATION_SLOT "a" LOGICAL pgoutput (SNAPSHOT 'export'))");
    EXPECT_EQ(
        create_slot_command("a\"b", false, 170000),
        R"(CREATE_REPLICATION_SLOT "a""b" LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER true))");
    EXPECT_EQ(create_slot_command("a", true, 170000),
              R"(CREATE_REPLICATION_SLOT "a" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing'))")
        << "a temporary slot cannot be a failover slot";
}

TEST(SlotBudget, minutes_are_known_only_with_a_limit_and_a_rate) {
    EXPECT_EQ(minutes_left(600, 5.0), 2.0);
    EXPECT_EQ(minutes_left(-1, 5.0), 0.0) << "over the limit already";
    EXPECT_EQ(minutes_left(std::nullopt, 5.0), std::nullopt);
    EXPECT_EQ(minutes_left(600, std::nullopt), std::nullopt);
    EXPECT_EQ(minutes_left(600, 0.0), std::nullopt);
}

TEST(RateWindow, is_the_rate_of_the_last_minute_and_begins_anew_with_the_counter) {
    RateWindow window;
    window.add(std::chrono::seconds(0), 0);
    EXPECT_EQ(window.per_second(), std::nullopt);
    for (int second = 1; second <= 100; ++second)
        window.add(std::chrono::seconds(second), second < 40 ? 1'000'000 : 1'000'000 + second);
    EXPECT_EQ(window.per_second(), 1.0) << "what was more than a minute ago does not count";
    window.add(std::chrono::seconds(101), 5);
    EXPECT_EQ(window.per_second(), std::nullopt);
    window.add(std::chrono::seconds(103), 9);
    EXPECT_EQ(window.per_second(), 2.0);
}

} // namespace
} // namespace netbuild::postgres
