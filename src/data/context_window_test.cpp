// SPDX-License-Identifier: Apache-2.0
#include "data/token_estimate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "data/context_window.hpp"
#include "data/time_ordered_id.hpp"

namespace netbuild::data {
namespace {

std::string any_text() {
    return *rc::gen::container<std::string>(rc::gen::oneOf(
        rc::gen::inRange<char>('a', 'z'), rc::gen::just(' '), rc::gen::arbitrary<char>()));
}

TEST(TokenEstimate, frequent_letters_are_half_a_token_and_other_bytes_one) {
    EXPECT_EQ(estimate_tokens(""), 0u);
    EXPECT_EQ(estimate_tokens("e"), 1u);
    EXPECT_EQ(estimate_tokens("the"), 2u);
    EXPECT_EQ(estimate_tokens("the fox"), 5u);
    EXPECT_EQ(estimate_tokens("THE"), 3u);
    EXPECT_EQ(estimate_tokens("2026-01"), 7u);
    EXPECT_EQ(estimate_tokens("\xC3\xBC"), 2u);
}

TEST(TokenEstimate, is_between_half_the_bytes_and_the_bytes_and_adds_up) {
    EXPECT_TRUE(rc::check("never more than bytes", [] {
        const std::string text = any_text();
        RC_ASSERT(estimate_tokens(text) <= text.size());
        RC_ASSERT(2 * estimate_tokens(text) >= text.size());
    }));
    EXPECT_TRUE(rc::check("a <= a + b <= a, b", [] {
        const std::string a = any_text(), b = any_text();
        RC_ASSERT(estimate_tokens(a) <= estimate_tokens(a + b));
        RC_ASSERT(estimate_tokens(a + b) <= estimate_tokens(a) + estimate_tokens(b));
    }));
}

ContextWindow filled(std::size_t budget, const std::vector<std::string>& texts) {
    ContextWindow window(budget);
    for (std::size_t i = 0; i < texts.size(); ++i)
        window.offer({.kind = static_cast<ContextPart::Kind>(i % 5), .text = texts[i]});
    return window;
}

TEST(ContextWindow, is_never_over_budget_and_a_beginning_of_every_larger_one) {
    EXPECT_TRUE(rc::check("budget and monotony", [] {
        std::vector<std::string> texts(*rc::gen::inRange<std::size_t>(0, 20));
        for (std::string& text : texts)
            text = any_text();
        const auto small = *rc::gen::inRange<std::size_t>(0, 200);
        const auto large = small + *rc::gen::inRange<std::size_t>(0, 200);
        const ContextWindow less = filled(small, texts), more = filled(large, texts);
        RC_ASSERT(less.tokens() <= small);
        RC_ASSERT(less.tokens() <= more.tokens());
        std::size_t sum = 0, taken = 0;
        for (const ContextPart& part : less.parts()) {
            sum += part.tokens;
            ++taken;
        }
        RC_ASSERT(sum == less.tokens());
        RC_ASSERT(taken <= more.parts().size());
        // What was taken is a beginning of what was offered.
        std::size_t beginning = 0;
        for (std::size_t i = 0; i < taken; ++i)
            beginning += estimate_tokens(texts[i]) + ContextWindow::part_tokens;
        RC_ASSERT(beginning == less.tokens());
        RC_ASSERT(less.open() == (taken == texts.size()));
    }));
}

TEST(TimeOrderedId, sorts_behind_the_one_before_whatever_the_clock_says) {
    EXPECT_TRUE(rc::check("order", [] {
        Random random(*rc::gen::arbitrary<std::uint64_t>());
        std::string before;
        for (int i = 0; i < 50; ++i) {
            const auto ms = *rc::gen::inRange<std::int64_t>(1'000'000, 1'000'003);
            std::string id = time_ordered_id(ms, random, before);
            RC_ASSERT(id.size() == 36u);
            RC_ASSERT(id[14] == '7' &&
                      (id[19] == '8' || id[19] == '9' || id[19] == 'a' || id[19] == 'b'));
            RC_ASSERT(id > before);
            before = std::move(id);
        }
    }));
    Random random(1);
    std::string id;
    for (int i = 0; i < 10'000; ++i) { // more than the counter holds in one millisecond
        std::string next = time_ordered_id(5, random, id);
        ASSERT_GT(next, id);
        id = std::move(next);
    }
}

} // namespace
} // namespace netbuild::data
