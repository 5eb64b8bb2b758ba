// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <gtest/gtest.h>

#include "limits/denied_keys.hpp"
#include "limits/policy_text.hpp"
#include "limits/rate_gate.hpp"
#include "support/still_clock.hpp"

namespace netbuild::limits {
namespace {

using namespace std::chrono_literals;

TEST(RateKey, different_parts_never_give_the_same_text_and_all_of_it_is_short_and_plain) {
    const std::string long_text(5000, 'x');
    const std::vector<std::vector<std::string_view>> all{{"a", "b"},
                                                         {"a:b"},
                                                         {"a", "b", ""},
                                                         {"", "a", "b"},
                                                         {"a%3Ab"},
                                                         {"{a}", "b"},
                                                         {"a\r\nDEL x"},
                                                         {"~a"},
                                                         {long_text},
                                                         {std::string_view(long_text).substr(1)},
                                                         {""}};
    std::set<std::string> keys;
    for (const auto& parts : all) {
        const std::string key = rate_key(parts);
        EXPECT_TRUE(keys.insert(key).second) << key;
        EXPECT_LE(key.size(), parts.size() * (rate_key_part_max + 1));
        EXPECT_EQ(key.find_first_of("{}\r\n *"), std::string::npos) << key;
    }
}

TEST(RateKey, keys_with_the_same_first_part_have_one_hash_tag) {
    const auto policy =
        RatePolicy::make({.name = "api", .limit = 1, .period = std::chrono::seconds(1)}).value();
    EXPECT_EQ(rate_state_name("p:", *policy, "a:b"), "p:api.m:{a}:b");
    EXPECT_EQ(rate_state_name("p:", *policy, "a"), "p:api.m:{a}");
    EXPECT_EQ(rate_state_name("p:", *policy, ""), "p:api.m:{*}");
}

TEST(PolicyText, policies_have_a_line_or_a_semicolon_each) {
    const auto policies = parse_policies("\n  api 600/1m by=user,route on=/v1 burst=50;"
                                         "sign-in 20/m by=ip on=POST:/v1/auth/login closed\n"
                                         "uploads 3/2h window cost=2 ;");
    ASSERT_TRUE(policies) << policies.error().message();
    ASSERT_EQ(policies->size(), 3u);
    const RatePolicySettings& api = (*policies)[0].policy->settings();
    EXPECT_EQ(api.name, "api");
    EXPECT_EQ(api.limit, 600);
    EXPECT_EQ(api.period, 1min);
    EXPECT_EQ(api.burst, 50);
    EXPECT_TRUE(api.fail_open);
    EXPECT_EQ(api.key, (std::vector{RateKeyPart::user, RateKeyPart::route}));
    EXPECT_EQ((*policies)[0].on, (std::vector<std::string>{"/v1"}));
    EXPECT_FALSE((*policies)[1].policy->settings().fail_open);
    EXPECT_EQ((*policies)[2].policy->settings().algorithm, RateAlgorithm::sliding_window);
    EXPECT_EQ((*policies)[2].policy->settings().cost, 2);
    EXPECT_TRUE((*policies)[2].on.empty());
}

TEST(PolicyText, a_mistake_is_named_with_its_policy) {
    const auto message = [](std::string_view text) {
        const auto policies = parse_policies(text);
        EXPECT_FALSE(policies) << text;
        if (policies) return std::string();
        EXPECT_EQ(policies.error().code(), ErrorCode::invalid_configuration);
        return policies.error().detail();
    };
    EXPECT_EQ(message("api"), "policy api: LIMIT/PERIOD is missing");
    EXPECT_EQ(message("api ten/1s"), "policy api: \"ten\" is no whole number");
    EXPECT_EQ(message("api 10/1w"), "policy api: \"1w\" is no period such as 10s, 5m, h");
    EXPECT_EQ(message("api 10/1s by=name"),
              "policy api: by=name: must be of user, domain, ip, route");
    EXPECT_EQ(message("api 10/1s fast"),
              "policy api: \"fast\" is none of burst=, cost=, by=, on=, window, closed");
    EXPECT_EQ(message("api 10/1s on=login"), "policy api: on=login: must be PATH or METHOD:PATH");
    EXPECT_EQ(message("api 10/1s; api 5/1s"), "policy api: is there twice");
    EXPECT_EQ(message("a.b 10/1s"),
              "policy a.b: name: must be 1 to 40 of letters, digits, - and _");
    EXPECT_EQ(message("api 20000/1s"),
              "policy api: limit: more than 10000 a second need the sliding window");
    EXPECT_EQ(message("api 0/1s"), "policy api: limit: must be 1 to 1000000");
    EXPECT_EQ(message("api 5/1s cost=6"), "policy api: cost: must be 1 to 5");
    EXPECT_EQ(message("api 5/1s window burst=6"), "policy api: burst: a sliding window has none");
    std::string many;
    for (int i = 0; i < 17; ++i)
        many += "p" + std::to_string(i) + " 1/1s on=/v1;";
    EXPECT_EQ(message(many), "policy p16: is one more with on= than 16");
    EXPECT_EQ(message("api 5/32d"), "policy api: period: must be 1 ms to 31 days");
    EXPECT_EQ(message("api 1/31d burst=2"), "policy api: burst: must come back within 31 days");
}

TEST(DeniedKeys, a_key_is_found_until_it_is_forgotten_and_others_are_not) {
    DeniedKeys keys(1000, Random(1));
    std::vector<std::string> names;
    for (const std::size_t size : {0u, 1u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 32u, 33u, 100u}) {
        names.emplace_back(size, 'a');
        if (size > 0) names.push_back(std::string(size - 1, 'a') + 'b');
        if (size > 1) names.push_back('b' + std::string(size - 1, 'a'));
    }
    for (std::size_t i = 0; i < names.size(); ++i)
        keys.deny(1, names[i], std::chrono::seconds(i + 1));
    for (std::size_t i = 0; i < names.size(); ++i) {
        EXPECT_EQ(keys.until(1, names[i]), std::chrono::seconds(i + 1)) << names[i];
        EXPECT_EQ(keys.until(2, names[i]), 0s);
        EXPECT_EQ(keys.until(1, names[i] + "x"), 0s);
    }
    keys.forget(1, names[3]);
    EXPECT_EQ(keys.until(1, names[3]), 0s);
    EXPECT_EQ(keys.until(1, names[4]), 5s);
}

TEST(DeniedKeys, of_more_keys_than_there_is_room_those_that_end_last_stay) {
    DeniedKeys keys(64, Random(1));
    for (int i = 0; i < 10'000; ++i)
        keys.deny(1, std::to_string(i), std::chrono::seconds(i + 1));
    int found = 0, newest = 0;
    for (int i = 0; i < 10'000; ++i) {
        const bool there = keys.until(1, std::to_string(i)) > 0s;
        found += there ? 1 : 0;
        newest += there && i >= 9000 ? 1 : 0;
    }
    EXPECT_EQ(found, 64);
    EXPECT_EQ(newest, 64);
}

/// Answers what it is told to.
class Told final : public RateLimiter {
public:
    void act(RateAction action, std::vector<RateCharge> charges, OnDecision on_decision) override {
        ++asked;
        if (trouble) return on_decision(*trouble);
        std::vector<RateState> states;
        for (const RateCharge& charge : charges)
            states.push_back({.used = used * charge.policy->terms().interval});
        bool admits = true;
        for (std::size_t i = 0; i < charges.size(); ++i)
            admits = admits && rate_admits(charges[i].policy->terms(), states[i], charges[i].cost);
        on_decision(rate_decision(action, charges, states, admits && action == RateAction::check));
    }
    awaitable<result<void>> block(RatePolicyPtr, std::string, std::chrono::milliseconds) override {
        co_return result<void>{};
    }
    awaitable<result<void>> unblock(RatePolicyPtr, std::string) override {
        co_return result<void>{};
    }
    int asked = 0;
    std::int64_t used = 0;
    std::optional<Error> trouble;
};

class Gate : public testing::Test {
protected:
    Outcome check(const RatePolicyPtr& policy, std::int64_t cost = 1) {
        std::optional<result<Outcome>> outcome;
        gate.act(RateAction::check, {{policy, "key", cost}},
                 [&](result<Outcome> given) { outcome.emplace(std::move(given)); });
        return std::move(*outcome).value();
    }
    static RatePolicyPtr policy(std::string name, bool fail_open) {
        return RatePolicy::make(
                   {.name = std::move(name), .limit = 10, .period = 10s, .fail_open = fail_open})
            .value();
    }
    test::StillClock clock;
    Told told;
    RateGate gate{told, clock, Random(1), {}};
    RatePolicyPtr open = policy("open", true), closed = policy("closed", false);
};

TEST_F(Gate, a_key_that_was_denied_is_denied_here_until_it_would_be_let_in) {
    gate.count("open");
    told.used = 10;
    EXPECT_EQ(check(open).source, Source::store);
    EXPECT_EQ(gate.denied_for(*open, "key"), 1s);
    const Outcome here = check(open);
    EXPECT_EQ(here.source, Source::local);
    EXPECT_FALSE(here.decision.allowed);
    EXPECT_EQ(here.decision.retry_after(), 1s);
    EXPECT_EQ(told.asked, 1);
    EXPECT_EQ(gate.denied_for(*open, "another"), 0s);
    clock.now += 1s;
    told.used = 9;
    EXPECT_TRUE(check(open).decision.allowed);
    EXPECT_EQ(told.asked, 2);
    const auto& counters = gate.counters().find("open")->second;
    EXPECT_EQ(counters.allowed, 1u);
    EXPECT_EQ(counters.denied, 1u);
    EXPECT_EQ(counters.denied_locally, 1u);
}

TEST_F(Gate, whoever_asks_for_less_than_was_denied_is_not_denied_here) {
    told.used = 8;
    EXPECT_FALSE(check(open, 5).decision.allowed);
    EXPECT_EQ(gate.denied_for(*open, "key"), 0s);
    told.used = 10;
    EXPECT_FALSE(check(open, 5).decision.allowed);
    EXPECT_EQ(gate.denied_for(*open, "key"), 1s); // for the first one, not for all five
}

TEST_F(Gate, what_another_node_may_have_taken_back_is_asked_again_soon) {
    told.used = 1000;
    EXPECT_GT(check(open).decision.retry_after(), 10min);
    EXPECT_EQ(gate.denied_for(*open, "key"), 10s);
}

TEST_F(Gate, while_the_store_is_away_policies_fail_open_or_closed) {
    for (const ErrorCode code : {ErrorCode::unavailable, ErrorCode::outcome_unknown,
                                 ErrorCode::out_of_memory, ErrorCode::unsupported}) {
        told.trouble = Error(code, "away");
        const Outcome lets_in = check(open);
        EXPECT_TRUE(lets_in.decision.allowed);
        EXPECT_EQ(lets_in.source, Source::failed_open);
        EXPECT_TRUE(lets_in.trouble);
        const Outcome denies = check(closed);
        EXPECT_FALSE(denies.decision.allowed);
        EXPECT_EQ(denies.source, Source::failed_closed);
        EXPECT_GT(denies.decision.retry_after(), 0s);
        EXPECT_EQ(gate.denied_for(*closed, "key"), 0s);
    }
    told.trouble.reset();
    EXPECT_TRUE(check(closed).decision.allowed);
    EXPECT_EQ(gate.counters().find("other")->second.failed_open, 4u);
    EXPECT_EQ(gate.counters().find("other")->second.failed_closed, 4u);
}

} // namespace
} // namespace netbuild::limits
