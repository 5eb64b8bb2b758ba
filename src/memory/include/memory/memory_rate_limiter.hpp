// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <unordered_map>

#include "ports/rate_limiter.hpp"

namespace netbuild {

/// Rate limits of one process: gone with it.
class MemoryRateLimiter final : public RateLimiter {
public:
    struct Options {
        /// With more in use at once new ones fail with out_of_memory.
        std::size_t keys_max = 1'000'000;
    };
    MemoryRateLimiter(Clock& clock, Options options) : clock_(clock), options_(options) {}

    using RateLimiter::act;
    void act(RateAction action, std::vector<RateCharge> charges, OnDecision on_decision) override;
    awaitable<result<void>> block(RatePolicyPtr policy, std::string key,
                                  std::chrono::milliseconds time) override;
    awaitable<result<void>> unblock(RatePolicyPtr policy, std::string key) override;
    /// Keys whose state is not forgotten yet.
    [[nodiscard]] std::size_t size() const { return keys_.size(); }

private:
    /// A state and when it was one.
    struct Key {
        RateState state;
        std::int64_t at_us = 0;
        std::int64_t expires_us = 0;
    };
    [[nodiscard]] std::int64_t now_us() const;
    [[nodiscard]] RateState state_now(const std::string& name, const RateTerms& terms,
                                      std::int64_t now) const;
    result<RateDecision> decide(RateAction action, const std::vector<RateCharge>& charges);
    void put(const std::string& name, const RateTerms& terms, const RateState& state,
             std::int64_t now);
    /// Whether there is room for so many more.
    bool make_room(std::size_t more, std::int64_t now);

    Clock& clock_;
    Options options_;
    std::unordered_map<std::string, Key> keys_;
    std::size_t sweep_at_ = 1024;
};

} // namespace netbuild
