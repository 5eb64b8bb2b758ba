// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ports/rate_arithmetic.hpp"
#include "runtime/clock.hpp"

namespace netbuild {

/// Of what a key is made, in this order.
enum class RateKeyPart : std::uint8_t { user, domain, ip, route };

/// How much of something is allowed.
struct RatePolicySettings {
    /// Letters, digits, - and _, at most 40: a part of keys, headers and metrics.
    std::string name;
    RateAlgorithm algorithm = RateAlgorithm::gcra;
    /// So many in each period.
    std::int64_t limit = 0;
    std::chrono::milliseconds period{};
    /// Of GCRA: so many at once after a pause; 0: the limit. What was used comes back evenly.
    std::int64_t burst = 0;
    /// What one request costs, unless it says so.
    std::int64_t cost = 1;
    /// None: all share one key.
    std::vector<RateKeyPart> key = {};
    /// What the answer is while the state cannot be asked for.
    bool fail_open = true;
};

/// A policy that keeps to the limits of the arithmetic; never changes.
class RatePolicy {
public:
    /// invalid_argument names the setting.
    [[nodiscard]] static result<std::shared_ptr<const RatePolicy>>
    make(RatePolicySettings settings);

    [[nodiscard]] const RatePolicySettings& settings() const noexcept { return settings_; }
    [[nodiscard]] const std::string& name() const noexcept { return settings_.name; }
    [[nodiscard]] const RateTerms& terms() const noexcept { return terms_; }
    /// The same for policies of one name and form, whose keys share their state.
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

private:
    RatePolicy(RatePolicySettings settings, RateTerms terms);
    RatePolicySettings settings_;
    RateTerms terms_;
    std::uint64_t id_;
};
using RatePolicyPtr = std::shared_ptr<const RatePolicy>;

/// The subject of a policy, made of what a client may have sent: escaped, and hashed where a part
/// is long, so that it is at most parts · rate_key_part_max bytes and different parts never give
/// the same text. "usr_1:GET%20%2Fv1%2Ftasks".
[[nodiscard]] std::string rate_key(std::span<const std::string_view> parts);
inline constexpr std::size_t rate_key_part_max = 72;
inline constexpr std::size_t rate_key_parts_max = 8;

/// Under which a store keeps a key's state: "api.m:{usr_1}:GET%20%2Fv1%2Ftasks". What a policy
/// counts in another form lies apart. All keys with the same first part have one hash slot.
[[nodiscard]] std::string rate_state_name(std::string_view prefix, const RatePolicy& policy,
                                          std::string_view key);

/// One request at one policy.
struct RateCharge {
    RatePolicyPtr policy;
    /// By rate_key().
    std::string key;
    std::int64_t cost = 1;
};

struct RateStatus {
    /// Requests of cost 1 that would be let in now.
    std::int64_t remaining = 0;
    /// Until nothing is used.
    Clock::duration reset{};
    /// Until this cost would be let in; zero: now.
    Clock::duration retry_after{};
};

struct RateDecision {
    bool allowed = true;
    /// Index of the charge that was denied (the one that has to wait for longest).
    std::optional<std::size_t> denied_by = {};
    /// One a charge: after it, or as it is where nothing was charged.
    std::vector<RateStatus> limits = {};

    [[nodiscard]] Clock::duration retry_after() const {
        return denied_by ? limits[*denied_by].retry_after : Clock::duration::zero();
    }
};

enum class RateAction : std::uint8_t {
    /// Charges all or none.
    check,
    /// Says what check would, and charges nothing.
    peek,
    /// Charges whatever is left: what remains may be less than nothing, and has to come back first.
    penalize,
};

/// Counts requests against policies, over all processes that share its store, by that store's
/// clock. From one executor. Contract: `tests/contract/rate_limiter_contract.hpp`.
///
/// Errors: those of the store: `unavailable` (nothing was charged), `outcome_unknown` (it may have
/// been), `out_of_memory`, and `unsupported`: something else lies at the key. invalid_argument: no
/// charge, more than charges_max, one key twice, or a cost that the policy can never let in.
class RateLimiter {
public:
    static constexpr std::size_t charges_max = 16;
    /// Called once, maybe before the call returns.
    using OnDecision = std::function<void(result<RateDecision> decision)>;

    virtual ~RateLimiter() = default;
    /// One round trip, however many charges. All or none are charged where the keys lie on one
    /// server; over several of a Redis Cluster those that were charged get it back once one has
    /// denied: for that moment others may be denied too early, and never let in too much.
    virtual void act(RateAction action, std::vector<RateCharge> charges,
                     OnDecision on_decision) = 0;
    awaitable<result<RateDecision>> act(RateAction action, std::vector<RateCharge> charges);

    /// Denies the key for so long (at most rate_time_max), from now. Afterwards it is as if the
    /// key's limit had just been used up (GCRA), or starts anew (sliding window).
    virtual awaitable<result<void>> block(RatePolicyPtr policy, std::string key,
                                          std::chrono::milliseconds time) = 0;
    /// The key starts anew: its block, its penalties and what it has used are forgotten.
    virtual awaitable<result<void>> unblock(RatePolicyPtr policy, std::string key) = 0;

protected:
    [[nodiscard]] static result<void> validate(RateAction action,
                                               std::span<const RateCharge> charges);
};

/// Out of what each charge found. `charged`: the states are those after all were let in. After a
/// penalty, and where it is not charged, it says when the cost (of a penalty: 1) would be let in.
[[nodiscard]] RateDecision rate_decision(RateAction action, std::span<const RateCharge> charges,
                                         std::span<const RateState> states, bool charged);

} // namespace netbuild
