// SPDX-License-Identifier: Apache-2.0
#include "ports/rate_limiter.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>

#include "wire/sha256.hpp"

namespace netbuild {
namespace {

constexpr std::size_t name_max = 40;
/// A faster one is not so many whole microseconds apart that rounding would not show.
constexpr std::int64_t gcra_per_second_max = 10'000;

bool plain(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

Error bad(std::string_view name, std::string_view what) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", name, what));
}

/// Escaped bytes begin with %, hashes with ~, which is itself escaped.
void append_part(std::string& key, std::string_view part) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const std::size_t begin = key.size();
    for (const char c : part) {
        if (plain(c) || c == '.') {
            key.push_back(c);
        } else {
            const auto byte = static_cast<unsigned char>(c);
            key.push_back('%');
            key.push_back(digits[byte >> 4]);
            key.push_back(digits[byte & 15]);
        }
        if (key.size() - begin > rate_key_part_max) {
            key.resize(begin);
            key += "~" + sha256_hex(part);
            return;
        }
    }
}

} // namespace

RatePolicy::RatePolicy(RatePolicySettings settings, RateTerms terms)
    : settings_(std::move(settings)),
      terms_(terms),
      id_(std::hash<std::string>{}(settings_.name + static_cast<char>(terms.form))) {}

result<RatePolicyPtr> RatePolicy::make(RatePolicySettings settings) {
    const auto in_range = [](std::int64_t value, std::int64_t least) {
        return value >= least && value <= rate_limit_max;
    };
    if (settings.name.empty() || settings.name.size() > name_max ||
        !std::all_of(settings.name.begin(), settings.name.end(), plain))
        return bad("name", fmt::format("must be 1 to {} of letters, digits, - and _", name_max));
    if (!in_range(settings.limit, 1))
        return bad("limit", fmt::format("must be 1 to {}", rate_limit_max));
    if (settings.period < std::chrono::milliseconds(1) || settings.period > rate_time_max)
        return bad("period", "must be 1 ms to 31 days");
    if (!in_range(settings.burst, 0))
        return bad("burst", fmt::format("must be 0 to {}", rate_limit_max));
    const bool window = settings.algorithm == RateAlgorithm::sliding_window;
    if (window && settings.burst > 0) return bad("burst", "a sliding window has none");
    if (!window && settings.limit * 1000 > gcra_per_second_max * settings.period.count())
        return bad("limit", fmt::format("more than {} a second need the sliding window",
                                        gcra_per_second_max));
    const RateTerms terms = RateTerms::of(settings);
    if (!window && terms.duration(terms.capacity) > rate_time_max + std::chrono::hours(1))
        return bad("burst", "must come back within 31 days");
    const std::int64_t most = window || settings.burst == 0 ? settings.limit : settings.burst;
    if (settings.cost < 1 || settings.cost > most)
        return bad("cost", fmt::format("must be 1 to {}", most));
    return RatePolicyPtr(new RatePolicy(std::move(settings), terms));
}

std::string rate_key(std::span<const std::string_view> parts) {
    std::string key;
    for (std::size_t i = 0; i < std::min(parts.size(), rate_key_parts_max); ++i) {
        if (i > 0) key.push_back(':');
        append_part(key, parts[i]);
    }
    return key;
}

std::string rate_state_name(std::string_view prefix, const RatePolicy& policy,
                            std::string_view key) {
    const std::size_t first = std::min(key.find(':'), key.size());
    std::string name;
    name.reserve(prefix.size() + policy.name().size() + key.size() + 5);
    name += prefix;
    name += policy.name();
    name.push_back('.');
    name.push_back(static_cast<char>(policy.terms().form));
    name += ":{";
    name += first == 0 ? std::string_view("*") : key.substr(0, first); // {} would be no hash tag
    name.push_back('}');
    name += key.substr(first);
    return name;
}

result<void> RateLimiter::validate(RateAction action, std::span<const RateCharge> charges) {
    if (charges.empty() || charges.size() > charges_max)
        return bad("charges", fmt::format("must be 1 to {}", charges_max));
    for (const RateCharge& charge : charges) {
        const RateTerms& terms = charge.policy->terms();
        const std::int64_t most =
            action == RateAction::penalize ? rate_limit_max : terms.capacity / terms.interval;
        if (charge.cost < 1 || charge.cost > most)
            return bad("cost", fmt::format("must be 1 to {} of {}", most, charge.policy->name()));
        const auto same = [&](const RateCharge& other) {
            return other.policy->id() == charge.policy->id() && other.key == charge.key;
        };
        if (std::count_if(charges.begin(), charges.end(), same) > 1)
            return bad("charges", charge.policy->name() + " has the same key twice");
    }
    return {};
}

RateDecision rate_decision(RateAction action, std::span<const RateCharge> charges,
                           std::span<const RateState> states, bool charged) {
    RateDecision decision;
    decision.limits.reserve(charges.size());
    for (std::size_t i = 0; i < charges.size(); ++i) {
        const RateTerms& terms = charges[i].policy->terms();
        RateStatus status{.remaining = rate_remaining(terms, states[i]),
                          .reset = rate_reset(terms, states[i])};
        if (!charged)
            status.retry_after = rate_retry_after(
                terms, states[i], action == RateAction::penalize ? 1 : charges[i].cost);
        if (status.retry_after > decision.retry_after()) {
            decision.allowed = false;
            decision.denied_by = i;
        }
        decision.limits.push_back(status);
    }
    return decision;
}

awaitable<result<RateDecision>> RateLimiter::act(RateAction action,
                                                 std::vector<RateCharge> charges) {
    struct Shared {
        std::optional<result<RateDecision>> decision;
        std::function<void()> wake;
    };
    const auto shared = std::make_shared<Shared>();
    act(action, std::move(charges), [shared](result<RateDecision> decision) {
        shared->decision.emplace(std::move(decision));
        if (shared->wake) std::exchange(shared->wake, {})();
    });
    if (!shared->decision) {
        co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
            [shared](auto handler) {
                // std::function wants what can be copied.
                const auto held = std::make_shared<decltype(handler)>(std::move(handler));
                shared->wake = [held] { std::move (*held)(); };
            },
            asio::use_awaitable);
    }
    co_return std::move(*shared->decision);
}

} // namespace netbuild
