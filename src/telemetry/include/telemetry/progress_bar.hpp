// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace netbuild {

/// How far long work is, on stderr: a bar that is redrawn on a terminal, else a plain line now and
/// then. Rate and time left are those of this bar's life, so that resumed work shows its own speed.
class ProgressBar {
public:
    using Time = std::chrono::nanoseconds; // of a steady clock
    /// "loading", "process instances".
    ProgressBar(std::string title, std::string unit, Time now);
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    ~ProgressBar() { finish(); }

    /// `total` may be an estimate, and 0 if unknown.
    void update(std::uint64_t done, std::uint64_t total, Time now);
    /// Ends the terminal's line.
    void finish();

    /// "loading: 450 of about 1,000 process instances (45 %), 150 a second, 4 s left".
    [[nodiscard]] static std::string text(const std::string& title, const std::string& unit,
                                          std::uint64_t done, std::uint64_t total,
                                          double per_second);

private:
    std::string title_, unit_;
    Time started_, shown_{};
    std::uint64_t first_ = 0;
    bool begun_ = false, line_open_ = false;
    bool terminal_;
};

} // namespace netbuild
