// SPDX-License-Identifier: Apache-2.0
#include "payments/payment_states.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "data/payment_records.hpp"
#include "payments/currencies.hpp"

namespace netbuild::payments {
namespace {

constexpr Status statuses[] = {Status::created,  Status::authorized,         Status::captured,
                               Status::refunded, Status::partially_refunded, Status::failed,
                               Status::cancelled};
constexpr Action actions[] = {Action::create, Action::authorize, Action::capture,
                              Action::refund, Action::fail,      Action::cancel};

/// A payment of 1000 that has come to the status.
State state_at(Status status) {
    State state{status, {.amount = 1000}};
    if (status != Status::created && status != Status::failed && status != Status::cancelled)
        state.balances.authorized = 1000;
    if (status == Status::captured || status == Status::partially_refunded ||
        status == Status::refunded)
        state.balances.captured = 800;
    if (status == Status::partially_refunded) state.balances.refunded = 300;
    if (status == Status::refunded) state.balances.refunded = 800;
    return state;
}

TEST(PaymentStates, only_what_the_table_names_can_happen) {
    for (const Status from : statuses) {
        for (const Action action : actions) {
            const auto step = plan(state_at(from), action, std::nullopt);
            const bool named =
                std::any_of(transitions().begin(), transitions().end(), [&](const Transition& one) {
                    return one.action == action && one.from == from;
                });
            const auto where =
                std::string(action_name(action)) + " from " + std::string(status_name(from));
            EXPECT_EQ(step.has_value(), named) << where;
            if (!step) {
                EXPECT_EQ(step.error().code(), ErrorCode::conflict) << where;
                for (const Status to : statuses) {
                    for (const std::int64_t amount : {0, 1, 500, 800, 1000})
                        EXPECT_FALSE(after(state_at(from), action, amount, to)) << where;
                }
                continue;
            }
            EXPECT_TRUE(after(state_at(from), action, step->amount, step->to)) << where;
        }
    }
    EXPECT_FALSE(plan({}, Action::capture, std::nullopt));
}

TEST(PaymentStates, amounts_are_bound_by_the_tables_conditions) {
    const auto step = [](Status from, Action action, std::optional<std::int64_t> amount) {
        const auto planned = plan(state_at(from), action, amount);
        if (!planned) {
            EXPECT_EQ(planned.error().code(), ErrorCode::invalid_argument);
            EXPECT_TRUE(planned.error().detail().starts_with("amount: "));
            return std::string("refused");
        }
        return std::string(status_name(planned->to)) + " " + std::to_string(planned->amount);
    };
    using S = Status;
    EXPECT_EQ(step(S::authorized, Action::capture, std::nullopt), "captured 1000");
    EXPECT_EQ(step(S::authorized, Action::capture, 1), "captured 1");
    EXPECT_EQ(step(S::authorized, Action::capture, 1001), "refused");
    EXPECT_EQ(step(S::authorized, Action::capture, 0), "refused");
    EXPECT_EQ(step(S::captured, Action::refund, std::nullopt), "refunded 800");
    EXPECT_EQ(step(S::captured, Action::refund, 799), "partially_refunded 799");
    EXPECT_EQ(step(S::captured, Action::refund, 800), "refunded 800");
    EXPECT_EQ(step(S::captured, Action::refund, 801), "refused");
    EXPECT_EQ(step(S::captured, Action::refund, -1), "refused");
    EXPECT_EQ(step(S::partially_refunded, Action::refund, 500), "refunded 500");
    EXPECT_EQ(step(S::partially_refunded, Action::refund, 499), "partially_refunded 499");
    EXPECT_EQ(step(S::partially_refunded, Action::refund, 501), "refused");
    EXPECT_EQ(step(S::authorized, Action::cancel, std::nullopt), "cancelled 0");
}

TEST(PaymentStates, whatever_is_done_money_is_neither_made_nor_lost) {
    rc::check("0 ≤ refunded ≤ captured ≤ authorized ≤ amount", [] {
        State state;
        const auto amount = *rc::gen::inRange<std::int64_t>(1, amount_max + 1);
        state = *after(state, Action::create, amount, Status::created);
        const auto steps = *rc::gen::inRange(0, 12);
        for (int i = 0; i < steps; ++i) {
            const Action action =
                *rc::gen::elementOf(std::vector<Action>(std::begin(actions), std::end(actions)));
            const auto wish = *rc::gen::maybe(rc::gen::inRange<std::int64_t>(-1, amount + 2));
            const auto step = plan(state, action, wish ? std::optional(*wish) : std::nullopt);
            if (!step) continue;
            const auto next = after(state, action, step->amount, step->to);
            RC_ASSERT(next.has_value());
            state = *next;
            const Balances& balances = state.balances;
            RC_ASSERT(0 <= balances.refunded && balances.refunded <= balances.captured);
            RC_ASSERT(balances.captured <= balances.authorized);
            RC_ASSERT(balances.authorized <= balances.amount && balances.amount == amount);
            RC_ASSERT((state.status == Status::refunded) ==
                      (balances.captured > 0 && balances.refunded == balances.captured));
            RC_ASSERT((state.status == Status::partially_refunded) ==
                      (balances.refunded > 0 && balances.refunded < balances.captured));
        }
    });
}

TEST(PaymentStates, the_store_knows_the_same_names) {
    std::string all;
    for (std::size_t i = 0; i < std::size(statuses); ++i)
        all += (i ? "|" : "") + std::string(status_name(static_cast<Status>(i)));
    EXPECT_EQ(all, data::payment_statuses);
    for (const Action action : actions)
        EXPECT_EQ(parse_action(action_name(action)), action);
    EXPECT_FALSE(parse_status("open"));
}

TEST(Currencies, exponents_are_those_of_iso_4217) {
    EXPECT_EQ(currency_exponent("EUR"), 2);
    EXPECT_EQ(currency_exponent("AED"), 2); // the first and the last of a list
    EXPECT_EQ(currency_exponent("ZWG"), 2);
    EXPECT_EQ(currency_exponent("JPY"), 0);
    EXPECT_EQ(currency_exponent("ISK"), 0);
    EXPECT_EQ(currency_exponent("KWD"), 3);
    EXPECT_EQ(currency_exponent("TND"), 3);
    EXPECT_EQ(currency_exponent("CLF"), 4);
    for (const char* none :
         {"", "eur", "EU", "EURO", "XXX", "XAU", "XTS", "DEM", "ZZZ", " EU", "UR "})
        EXPECT_FALSE(currency_exponent(none)) << none;
}

TEST(Currencies, every_code_is_found_where_its_list_says) {
    int count = 0;
    for (char a = 'A'; a <= 'Z'; ++a)
        for (char b = 'A'; b <= 'Z'; ++b)
            for (char c = 'A'; c <= 'Z'; ++c)
                count += currency_exponent(std::string{a, b, c}).has_value();
    // 140 of two places, 17 of none, 7 of three, 2 of four: a list out of order would lose some.
    EXPECT_EQ(count, 166);
}

} // namespace
} // namespace netbuild::payments
