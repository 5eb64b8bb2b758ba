// SPDX-License-Identifier: Apache-2.0
#include "limits/rate_gate.hpp"

#include <algorithm>

#include "telemetry/log.hpp"

namespace netbuild::limits {
namespace {

constexpr std::string_view others = "other";
constexpr std::chrono::seconds warning_interval{10};
/// What to tell whoever is denied because the store is away.
constexpr std::chrono::seconds retry_when_away{1};

} // namespace

std::string_view to_string(Source source) noexcept {
    switch (source) {
    case Source::local:
        return "local";
    case Source::failed_open:
        return "failed_open";
    case Source::failed_closed:
        return "failed_closed";
    case Source::store:
        break;
    }
    return "store";
}

RateGate::RateGate(RateLimiter& limiter, Clock& clock, Random random, Options options)
    : limiter_(limiter),
      clock_(clock),
      options_(options),
      denied_(options.denied_keys_max, random),
      warn_again_(clock.monotonic()) {
    counters_.try_emplace(std::string(others));
}

std::optional<Outcome> RateGate::local(const std::vector<RateCharge>& charges) const {
    std::optional<Outcome> outcome;
    for (std::size_t i = 0; i < charges.size(); ++i) {
        const Clock::duration left = denied_for(*charges[i].policy, charges[i].key);
        if (left == Clock::duration::zero()) continue;
        if (!outcome) {
            outcome.emplace(Outcome{.source = Source::local});
            outcome->decision.allowed = false;
            outcome->decision.limits.resize(charges.size());
        }
        outcome->decision.limits[i] = {.remaining = 0, .reset = left, .retry_after = left};
        if (left >= outcome->decision.retry_after()) outcome->decision.denied_by = i;
    }
    return outcome;
}

/// Of cost 1: whoever asks for less than was denied may still be let in.
void RateGate::remember(const RateCharge& charge, const RateStatus& status) {
    if (status.remaining > 0 || status.retry_after == Clock::duration::zero()) return;
    const RateTerms& terms = charge.policy->terms();
    Clock::duration left = status.retry_after;
    if (charge.cost > 1) {
        // A window does not tell; it is asked again.
        if (terms.form == RateForm::window) return;
        left -= terms.duration((charge.cost - 1) * terms.interval);
    }
    if (left <= Clock::duration::zero()) return;
    denied_.deny(charge.policy->id(), charge.key,
                 clock_.monotonic() + std::min(left, options_.hold_max));
}

RateGate::Counters& RateGate::counters_of(const RateCharge& charge) {
    const auto found = counters_.find(charge.policy->name());
    return found == counters_.end() ? counters_.find(others)->second : found->second;
}

/// A denial counts at the policy that denied, all else at every policy that was asked.
void RateGate::count(const std::vector<RateCharge>& charges, const Outcome& outcome) {
    const auto& denied_by = outcome.decision.denied_by;
    if (denied_by) {
        Counters& counters = counters_of(charges[*denied_by]);
        ++(outcome.source == Source::local           ? counters.denied_locally
           : outcome.source == Source::failed_closed ? counters.failed_closed
                                                     : counters.denied);
        return;
    }
    for (const RateCharge& charge : charges) {
        Counters& counters = counters_of(charge);
        ++(outcome.source == Source::failed_open ? counters.failed_open : counters.allowed);
    }
}

Outcome RateGate::failed(const std::vector<RateCharge>& charges, Error trouble) {
    if (clock_.monotonic() >= warn_again_) {
        warn_again_ = clock_.monotonic() + warning_interval;
        log::warning("rate limits fail open or closed: {}", trouble.message());
    }
    Outcome outcome{.source = Source::failed_open, .trouble = std::move(trouble)};
    outcome.decision.limits.resize(charges.size());
    for (std::size_t i = 0; i < charges.size() && outcome.decision.allowed; ++i) {
        if (charges[i].policy->settings().fail_open) continue;
        outcome.source = Source::failed_closed;
        outcome.decision.allowed = false;
        outcome.decision.denied_by = i;
        outcome.decision.limits[i].retry_after = retry_when_away;
    }
    return outcome;
}

result<Outcome> RateGate::settle(RateAction action, const std::vector<RateCharge>& charges,
                                 result<RateDecision> decision) {
    if (!decision && decision.error().code() == ErrorCode::invalid_argument)
        return std::move(decision).error();
    Outcome outcome = decision ? Outcome{.decision = std::move(*decision)}
                               : failed(charges, std::move(decision).error());
    if (outcome.source == Source::store) {
        for (std::size_t i = 0; i < charges.size(); ++i) {
            if (action == RateAction::penalize) {
                // What remains is told for a cost of 1.
                RateCharge one = charges[i];
                one.cost = 1;
                remember(one, outcome.decision.limits[i]);
            } else {
                remember(charges[i], outcome.decision.limits[i]);
            }
        }
    }
    if (action == RateAction::check) count(charges, outcome);
    return outcome;
}

void RateGate::act(RateAction action, std::vector<RateCharge> charges, OnOutcome on_outcome) {
    if (action == RateAction::check) {
        if (auto outcome = local(charges)) {
            count(charges, *outcome);
            return on_outcome(std::move(*outcome));
        }
    }
    auto asked = charges;
    limiter_.act(action, std::move(asked),
                 [this, action, charges = std::move(charges),
                  on_outcome = std::move(on_outcome)](result<RateDecision> decision) {
                     on_outcome(settle(action, charges, std::move(decision)));
                 });
}

awaitable<result<Outcome>> RateGate::act(RateAction action, std::vector<RateCharge> charges) {
    if (action == RateAction::check) {
        if (auto outcome = local(charges)) {
            count(charges, *outcome);
            co_return std::move(*outcome);
        }
    }
    auto decision = co_await limiter_.act(action, charges);
    co_return settle(action, charges, std::move(decision));
}

awaitable<result<void>> RateGate::block(RatePolicyPtr policy, std::string key,
                                        std::chrono::milliseconds time) {
    CO_TRY_VOID(co_await limiter_.block(policy, key, time));
    denied_.deny(policy->id(), key,
                 clock_.monotonic() + std::min<Clock::duration>(time, options_.hold_max));
    co_return result<void>{};
}

awaitable<result<void>> RateGate::unblock(RatePolicyPtr policy, std::string key) {
    CO_TRY_VOID(co_await limiter_.unblock(policy, key));
    denied_.forget(policy->id(), key);
    co_return result<void>{};
}

} // namespace netbuild::limits
