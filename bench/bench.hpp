// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

// What the bench programs share. Benches measure real time and use plain threads: they stand
// outside the rule that only src/runtime does.
namespace netbuild::bench {

using SteadyClock = std::chrono::steady_clock;

[[nodiscard]] inline double seconds_since(SteadyClock::time_point start) {
    return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

[[noreturn]] inline void die(const std::string& text) {
    fmt::print(stderr, "netbuild_bench: {}\n", text);
    std::exit(1);
}

/// `--name value` pairs.
class Arguments {
public:
    Arguments(int count, char** values) {
        for (int at = 2; at < count; at += 2) {
            const std::string_view name = values[at];
            if (!name.starts_with("--") || at + 1 == count) die(fmt::format("what is {}?", name));
            values_[std::string(name.substr(2))] = values[at + 1];
        }
    }
    [[nodiscard]] std::string text(const std::string& name) const {
        const auto found = values_.find(name);
        if (found == values_.end()) die(fmt::format("--{} is missing", name));
        return found->second;
    }
    [[nodiscard]] std::string text(const std::string& name, std::string otherwise) const {
        const auto found = values_.find(name);
        return found == values_.end() ? std::move(otherwise) : found->second;
    }
    [[nodiscard]] double number(const std::string& name) const { return std::stod(text(name)); }
    [[nodiscard]] double number(const std::string& name, double otherwise) const {
        return values_.contains(name) ? number(name) : otherwise;
    }

private:
    std::map<std::string, std::string> values_;
};

/// "host=… port=…" as libpq's keywords; values without spaces.
[[nodiscard]] inline std::map<std::string, std::string> parse_conninfo(const std::string& text) {
    std::map<std::string, std::string> parameters;
    std::istringstream conninfo(text);
    for (std::string pair; conninfo >> pair;)
        parameters[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
    return parameters;
}

[[nodiscard]] inline double percentile(std::vector<double>& values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    return values[std::min(values.size() - 1, at)];
}

// One a subcommand; each prints one JSON object.
int run_capture(const Arguments& arguments);
int run_apply(const Arguments& arguments);
int run_load(const Arguments& arguments);
int run_latency(const Arguments& arguments);
int run_find_loop(const Arguments& arguments);
int run_messages(const Arguments& arguments);
int run_ai_context(const Arguments& arguments);
int run_scan(const Arguments& arguments);
int run_upsert_loop(const Arguments& arguments);
int run_ratelimit(const Arguments& arguments);
int run_ratelimit_local(const Arguments& arguments);
int run_drop_database(const Arguments& arguments);
int run_session(const Arguments& arguments);

} // namespace netbuild::bench
