// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace netbuild {

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, the same on every machine for a seed.
/// For jitter, sampling and simulation; never for secrets.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    /// Seeded by the operating system.
    [[nodiscard]] static Random from_system();

    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    /// 0 ≤ n < bound; bound > 0.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
    /// 0 ≤ x < 1.
    double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

private:
    std::uint64_t state_;
};

} // namespace netbuild
