// SPDX-License-Identifier: Apache-2.0
#include "memory/memory_rate_limiter.hpp"

#include <algorithm>

namespace netbuild {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

std::int64_t microseconds_of(Clock::duration time) {
    return duration_cast<microseconds>(time).count();
}

/// What became of a state until now.
RateState passed(const RateTerms& terms, RateState state, std::int64_t at_us, std::int64_t now) {
    if (terms.form == RateForm::microseconds) {
        state.used = std::max<std::int64_t>(0, state.used - (now - at_us));
        return state;
    }
    const std::int64_t now_ms = now / 1000, ms = now_ms - at_us / 1000;
    if (terms.form == RateForm::milliseconds) {
        state.used = std::max<std::int64_t>(0, state.used - ms);
        return state;
    }
    if (state.used < 0) {
        state = {.used = std::min<std::int64_t>(0, state.used + ms)};
    } else {
        const std::int64_t windows = now_ms / terms.period_ms - at_us / 1000 / terms.period_ms;
        if (windows > 0) state = {.used = 0, .previous = windows == 1 ? state.used : 0};
    }
    state.elapsed_ms = now_ms % terms.period_ms;
    return state;
}

} // namespace

std::int64_t MemoryRateLimiter::now_us() const { return microseconds_of(clock_.monotonic()); }

RateState MemoryRateLimiter::state_now(const std::string& name, const RateTerms& terms,
                                       std::int64_t now) const {
    const auto found = keys_.find(name);
    const bool known = found != keys_.end() && found->second.expires_us > now;
    return known ? passed(terms, found->second.state, found->second.at_us, now)
                 : passed(terms, {}, now, now);
}

void MemoryRateLimiter::put(const std::string& name, const RateTerms& terms, const RateState& state,
                            std::int64_t now) {
    const std::int64_t lasts = microseconds_of(rate_reset(terms, state));
    if (lasts == 0) {
        keys_.erase(name);
    } else {
        keys_[name] = {state, now, now + lasts};
    }
}

bool MemoryRateLimiter::make_room(std::size_t more, std::int64_t now) {
    if (keys_.size() + more > std::min(sweep_at_, options_.keys_max)) {
        std::erase_if(keys_, [now](const auto& each) { return each.second.expires_us <= now; });
        // A look at every key is paid for by as many new ones.
        sweep_at_ = std::max<std::size_t>(1024, 2 * keys_.size());
    }
    return keys_.size() + more <= options_.keys_max;
}

result<RateDecision> MemoryRateLimiter::decide(RateAction action,
                                               const std::vector<RateCharge>& charges) {
    TRY_VOID(validate(action, charges));
    const std::int64_t now = now_us();
    std::vector<std::string> names;
    std::vector<RateState> states;
    bool admitted = true;
    for (const RateCharge& charge : charges) {
        const RateTerms& terms = charge.policy->terms();
        names.push_back(rate_state_name({}, *charge.policy, charge.key));
        states.push_back(state_now(names.back(), terms, now));
        admitted = admitted && rate_admits(terms, states.back(), charge.cost);
    }
    const bool charged = action == RateAction::check && admitted;
    if (charged || action == RateAction::penalize) {
        if (!make_room(charges.size(), now))
            return fail(ErrorCode::out_of_memory, "rate limits: too many keys at once");
        for (std::size_t i = 0; i < charges.size(); ++i) {
            const RateTerms& terms = charges[i].policy->terms();
            states[i] = rate_charged(terms, states[i], charges[i].cost);
            put(names[i], terms, states[i], now);
        }
    }
    return rate_decision(action, charges, states, charged);
}

void MemoryRateLimiter::act(RateAction action, std::vector<RateCharge> charges,
                            OnDecision on_decision) {
    on_decision(decide(action, charges));
}

awaitable<result<void>> MemoryRateLimiter::block(RatePolicyPtr policy, std::string key,
                                                 std::chrono::milliseconds time) {
    const std::int64_t now = now_us();
    if (!make_room(1, now))
        co_return fail(ErrorCode::out_of_memory, "rate limits: too many keys at once");
    put(rate_state_name({}, *policy, key), policy->terms(), rate_blocked(policy->terms(), time),
        now);
    co_return result<void>{};
}

awaitable<result<void>> MemoryRateLimiter::unblock(RatePolicyPtr policy, std::string key) {
    keys_.erase(rate_state_name({}, *policy, key));
    co_return result<void>{};
}

} // namespace netbuild
