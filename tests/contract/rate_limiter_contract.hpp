// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ports/rate_limiter.hpp"
#include "support/run.hpp"
#include "support/servers.hpp"

namespace netbuild::test {

using namespace std::chrono_literals;

/// What a RateLimiter does, whichever it is. `Fixture` has limiter() and pass(time).
template <class Fixture>
class RateLimiterContract : public testing::Test {
protected:
    /// One of each form of state.
    enum class Kind { milliseconds, microseconds, window };
    static constexpr std::array kinds{Kind::milliseconds, Kind::microseconds, Kind::window};

    /// A limit of 7 has no whole milliseconds between two requests of a second or an hour.
    RatePolicyPtr policy(Kind kind, std::int64_t limit, std::chrono::milliseconds period,
                         std::int64_t burst = 0) {
        RatePolicySettings settings;
        settings.name = unique_name("rate");
        settings.algorithm =
            kind == Kind::window ? RateAlgorithm::sliding_window : RateAlgorithm::gcra;
        settings.limit = limit;
        settings.period = period;
        settings.burst = kind == Kind::window ? 0 : burst;
        auto made = RatePolicy::make(settings).value();
        const RateForm wanted = kind == Kind::window         ? RateForm::window
                                : kind == Kind::milliseconds ? RateForm::milliseconds
                                                             : RateForm::microseconds;
        EXPECT_EQ(made->terms().form, wanted);
        return made;
    }
    /// `count` in about an hour, so that no time that a test takes shows.
    RatePolicyPtr hourly(Kind kind, std::int64_t count) {
        return policy(kind, count, kind == Kind::microseconds ? 3'600'001ms : count * 1'200'000ms);
    }
    result<RateDecision> tried(RateAction action, std::vector<RateCharge> charges) {
        return run(context, limiter().act(action, std::move(charges)));
    }
    RateDecision act(RateAction action, std::vector<RateCharge> charges) {
        return must(context, limiter().act(action, std::move(charges)));
    }
    RateDecision check(const RatePolicyPtr& policy, std::int64_t cost = 1,
                       const std::string& key = "key") {
        return act(RateAction::check, {{policy, key, cost}});
    }
    std::int64_t remaining(const RatePolicyPtr& policy, const std::string& key = "key") {
        return act(RateAction::peek, {{policy, key}}).limits.at(0).remaining;
    }
    /// Until it is denied.
    RateDecision use_up(const RatePolicyPtr& policy) {
        for (int i = 0; i < 10'000; ++i) {
            if (auto decision = check(policy); !decision.allowed) return decision;
        }
        ADD_FAILURE() << "is never denied";
        return {};
    }
    RateLimiter& limiter() { return fixture.limiter(); }

    asio::io_context context;
    Fixture fixture{context};
};

TYPED_TEST_SUITE_P(RateLimiterContract);

TYPED_TEST_P(RateLimiterContract, what_is_over_the_limit_is_denied_and_told_when_it_is_not) {
    for (const auto kind : this->kinds) {
        const auto policy = this->hourly(kind, 3);
        for (std::int64_t left = 2; left >= 0; --left) {
            const auto decision = this->check(policy);
            EXPECT_TRUE(decision.allowed);
            EXPECT_EQ(decision.limits.at(0).remaining, left);
            EXPECT_GT(decision.limits.at(0).reset, 0s);
            EXPECT_EQ(decision.retry_after(), 0s);
        }
        const auto denied = this->check(policy);
        EXPECT_FALSE(denied.allowed);
        EXPECT_EQ(denied.denied_by, 0u);
        EXPECT_EQ(denied.limits.at(0).remaining, 0);
        EXPECT_GT(denied.retry_after(), 0s);
        EXPECT_LE(denied.retry_after(), 2h);
        EXPECT_GE(denied.limits.at(0).reset, denied.retry_after());
        EXPECT_EQ(this->remaining(policy, "another"), 3);
    }
}

TYPED_TEST_P(RateLimiterContract, when_it_says_it_is_let_in) {
    for (const auto kind : this->kinds) {
        const auto policy = this->policy(kind, kind == this->kinds[1] ? 7 : 5, 500ms);
        for (int round = 0; round < 2; ++round) {
            const auto denied = this->use_up(policy);
            ASSERT_GT(denied.retry_after(), 0s);
            ASSERT_LE(denied.retry_after(), 1s);
            this->fixture.pass(denied.retry_after());
            EXPECT_TRUE(this->check(policy).allowed);
        }
        const auto reset = this->use_up(policy).limits.at(0).reset;
        this->fixture.pass(reset);
        EXPECT_EQ(this->remaining(policy), policy->settings().limit);
    }
}

TYPED_TEST_P(RateLimiterContract, a_burst_is_how_many_come_at_once) {
    for (const auto kind : {this->kinds[0], this->kinds[1]}) {
        const auto policy = this->policy(kind, kind == this->kinds[1] ? 7 : 10, 3'600'000ms, 2);
        EXPECT_TRUE(this->check(policy).allowed);
        EXPECT_TRUE(this->check(policy).allowed);
        EXPECT_FALSE(this->check(policy).allowed);
    }
}

TYPED_TEST_P(RateLimiterContract, a_request_may_cost_more_than_one) {
    for (const auto kind : this->kinds) {
        const auto policy = this->hourly(kind, 5);
        EXPECT_EQ(this->check(policy, 3).limits.at(0).remaining, 2);
        EXPECT_FALSE(this->check(policy, 3).allowed);
        EXPECT_EQ(this->check(policy, 2).limits.at(0).remaining, 0);
        for (const std::int64_t cost : {0, 6, -1}) {
            const auto refused = this->tried(RateAction::check, {{policy, "key", cost}});
            ASSERT_FALSE(refused);
            EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
        }
    }
}

TYPED_TEST_P(RateLimiterContract, several_policies_are_charged_all_or_none) {
    // Keys of one subject, and of several: of a Redis Cluster these lie on different servers.
    for (const bool one_subject : {true, false}) {
        for (const auto kind : this->kinds) {
            const auto narrow = this->hourly(kind, 2);
            std::vector<RateCharge> charges{
                {this->hourly(this->kinds[0], 5), "a:x"},
                {this->hourly(this->kinds[1], 5), one_subject ? "a" : "b"},
                {narrow, one_subject ? "a:y" : "c", 2},
                {this->hourly(this->kinds[2], 5), one_subject ? "a" : "d"}};
            const auto first = this->act(RateAction::check, charges);
            EXPECT_TRUE(first.allowed);
            ASSERT_EQ(first.limits.size(), 4u);
            EXPECT_EQ(first.limits[0].remaining, 4);
            EXPECT_EQ(first.limits[2].remaining, 0);
            const auto second = this->act(RateAction::check, charges);
            EXPECT_FALSE(second.allowed);
            EXPECT_EQ(second.denied_by, 2u);
            EXPECT_GT(second.retry_after(), 0s);
            for (const std::size_t i : {0u, 1u, 3u}) {
                EXPECT_EQ(second.limits[i].remaining, 4) << i;
                EXPECT_EQ(this->remaining(charges[i].policy, charges[i].key), 4) << i;
            }
        }
    }
}

TYPED_TEST_P(RateLimiterContract, a_check_of_nothing_of_too_much_or_of_one_key_twice_is_refused) {
    const auto policy = this->hourly(this->kinds[0], 5);
    std::vector<RateCharge> many;
    for (std::size_t i = 0; i <= RateLimiter::charges_max; ++i)
        many.push_back({policy, "key" + std::to_string(i)});
    for (const auto& charges :
         {std::vector<RateCharge>{}, many, std::vector<RateCharge>{{policy, "a"}, {policy, "a"}}}) {
        const auto refused = this->tried(RateAction::check, charges);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
    }
    EXPECT_EQ(this->remaining(policy, "a"), 5);
}

TYPED_TEST_P(RateLimiterContract, a_peek_says_what_a_check_would_and_charges_nothing) {
    for (const auto kind : this->kinds) {
        const auto policy = this->hourly(kind, 2);
        EXPECT_EQ(this->remaining(policy), 2);
        EXPECT_EQ(this->remaining(policy), 2);
        this->check(policy, 2);
        const auto peeked = this->act(RateAction::peek, {{policy, "key"}});
        EXPECT_FALSE(peeked.allowed);
        EXPECT_GT(peeked.retry_after(), 0s);
    }
}

TYPED_TEST_P(RateLimiterContract, a_penalty_is_charged_whatever_is_left) {
    for (const auto kind : this->kinds) {
        const auto policy = this->hourly(kind, 4);
        EXPECT_EQ(this->act(RateAction::penalize, {{policy, "key", 3}}).limits.at(0).remaining, 1);
        const auto over = this->act(RateAction::penalize, {{policy, "key", 1'000'000}});
        EXPECT_FALSE(over.allowed);
        EXPECT_GT(over.retry_after(), 1h);
        EXPECT_FALSE(this->check(policy).allowed);
        must(this->context, this->limiter().unblock(policy, "key"));
        EXPECT_EQ(this->remaining(policy), 4);
    }
}

TYPED_TEST_P(RateLimiterContract, a_block_denies_until_it_ends_or_is_taken_away) {
    for (const auto kind : this->kinds) {
        // So that what a GCRA key needs after the block is there soon.
        const auto policy = this->policy(kind, kind == this->kinds[1] ? 7 : 5, 500ms);
        must(this->context, this->limiter().block(policy, "key", 1h));
        const auto denied = this->check(policy);
        EXPECT_FALSE(denied.allowed);
        EXPECT_GT(denied.retry_after(), 59min);
        EXPECT_LE(denied.retry_after(), 1h);
        EXPECT_EQ(denied.limits.at(0).remaining, 0);
        EXPECT_TRUE(this->check(policy, 1, "another").allowed);
        must(this->context, this->limiter().unblock(policy, "key"));
        EXPECT_TRUE(this->check(policy).allowed);

        must(this->context, this->limiter().block(policy, "key", 200ms));
        const auto again = this->check(policy);
        ASSERT_FALSE(again.allowed);
        EXPECT_LE(again.retry_after(), 200ms);
        this->fixture.pass(again.retry_after());
        EXPECT_TRUE(this->check(policy).allowed);
    }
}

TYPED_TEST_P(RateLimiterContract, of_many_at_once_just_the_limit_is_let_in) {
    for (const auto kind : this->kinds) {
        const auto policy = this->hourly(kind, 50);
        int allowed = 0, answers = 0;
        for (int i = 0; i < 300; ++i) {
            this->limiter().act(RateAction::check, {{policy, "key"}},
                                [&](result<RateDecision> decision) {
                                    ++answers;
                                    allowed += decision.value().allowed ? 1 : 0;
                                });
        }
        while (answers < 300)
            this->context.run_one_for(10ms);
        EXPECT_EQ(allowed, 50);
    }
}

REGISTER_TYPED_TEST_SUITE_P(
    RateLimiterContract, what_is_over_the_limit_is_denied_and_told_when_it_is_not,
    when_it_says_it_is_let_in, a_burst_is_how_many_come_at_once, a_request_may_cost_more_than_one,
    several_policies_are_charged_all_or_none,
    a_check_of_nothing_of_too_much_or_of_one_key_twice_is_refused,
    a_peek_says_what_a_check_would_and_charges_nothing, a_penalty_is_charged_whatever_is_left,
    a_block_denies_until_it_ends_or_is_taken_away, of_many_at_once_just_the_limit_is_let_in);

} // namespace netbuild::test
