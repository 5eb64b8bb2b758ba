// SPDX-License-Identifier: Apache-2.0
#include "runtime/time_zone.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace netbuild {
namespace {

std::int64_t big_endian(std::string_view bytes) {
    std::int64_t number = static_cast<signed char>(bytes[0]);
    for (std::size_t i = 1; i < bytes.size(); ++i) {
        number = (number << 8) | static_cast<unsigned char>(bytes[i]);
    }
    return number;
}

struct Header {
    static constexpr std::size_t bytes = 44;
    std::size_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;

    [[nodiscard]] static Header read(std::string_view data) {
        const auto field = [&](int index) {
            return static_cast<std::size_t>(big_endian(data.substr(20 + 4 * index, 4)));
        };
        return {field(0), field(1), field(2), field(3), field(4), field(5)};
    }
    [[nodiscard]] std::size_t body_bytes(std::size_t time_bytes) const {
        return timecnt * time_bytes + timecnt + typecnt * 6 + charcnt + leapcnt * (time_bytes + 4) +
               isstdcnt + isutcnt;
    }
};

// "+02:00", "-0530", "+02".
bool parse_offset(std::string_view text, std::int32_t& seconds) {
    if (text.size() < 3 || (text[0] != '+' && text[0] != '-')) return false;
    const auto number = [](std::string_view digits, int& value) {
        const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return ec == std::errc{} && end == digits.data() + digits.size() && digits.size() == 2;
    };
    int hours = 0, minutes = 0;
    std::string_view rest = text.substr(3);
    if (!rest.empty() && rest[0] == ':') rest.remove_prefix(1);
    if (!number(text.substr(1, 2), hours) || (!rest.empty() && !number(rest, minutes)))
        return false;
    seconds = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return hours <= 18 && minutes < 60;
}

} // namespace

result<TimeZone> TimeZone::load(const std::string& name) {
    if (name == "UTC" || name == "Z" || name.empty()) return utc();
    if (std::int32_t seconds = 0; parse_offset(name, seconds)) return TimeZone({}, seconds);
    const auto refuse = [&](const char* why) {
        return fail(ErrorCode::invalid_configuration, "engine.time_zone '" + name + "' " + why +
                                                          "; use UTC, +02:00 or Europe/Berlin");
    };
    if (name.find("..") != std::string::npos || name[0] == '/') return refuse("is not a zone name");
    std::ifstream file(std::filesystem::path("/usr/share/zoneinfo") / name, std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(file), {}};
    if (data.size() < 2 * Header::bytes || data.compare(0, 4, "TZif") != 0 || data[4] < '2') {
        return refuse("is not in the system's tz database");
    }
    // The second body has 64-bit times; the first is for readers of version 1.
    const std::size_t second = Header::bytes + Header::read(data).body_bytes(4);
    const std::string_view body = std::string_view(data).substr(std::min(second, data.size()));
    if (body.size() < Header::bytes) return refuse("has a damaged file");
    const Header header = Header::read(body);
    if (body.size() < Header::bytes + header.body_bytes(8)) return refuse("has a damaged file");
    const std::string_view times = body.substr(Header::bytes);
    const std::string_view indexes = times.substr(header.timecnt * 8);
    const std::string_view types = indexes.substr(header.timecnt);
    const auto offset = [&](std::size_t type) {
        return static_cast<std::int32_t>(big_endian(types.substr(type * 6, 4)));
    };
    std::vector<Transition> transitions;
    for (std::size_t i = 0; i < header.timecnt; ++i) {
        const auto type = static_cast<unsigned char>(indexes[i]);
        if (type >= header.typecnt) return refuse("has a damaged file");
        transitions.push_back({big_endian(times.substr(i * 8, 8)), offset(type)});
    }
    return TimeZone(std::move(transitions), offset(0));
}

std::int64_t TimeZone::to_utc_ms(std::int64_t wall_ms) const noexcept {
    std::int32_t offset = first_offset_s_;
    for (const auto& transition : transitions_) {
        // Compared in the wall time before the change: a repeated hour stays with the old offset.
        if (wall_ms < (transition.at_s + offset) * 1000) break;
        offset = transition.offset_s;
    }
    return wall_ms - std::int64_t{offset} * 1000;
}

std::int64_t TimeZone::to_wall_ms(std::int64_t utc_ms) const noexcept {
    std::int32_t offset_s = first_offset_s_;
    for (const Transition& transition : transitions_) {
        if (transition.at_s * 1000 > utc_ms) break;
        offset_s = transition.offset_s;
    }
    return utc_ms + std::int64_t{offset_s} * 1000;
}

} // namespace netbuild
