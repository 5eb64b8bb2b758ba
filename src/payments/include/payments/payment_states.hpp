// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "model/value.hpp"

namespace netbuild::payments {

enum class Status : unsigned char {
    created,
    authorized,
    captured,
    partially_refunded,
    refunded,
    failed,
    cancelled
};
enum class Action : unsigned char { create, authorize, capture, refund, fail, cancel };
[[nodiscard]] std::string_view status_name(Status status) noexcept;
[[nodiscard]] std::string_view action_name(Action action) noexcept;
[[nodiscard]] std::optional<Status> parse_status(std::string_view name) noexcept;
[[nodiscard]] std::optional<Action> parse_action(std::string_view name) noexcept;

/// In minor units: what was asked for, and how far it has come.
struct Balances {
    std::int64_t amount = 0, authorized = 0, captured = 0, refunded = 0;
    friend bool operator==(const Balances&, const Balances&) = default;
};

/// What must hold of an action's amount for a transition to be taken.
enum class Condition : unsigned char {
    /// It is the payment's amount.
    whole,
    /// 1 to what is authorized.
    up_to_authorized,
    /// 1 to less than what is captured and not refunded.
    part_of_the_rest,
    /// All that is captured and not refunded.
    all_of_the_rest,
    /// Nothing moves: 0.
    none,
};
[[nodiscard]] std::string_view condition_text(Condition condition) noexcept;

struct Transition {
    Action action;
    /// nullopt: there is no payment yet.
    std::optional<Status> from;
    Status to;
    Condition condition;
};
/// The table, which is all there is: what it does not name cannot happen.
[[nodiscard]] std::span<const Transition> transitions() noexcept;

/// A payment as its events make it.
struct State {
    std::optional<Status> status;
    Balances balances;
    friend bool operator==(const State&, const State&) = default;
};

/// `amount` nullopt: as much as the action can move. conflict: the payment is in no state for it;
/// invalid_argument: the amount is not as the conditions say.
struct Step {
    Status to;
    std::int64_t amount;
};
[[nodiscard]] result<Step> plan(const State& state, Action action,
                                std::optional<std::int64_t> amount);
/// The state after an event. corrupt: no transition of the table.
[[nodiscard]] result<State> after(const State& state, Action action, std::int64_t amount,
                                  Status to);

/// Larger ones are refused: no sum of amounts overflows, and none looks like a card number.
inline constexpr std::int64_t amount_max = 999'999'999'999;

} // namespace netbuild::payments
