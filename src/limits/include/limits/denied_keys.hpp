// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/random.hpp"

namespace netbuild::limits {

/// Keys that are denied until a moment: a table of fixed size, in which a new key takes the place
/// of the one of its bucket that ends first. Of a key it has a hash of 128 bits under a secret of
/// this process's: nobody can make two that are the same, and by chance none are.
class DeniedKeys {
public:
    /// Room for at least so many keys, 24 bytes each.
    DeniedKeys(std::size_t keys_max, Random random);

    /// Until when; zero: it is not known to be denied.
    [[nodiscard]] Clock::duration until(std::uint64_t policy, std::string_view key) const noexcept {
        const Print print = print_of(policy, key);
        const Bucket& bucket = bucket_of(print);
        for (std::size_t i = 0; i < ways; ++i) {
            if (bucket.low[i] == print.low && bucket.high[i] == print.high)
                return Clock::duration(bucket.until[i]);
        }
        return {};
    }
    void deny(std::uint64_t policy, std::string_view key, Clock::duration until) noexcept;
    void forget(std::uint64_t policy, std::string_view key) noexcept;

private:
    static constexpr std::size_t ways = 4;
    struct Print {
        std::uint64_t low, high;
    };
    /// What has ended, and what was never there, has an `until` that has passed.
    struct Bucket {
        std::array<std::uint64_t, ways> low{}, high{};
        std::array<std::int64_t, ways> until{};
    };

    [[nodiscard]] Print print_of(std::uint64_t policy, std::string_view key) const noexcept;
    [[nodiscard]] const Bucket& bucket_of(const Print& print) const noexcept {
        return buckets_[print.low & mask_];
    }

    std::array<std::uint64_t, 4> secrets_;
    std::uint64_t mask_;
    std::vector<Bucket> buckets_;
};

} // namespace netbuild::limits
