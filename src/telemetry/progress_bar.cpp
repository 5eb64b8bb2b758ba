// SPDX-License-Identifier: Apache-2.0
#include "telemetry/progress_bar.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace netbuild {
namespace {

constexpr std::chrono::milliseconds redraw_interval{100};
constexpr std::chrono::seconds line_interval{2};
constexpr std::size_t bar_width = 24;

std::string grouped(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, 1, ',');
    }
    return text;
}

std::string time_left(double seconds) {
    const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
    if (whole < 120) return fmt::format("{} s", whole);
    if (whole < 2 * 3600) return fmt::format("{} min", whole / 60);
    return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

} // namespace

ProgressBar::ProgressBar(std::string title, std::string unit, Time now)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      started_(now),
      terminal_(isatty(STDERR_FILENO) == 1) {}

std::string ProgressBar::text(const std::string& title, const std::string& unit, std::uint64_t done,
                              std::uint64_t total, double per_second) {
    std::string out = title + ": " + grouped(done);
    if (total > 0) out += " of about " + grouped(std::max(done, total));
    out += " " + unit;
    if (total > 0) {
        out += fmt::format(" ({:.0f} %)", 100 * static_cast<double>(done) /
                                              static_cast<double>(std::max(done, total)));
    }
    if (per_second <= 0) return out;
    out += fmt::format(", {} a second", grouped(static_cast<std::uint64_t>(per_second)));
    if (total > done)
        out += fmt::format(", {} left", time_left(static_cast<double>(total - done) / per_second));
    return out;
}

void ProgressBar::update(std::uint64_t done, std::uint64_t total, Time now) {
    if (!begun_) first_ = done;
    const Time due = shown_ + (terminal_ ? Time(redraw_interval) : Time(line_interval));
    if (begun_ && now < due) return;
    begun_ = true;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - started_).count();
    const double rate =
        seconds > 0 && done > first_ ? static_cast<double>(done - first_) / seconds : 0;
    const std::string line = text(title_, unit_, done, total, rate);
    if (!terminal_) {
        fmt::print(stderr, "{}\n", line);
        return;
    }
    const std::uint64_t whole = std::max<std::uint64_t>({done, total, 1});
    const auto full = static_cast<std::size_t>(done * bar_width / whole);
    fmt::print(stderr, "\r[{}{}] {}\x1b[K", std::string(full, '#'),
               std::string(bar_width - full, ' '), line);
    std::fflush(stderr);
    line_open_ = true;
}

void ProgressBar::finish() {
    if (std::exchange(line_open_, false)) fmt::print(stderr, "\n");
}

} // namespace netbuild
