// SPDX-License-Identifier: Apache-2.0
#include "telemetry/progress_bar.hpp"

#include <gtest/gtest.h>

namespace netbuild {
namespace {

TEST(ProgressBar, says_how_far_how_fast_and_how_long_still) {
    EXPECT_EQ(ProgressBar::text("loading", "process instances", 4500, 10000, 150),
              "loading: 4,500 of about 10,000 process instances (45 %), 150 a second, 37 s left");
    EXPECT_EQ(
        ProgressBar::text("loading", "process instances", 1, 1'000'000, 100),
        "loading: 1 of about 1,000,000 process instances (0 %), 100 a second, 2 h 46 min left");
}

TEST(ProgressBar, promises_nothing_that_it_does_not_know) {
    EXPECT_EQ(ProgressBar::text("verify", "documents", 12, 0, 0), "verify: 12 documents");
    // An estimate that was too small.
    EXPECT_EQ(ProgressBar::text("verify", "documents", 12, 10, 3),
              "verify: 12 of about 12 documents (100 %), 3 a second");
}

} // namespace
} // namespace netbuild
