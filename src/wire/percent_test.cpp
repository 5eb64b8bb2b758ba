// SPDX-License-Identifier: Apache-2.0
#include "wire/percent.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace netbuild {
namespace {

TEST(Percent, any_bytes_come_back) {
    std::string all;
    for (int c = 0; c < 256; ++c)
        all += static_cast<char>(c);
    EXPECT_EQ(percent_decode(percent_encode(all), true).value(), all);
    EXPECT_EQ(percent_encode("a-Z_0.9~/ä"), "a-Z_0.9~%2F%C3%A4");
}

TEST(Percent, a_bad_escape_is_refused_or_stays) {
    for (const std::string_view bad : {"%", "a%4", "%zz", "%4g"}) {
        EXPECT_FALSE(percent_decode(bad, false).has_value()) << bad;
        EXPECT_EQ(percent_decode_leniently(bad), bad);
    }
    EXPECT_EQ(percent_decode_leniently("%41+%42%"), "A B%");
    EXPECT_EQ(percent_decode("a+b", false).value(), "a+b");
    EXPECT_EQ(percent_decode("a+b", true).value(), "a b");
}

TEST(Percent, a_query_is_its_pairs_in_order) {
    std::string_view query = query_of("/a?x=1&&y&z=a=b&");
    std::vector<std::pair<std::string, std::string>> pairs;
    while (const auto pair = next_query_pair(query))
        pairs.emplace_back(pair->name, pair->value);
    EXPECT_EQ(pairs, (std::vector<std::pair<std::string, std::string>>{
                         {"x", "1"}, {"y", ""}, {"z", "a=b"}}));
    EXPECT_TRUE(query_of("/a").empty());
}

} // namespace
} // namespace netbuild
