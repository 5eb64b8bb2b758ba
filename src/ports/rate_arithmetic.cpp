// SPDX-License-Identifier: Apache-2.0
#include "ports/rate_arithmetic.hpp"

#include <algorithm>

#include "ports/rate_limiter.hpp"

namespace netbuild {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int64_t divide_up(std::int64_t dividend, std::int64_t divisor) noexcept {
    return (dividend + divisor - 1) / divisor;
}

std::int64_t time_max(RateForm form) noexcept {
    const std::int64_t ms = milliseconds(rate_time_max).count();
    return form == RateForm::microseconds ? ms * 1000 : ms;
}

/// The window's use at this moment, times its period: what the one before it had counts by the
/// share of it that the last period still covers.
std::int64_t weighted(const RateTerms& terms, const RateState& state, std::int64_t cost) noexcept {
    return state.previous * (terms.period_ms - state.elapsed_ms) +
           (state.used + cost) * terms.period_ms;
}

/// Until `previous`, which fades over the window, leaves room for it all; at most the whole window.
std::int64_t faded_after_ms(const RateTerms& terms, std::int64_t previous,
                            std::int64_t used) noexcept {
    const std::int64_t room = terms.capacity - used;
    if (previous <= room) return 0;
    return terms.period_ms - (room <= 0 ? 0 : room * terms.period_ms / previous);
}

} // namespace

RateTerms RateTerms::of(const RatePolicySettings& settings) noexcept {
    RateTerms terms;
    const std::int64_t period_us = microseconds(settings.period).count();
    if (settings.algorithm == RateAlgorithm::sliding_window) {
        terms.form = RateForm::window;
        terms.capacity = settings.limit;
        terms.period_ms = settings.period.count();
        terms.ceiling = rate_limit_max;
        return terms;
    }
    // Rounded up: never more than the limit.
    terms.interval = divide_up(period_us, settings.limit);
    terms.form = terms.interval % 1000 == 0 ? RateForm::milliseconds : RateForm::microseconds;
    if (terms.form == RateForm::milliseconds) terms.interval /= 1000;
    terms.capacity = terms.interval * (settings.burst > 0 ? settings.burst : settings.limit);
    terms.ceiling = terms.capacity + time_max(terms.form);
    return terms;
}

Clock::duration RateTerms::duration(std::int64_t units) const noexcept {
    return form == RateForm::microseconds ? Clock::duration(microseconds(units))
                                          : Clock::duration(milliseconds(units));
}

bool rate_admits(const RateTerms& terms, const RateState& state, std::int64_t cost) noexcept {
    if (terms.form != RateForm::window) return state.used + cost * terms.interval <= terms.capacity;
    return state.used >= 0 && weighted(terms, state, cost) <= terms.capacity * terms.period_ms;
}

RateState rate_charged(const RateTerms& terms, RateState state, std::int64_t cost) noexcept {
    if (terms.form == RateForm::window) {
        if (state.used >= 0)
            state.used = std::clamp<std::int64_t>(state.used + cost, 0, terms.ceiling);
        return state;
    }
    state.used = std::clamp<std::int64_t>(state.used + cost * terms.interval, 0, terms.ceiling);
    return state;
}

RateState rate_blocked(const RateTerms& terms, milliseconds time) noexcept {
    const std::int64_t ms =
        std::clamp<std::int64_t>(time.count(), 1, milliseconds(rate_time_max).count());
    if (terms.form == RateForm::window) return {.used = -ms};
    return {.used = terms.capacity - terms.interval +
                    (terms.form == RateForm::microseconds ? ms * 1000 : ms)};
}

std::int64_t rate_remaining(const RateTerms& terms, const RateState& state) noexcept {
    if (terms.form != RateForm::window)
        return std::max<std::int64_t>(0, (terms.capacity - state.used) / terms.interval);
    if (state.used < 0) return 0;
    const std::int64_t room = terms.capacity * terms.period_ms - weighted(terms, state, 0);
    return std::max<std::int64_t>(0, room / terms.period_ms);
}

Clock::duration rate_retry_after(const RateTerms& terms, const RateState& state,
                                 std::int64_t cost) noexcept {
    if (rate_admits(terms, state, cost)) return {};
    if (terms.form != RateForm::window)
        return terms.duration(state.used + cost * terms.interval - terms.capacity);
    if (state.used < 0) return milliseconds(-state.used);
    // In this window, if enough of the one before it fades; else in the next one, where this one is
    // the one before.
    const std::int64_t in_this = faded_after_ms(terms, state.previous, state.used + cost);
    if (in_this < terms.period_ms) return milliseconds(in_this - state.elapsed_ms);
    return milliseconds(terms.period_ms - state.elapsed_ms +
                        faded_after_ms(terms, state.used, cost));
}

Clock::duration rate_reset(const RateTerms& terms, const RateState& state) noexcept {
    if (terms.form != RateForm::window) return terms.duration(state.used);
    if (state.used < 0) return milliseconds(-state.used);
    if (state.used > 0) return milliseconds(2 * terms.period_ms - state.elapsed_ms);
    return milliseconds(state.previous > 0 ? terms.period_ms - state.elapsed_ms : 0);
}

} // namespace netbuild
