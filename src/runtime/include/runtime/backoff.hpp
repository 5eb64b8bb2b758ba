// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>

#include "runtime/clock.hpp"
#include "runtime/random.hpp"

namespace netbuild {

/// Exponential backoff with full jitter: the n-th wait is uniform in [first, min(max, first·2^n)].
class Backoff {
public:
    struct Options {
        Clock::duration first = std::chrono::milliseconds(100);
        Clock::duration max = std::chrono::seconds(10);
    };
    Backoff(Options options, Random& random) : options_(options), random_(random) {}

    [[nodiscard]] Clock::duration next() {
        const auto span = ceiling_ - options_.first;
        const auto wait = options_.first + Clock::duration(static_cast<Clock::duration::rep>(
                                               random_.unit() * static_cast<double>(span.count())));
        ceiling_ = std::min(options_.max, ceiling_ * 2);
        return wait;
    }
    void reset() { ceiling_ = options_.first; }

private:
    Options options_;
    Random& random_;
    Clock::duration ceiling_ = options_.first;
};

} // namespace netbuild
