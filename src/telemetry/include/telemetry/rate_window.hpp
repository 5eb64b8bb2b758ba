// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <optional>
#include <utility>

#include "runtime/clock.hpp"

namespace netbuild {

/// How fast a counter has risen in the last minute.
class RateWindow {
public:
    void add(Clock::duration at, double value) {
        // A counter that went back is another one.
        if (!readings_.empty() && value < readings_.back().second) readings_.clear();
        readings_.emplace_back(at, value);
        while (readings_.size() > readings_max || readings_.front().first + window < at)
            readings_.pop_front();
    }
    /// nullopt before there are two readings.
    [[nodiscard]] std::optional<double> per_second() const {
        if (readings_.size() < 2) return std::nullopt;
        const auto& [first_at, first] = readings_.front();
        const auto& [last_at, last] = readings_.back();
        const double seconds = std::chrono::duration<double>(last_at - first_at).count();
        return seconds > 0 ? std::optional((last - first) / seconds) : std::nullopt;
    }

private:
    static constexpr std::chrono::seconds window{60};
    static constexpr std::size_t readings_max = 240;
    std::deque<std::pair<Clock::duration, double>> readings_;
};

} // namespace netbuild
