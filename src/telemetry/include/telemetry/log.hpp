// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

#include <fmt/format.h>

namespace netbuild::log {

enum class Level { debug, info, warning, error, silent };
enum class Format { text, json };

/// Lines go to stderr; `level` and above. Call once, before threads start.
void configure(Level level, Format format);
void write(Level level, std::string_view message);
[[nodiscard]] bool enabled(Level level) noexcept;

template <class... Args>
void info(fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::info)) write(Level::info, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::warning))
        write(Level::warning, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::error)) write(Level::error, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(Level::debug)) write(Level::debug, fmt::format(text, std::forward<Args>(args)...));
}

} // namespace netbuild::log
