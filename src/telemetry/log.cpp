// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace netbuild::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                    spdlog::level::warn, spdlog::level::err,
                                                    spdlog::level::off};
    return levels[static_cast<int>(level)];
}

// stdout belongs to a command's answer; logs go to stderr.
spdlog::logger& logger() {
    static const auto instance = [] {
        auto made = spdlog::stderr_color_mt("netbuild");
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
        return made;
    }();
    return *instance;
}

} // namespace

void configure(Level level, Format format) {
    logger().set_level(to_spdlog(level));
    if (format == Format::json) {
        logger().set_pattern(R"({"at":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%v"})",
                             spdlog::pattern_time_type::utc);
    }
}

void write(Level level, std::string_view message) { logger().log(to_spdlog(level), message); }

bool enabled(Level level) noexcept { return logger().should_log(to_spdlog(level)); }

} // namespace netbuild::log
