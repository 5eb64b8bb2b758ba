// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "runtime/clock.hpp"

namespace netbuild::app {

/// What a setting may be.
enum class SettingType : unsigned char { text, integer, boolean, duration };

/// One key of netbuild.toml; the table of all of them is `settings()`.
struct SettingInfo {
    std::string_view key; // "postgres.host"
    SettingType type;
    std::string_view default_value;
    /// Names that deployments already have, such as POSTGRES_HOST; empty: NETBUILD_<SECTION>_<KEY>
    /// only.
    std::string_view environment;
    bool secret;
    /// The allowed values, separated by |; empty: any.
    std::string_view choices;
    std::string_view help;
};
[[nodiscard]] std::span<const SettingInfo> settings() noexcept;

/// The effective configuration: defaults, overridden by netbuild.toml, by the environment, by
/// flags.
class Configuration {
public:
    struct Setting {
        std::string value;
        /// "default", "netbuild.toml:12", "POSTGRES_HOST", "--port".
        std::string source;
    };
    using Environment = std::map<std::string, std::string>;
    using Flags = std::map<std::string, std::string>; // key → value

    /// `file` empty: ./netbuild.toml if there is one. invalid_configuration names key, file and
    /// line.
    [[nodiscard]] static result<Configuration>
    load(const std::string& file, const Environment& environment, const Flags& flags);
    /// The process's environment.
    [[nodiscard]] static Environment environment();

    [[nodiscard]] const std::string& text(std::string_view key) const { return at(key).value; }
    [[nodiscard]] bool has(std::string_view key) const { return !at(key).value.empty(); }
    [[nodiscard]] std::int64_t integer(std::string_view key) const;
    [[nodiscard]] bool boolean(std::string_view key) const { return at(key).value == "true"; }
    [[nodiscard]] Clock::duration duration(std::string_view key) const;
    [[nodiscard]] const Setting& at(std::string_view key) const;
    /// As people may see it: secrets and passwords in URLs are masked.
    [[nodiscard]] std::string shown(const SettingInfo& info) const;
    /// Sets a value as if by a flag.
    result<void> set(std::string_view key, std::string value, std::string source);

private:
    std::map<std::string, Setting, std::less<>> values_;
};

/// Only programs of this machine reach a listener there.
[[nodiscard]] bool is_loopback(std::string_view host) noexcept;

/// "250ms", "30s", "5m", "1h", "7d".
[[nodiscard]] result<Clock::duration> parse_duration(std::string_view text);

} // namespace netbuild::app
