// SPDX-License-Identifier: Apache-2.0
#include "wire/wall_time.hpp"

#include <chrono>

namespace netbuild {
namespace {

int digits(std::string_view text, std::size_t from, std::size_t count) {
    int number = 0;
    for (std::size_t i = from; i < from + count; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

} // namespace

std::optional<std::int64_t> parse_wall_time(std::string_view text) noexcept {
    if (text.size() < 19) return std::nullopt;
    const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    const int hour = digits(text, 11, 2), minute = digits(text, 14, 2),
              second = digits(text, 17, 2);
    if (year < 0 || month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0)
        return std::nullopt;
    int milliseconds = 0, scale = 100;
    for (std::size_t i = 20; i < text.size() && scale > 0; ++i, scale /= 10) {
        if (text[i] < '0' || text[i] > '9') break;
        milliseconds += (text[i] - '0') * scale;
    }
    const std::chrono::year_month_day calendar = std::chrono::year(year) / month / day;
    if (!calendar.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
    const std::chrono::sys_days date{calendar};
    const std::int64_t seconds =
        std::int64_t{date.time_since_epoch().count()} * 86400 + hour * 3600 + minute * 60 + second;
    return seconds * 1000 + milliseconds;
}

} // namespace netbuild
