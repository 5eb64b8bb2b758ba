// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "limits/denied_keys.hpp"
#include "ports/rate_limiter.hpp"

namespace netbuild::limits {

/// Who gave an answer.
enum class Source : std::uint8_t {
    store,
    /// The key is known to be denied: nobody was asked.
    local,
    /// The store could not be asked: its policies let in, or do not.
    failed_open,
    failed_closed,
};
[[nodiscard]] std::string_view to_string(Source source) noexcept;

struct Outcome {
    RateDecision decision;
    Source source = Source::store;
    /// Why it failed open or closed.
    std::optional<Error> trouble = {};
};

/// A RateLimiter with a first line before it: a key that the store has denied is denied here until
/// it would be let in, without a round trip. Time is this process's monotonic one, so clocks that
/// differ do not matter. What another process does to the key, penalties and `unblock`, is seen at
/// most `hold_max` late. From one executor.
class RateGate {
public:
    struct Options {
        /// Keys in the first line.
        std::size_t denied_keys_max = 65'536;
        Clock::duration hold_max = std::chrono::seconds(10);
    };
    /// Of a policy; what is not in `known` is counted as "other".
    struct Counters {
        std::uint64_t allowed = 0, denied = 0, denied_locally = 0, failed_open = 0,
                      failed_closed = 0;
    };
    using OnOutcome = std::function<void(result<Outcome> outcome)>;

    RateGate(RateLimiter& limiter, Clock& clock, Random random, Options options);

    /// From here on the policy is counted by its name.
    void count(const std::string& policy) { counters_.try_emplace(policy); }
    [[nodiscard]] const std::map<std::string, Counters, std::less<>>& counters() const {
        return counters_;
    }

    /// How long the key is denied for sure; zero: the store has to be asked. Allocates nothing.
    [[nodiscard]] Clock::duration denied_for(const RatePolicy& policy,
                                             std::string_view key) const noexcept {
        const Clock::duration until = denied_.until(policy.id(), key);
        if (until == Clock::duration::zero()) return until;
        return std::max(until - clock_.monotonic(), Clock::duration::zero());
    }

    /// Errors: invalid_argument only; with the store's the policies know what to do.
    void act(RateAction action, std::vector<RateCharge> charges, OnOutcome on_outcome);
    awaitable<result<Outcome>> act(RateAction action, std::vector<RateCharge> charges);
    /// As RateLimiter's, with the errors of the store.
    awaitable<result<void>> block(RatePolicyPtr policy, std::string key,
                                  std::chrono::milliseconds time);
    awaitable<result<void>> unblock(RatePolicyPtr policy, std::string key);

private:
    [[nodiscard]] std::optional<Outcome> local(const std::vector<RateCharge>& charges) const;
    result<Outcome> settle(RateAction action, const std::vector<RateCharge>& charges,
                           result<RateDecision> decision);
    Outcome failed(const std::vector<RateCharge>& charges, Error trouble);
    void remember(const RateCharge& charge, const RateStatus& status);
    Counters& counters_of(const RateCharge& charge);
    void count(const std::vector<RateCharge>& charges, const Outcome& outcome);

    RateLimiter& limiter_;
    Clock& clock_;
    Options options_;
    DeniedKeys denied_;
    std::map<std::string, Counters, std::less<>> counters_;
    Clock::duration warn_again_{};
};

} // namespace netbuild::limits
