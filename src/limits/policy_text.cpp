// SPDX-License-Identifier: Apache-2.0
#include "limits/policy_text.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace netbuild::limits {
namespace {

constexpr std::size_t policies_max = 100;
constexpr std::string_view space = " \t\r";

/// Takes what stands before one of `separators` off the front.
std::string_view next(std::string_view& text, std::string_view separators) {
    const auto at = std::min(text.find_first_of(separators), text.size());
    const std::string_view found = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return found;
}

Error bad(std::string_view policy, std::string_view what) {
    return fail(ErrorCode::invalid_configuration, fmt::format("policy {}: {}", policy, what));
}

result<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size())
        return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" is no whole number", text));
    return value;
}

result<std::chrono::milliseconds> period(std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string_view unit = text.substr(digits);
    const std::int64_t ms = unit == "ms"  ? 1
                            : unit == "s" ? 1000
                            : unit == "m" ? 60'000
                            : unit == "h" ? 3'600'000
                            : unit == "d" ? 86'400'000
                                          : 0;
    // "m" is one minute.
    const auto count = digits == 0 ? result<std::int64_t>(1) : number(text.substr(0, digits));
    constexpr std::int64_t count_max = 1'000'000'000;
    if (ms == 0 || !count || *count > count_max)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("\"{}\" is no period such as 10s, 5m, h", text));
    return std::chrono::milliseconds(*count * ms);
}

result<std::vector<RateKeyPart>> key_parts(std::string_view text) {
    std::vector<RateKeyPart> parts;
    while (!text.empty()) {
        const std::string_view word = next(text, ",");
        const auto known = {RateKeyPart::user, RateKeyPart::domain, RateKeyPart::ip,
                            RateKeyPart::route};
        const auto found = std::find_if(known.begin(), known.end(),
                                        [&](RateKeyPart part) { return to_string(part) == word; });
        if (found == known.end())
            return fail(ErrorCode::invalid_argument,
                        fmt::format("by={}: must be of user, domain, ip, route", word));
        parts.push_back(*found);
    }
    return parts;
}

result<void> read_word(std::string_view word, RatePolicySettings& settings,
                       std::vector<std::string>& on) {
    std::string_view value = word;
    const std::string_view name = next(value, "=");
    if (word == "window") {
        settings.algorithm = RateAlgorithm::sliding_window;
    } else if (word == "closed") {
        settings.fail_open = false;
    } else if (name == "burst") {
        TRY(settings.burst, number(value));
    } else if (name == "cost") {
        TRY(settings.cost, number(value));
    } else if (name == "by") {
        TRY(settings.key, key_parts(value));
    } else if (name == "on") {
        while (!value.empty())
            on.emplace_back(next(value, ","));
        for (const std::string& route : on) {
            if (route.find('/') == std::string::npos)
                return fail(ErrorCode::invalid_argument,
                            fmt::format("on={}: must be PATH or METHOD:PATH", route));
        }
    } else {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("\"{}\" is none of burst=, cost=, by=, on=, window, closed", word));
    }
    return {};
}

result<ConfiguredPolicy> parse_policy(std::string_view text) {
    RatePolicySettings settings;
    ConfiguredPolicy configured;
    settings.name = next(text, space);
    std::size_t words = 0;
    while (!text.empty()) {
        const std::string_view word = next(text, space);
        if (word.empty()) continue;
        if (words++ > 0) {
            TRY_VOID(read_word(word, settings, configured.on));
            continue;
        }
        std::string_view rate = word;
        TRY(settings.limit, number(next(rate, "/")));
        TRY(settings.period, period(rate));
    }
    if (words == 0) return fail(ErrorCode::invalid_argument, "LIMIT/PERIOD is missing");
    TRY(configured.policy, RatePolicy::make(std::move(settings)));
    return configured;
}

} // namespace

std::string_view to_string(RateKeyPart part) noexcept {
    switch (part) {
    case RateKeyPart::user:
        return "user";
    case RateKeyPart::domain:
        return "domain";
    case RateKeyPart::ip:
        return "ip";
    case RateKeyPart::route:
        break;
    }
    return "route";
}

result<std::vector<ConfiguredPolicy>> parse_policies(std::string_view text) {
    std::vector<ConfiguredPolicy> policies;
    while (!text.empty()) {
        std::string_view line = next(text, ";\n");
        line.remove_prefix(std::min(line.find_first_not_of(space), line.size()));
        if (line.empty()) continue;
        const std::string name(line.substr(0, line.find_first_of(space)));
        auto policy = parse_policy(line);
        if (!policy) return bad(name, policy.error().detail());
        for (const auto& other : policies) {
            if (other.policy->name() == name) return bad(name, "is there twice");
        }
        const auto on_routes = std::count_if(policies.begin(), policies.end(),
                                             [](const auto& other) { return !other.on.empty(); });
        // So that no route has more than one check can ask for.
        if (!policy->on.empty() && on_routes == RateLimiter::charges_max)
            return bad(name, fmt::format("is one more with on= than {}", RateLimiter::charges_max));
        policies.push_back(std::move(*policy));
        if (policies.size() > policies_max)
            return bad(name, fmt::format("is one more than {}", policies_max));
    }
    return policies;
}

} // namespace netbuild::limits
