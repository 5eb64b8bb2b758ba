// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>

#include "runtime/clock.hpp"

// The arithmetic of rate limits without any store: what the adapter in memory does, and what the
// Lua of Redis' adapter has to agree with. All numbers are whole and below 2^53, so that Lua's
// doubles hold them.
namespace netbuild {

struct RatePolicySettings;

enum class RateAlgorithm : std::uint8_t {
    /// The generic cell rate algorithm (ITU-T I.371): requests come in evenly, but for bursts.
    gcra,
    /// What the last period had, estimated from this window and the one before it.
    sliding_window,
};

/// How a key's state is kept: in the cheapest form that is exact.
enum class RateForm : char {
    /// GCRA whose requests are whole milliseconds apart: the state is when the key expires.
    milliseconds = 'm',
    /// GCRA: the theoretical arrival time in microseconds.
    microseconds = 'u',
    window = 'w',
};

inline constexpr std::int64_t rate_limit_max = 1'000'000;
inline constexpr std::chrono::hours rate_time_max{31 * 24};

/// A policy in the numbers of its form.
struct RateTerms {
    RateForm form = RateForm::milliseconds;
    /// Between two requests, in the form's unit; 1 of a window.
    std::int64_t interval = 1;
    /// What may be used: the burst's intervals, or the window's limit.
    std::int64_t capacity = 1;
    /// Of a window.
    std::int64_t period_ms = 0;
    /// What penalties and blocks stop at.
    std::int64_t ceiling = 1;

    /// Of valid settings.
    [[nodiscard]] static RateTerms of(const RatePolicySettings& settings) noexcept;
    [[nodiscard]] Clock::duration duration(std::int64_t units) const noexcept;
};

/// What a store knows of a key at a moment.
struct RateState {
    /// GCRA: how far the theoretical arrival time lies ahead, in the form's unit.
    /// Window: what was used in it; negative: blocked for so many ms more.
    std::int64_t used = 0;
    /// Window: what was used in the one before it, and how far this one has come, in ms.
    std::int64_t previous = 0, elapsed_ms = 0;

    friend bool operator==(const RateState&, const RateState&) = default;
};

[[nodiscard]] bool rate_admits(const RateTerms& terms, const RateState& state,
                               std::int64_t cost) noexcept;
/// A negative cost gives back.
[[nodiscard]] RateState rate_charged(const RateTerms& terms, RateState state,
                                     std::int64_t cost) noexcept;
/// Nothing is let in for `time`; then what refills evenly begins to.
[[nodiscard]] RateState rate_blocked(const RateTerms& terms,
                                     std::chrono::milliseconds time) noexcept;
/// Requests of cost 1.
[[nodiscard]] std::int64_t rate_remaining(const RateTerms& terms, const RateState& state) noexcept;
/// Until `cost` would be let in; zero: now.
[[nodiscard]] Clock::duration rate_retry_after(const RateTerms& terms, const RateState& state,
                                               std::int64_t cost) noexcept;
/// Until nothing is used.
[[nodiscard]] Clock::duration rate_reset(const RateTerms& terms, const RateState& state) noexcept;

} // namespace netbuild
