// SPDX-License-Identifier: Apache-2.0
#include "payments/payment_states.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace netbuild::payments {
namespace {

constexpr std::string_view status_names[] = {
    "created", "authorized", "captured", "partially_refunded", "refunded", "failed", "cancelled"};
constexpr std::string_view action_names[] = {"create", "authorize", "capture",
                                             "refund", "fail",      "cancel"};
constexpr std::string_view condition_texts[] = {
    "the payment's amount", "1 to the authorized amount",
    "1 to less than what is captured and not refunded", "all that is captured and not refunded",
    "no amount"};

// clang-format off
constexpr Transition table[] = {
    // action            from                        to                          the amount is
    {Action::create,    std::nullopt,               Status::created,            Condition::whole},
    {Action::authorize, Status::created,            Status::authorized,         Condition::whole},
    {Action::capture,   Status::authorized,         Status::captured,           Condition::up_to_authorized},
    {Action::refund,    Status::captured,           Status::partially_refunded, Condition::part_of_the_rest},
    {Action::refund,    Status::captured,           Status::refunded,           Condition::all_of_the_rest},
    {Action::refund,    Status::partially_refunded, Status::partially_refunded, Condition::part_of_the_rest},
    {Action::refund,    Status::partially_refunded, Status::refunded,           Condition::all_of_the_rest},
    {Action::fail,      Status::created,            Status::failed,             Condition::none},
    {Action::fail,      Status::authorized,         Status::failed,             Condition::none},
    {Action::cancel,    Status::created,            Status::cancelled,          Condition::none},
    {Action::cancel,    Status::authorized,         Status::cancelled,          Condition::none},
};
// clang-format on

/// The least and the most that fulfils the condition; most < least: nothing does.
struct Range {
    std::int64_t least, most;
    [[nodiscard]] bool holds(std::int64_t amount) const {
        return least <= amount && amount <= most;
    }
};

Range range_of(Condition condition, const Balances& balances) {
    const std::int64_t rest = balances.captured - balances.refunded;
    switch (condition) {
    case Condition::whole:
        return {balances.amount, balances.amount};
    case Condition::up_to_authorized:
        return {1, balances.authorized};
    case Condition::part_of_the_rest:
        return {1, rest - 1};
    case Condition::all_of_the_rest:
        return {rest, rest};
    case Condition::none:
        return {0, 0};
    }
    return {1, 0};
}

/// "authorized", "captured or partially_refunded".
std::string origins(Action action) {
    std::string text;
    std::optional<Status> last;
    for (const Transition& one : table) {
        if (one.action != action || !one.from || one.from == last) continue;
        last = one.from;
        text += text.empty() ? "" : " or ";
        text += status_name(*one.from);
    }
    return text;
}

template <class Enum, std::size_t N>
std::optional<Enum> parse(const std::string_view (&names)[N], std::string_view name) {
    const auto found = std::find(std::begin(names), std::end(names), name);
    if (found == std::end(names)) return std::nullopt;
    return static_cast<Enum>(found - std::begin(names));
}

} // namespace

std::string_view status_name(Status status) noexcept {
    return status_names[static_cast<std::size_t>(status)];
}
std::string_view action_name(Action action) noexcept {
    return action_names[static_cast<std::size_t>(action)];
}
std::optional<Status> parse_status(std::string_view name) noexcept {
    return parse<Status>(status_names, name);
}
std::optional<Action> parse_action(std::string_view name) noexcept {
    return parse<Action>(action_names, name);
}
std::string_view condition_text(Condition condition) noexcept {
    return condition_texts[static_cast<std::size_t>(condition)];
}
std::span<const Transition> transitions() noexcept { return table; }

result<Step> plan(const State& state, Action action, std::optional<std::int64_t> amount) {
    bool possible = false;
    std::int64_t most = 0;
    const Transition* taken = nullptr;
    for (const Transition& one : table) {
        if (one.action != action || one.from != state.status) continue;
        possible = true;
        const Range range = range_of(one.condition, state.balances);
        if (range.most >= range.least && range.most >= most) {
            most = range.most;
            if (!amount) taken = &one;
        }
        if (amount && range.holds(*amount)) taken = &one;
    }
    if (!possible)
        return fail(ErrorCode::conflict,
                    fmt::format("the payment is {}: to {} it, it must be {}",
                                state.status ? status_name(*state.status) : "not there",
                                action_name(action), origins(action)));
    if (!taken)
        return fail(ErrorCode::invalid_argument, fmt::format("amount: must be 1 to {}", most));
    return Step{taken->to, amount.value_or(most)};
}

result<State> after(const State& state, Action action, std::int64_t amount, Status to) {
    State next = state;
    if (action == Action::create && !state.status) next.balances.amount = amount;
    const auto legal = std::any_of(std::begin(table), std::end(table), [&](const Transition& one) {
        return one.action == action && one.from == state.status && one.to == to &&
               range_of(one.condition, next.balances).holds(amount);
    });
    if (!legal || (action == Action::create && (amount < 1 || amount > amount_max)))
        return fail(ErrorCode::corrupt,
                    fmt::format("{} of {} from {} to {} is no transition", action_name(action),
                                amount, state.status ? status_name(*state.status) : "nothing",
                                status_name(to)));
    next.status = to;
    if (action == Action::authorize) next.balances.authorized = amount;
    if (action == Action::capture) next.balances.captured = amount;
    if (action == Action::refund) next.balances.refunded += amount;
    return next;
}

} // namespace netbuild::payments
