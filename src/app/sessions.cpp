// SPDX-License-Identifier: Apache-2.0
#include "sessions.hpp"

#include <sstream>

#include <fmt/format.h>

#include "memory/memory_sessions.hpp"
#include "metric_text.hpp"
#include "redis/node_sessions.hpp"
#include "redis/redis_sessions.hpp"

namespace netbuild::app {
namespace {

SessionTimeouts timeouts_of(const Configuration& configuration) {
    return {.idle = configuration.duration("sessions.idle_timeout"),
            .absolute = configuration.duration("sessions.absolute_timeout")};
}

} // namespace

std::shared_ptr<SessionStore> make_sessions(const Configuration& configuration, RedisClient* redis,
                                            Clock& clock) {
    const SessionTimeouts timeouts = timeouts_of(configuration);
    if (!redis)
        return std::make_shared<MemorySessions>(clock,
                                                MemorySessions::Options{.timeouts = timeouts});
    if (configuration.text("sessions.format") == "connect-redis") {
        NodeSessions::Options options;
        options.timeouts = timeouts;
        options.prefix = configuration.text("sessions.prefix");
        options.user_field = configuration.text("sessions.user_field");
        auto sessions = std::make_shared<NodeSessions>(*redis, clock, std::move(options));
        return {sessions, &sessions->store()};
    }
    auto sessions = std::make_shared<RedisSessions>(*redis, clock,
                                                    RedisSessions::Options{.timeouts = timeouts});
    return {sessions, &sessions->store()};
}

std::vector<std::string> cookie_secrets(const Configuration& configuration) {
    std::istringstream words(configuration.text("sessions.cookie_secret"));
    std::vector<std::string> secrets;
    for (std::string secret; words >> secret;)
        secrets.push_back(secret);
    return secrets;
}

result<void> check_sessions(const Configuration& configuration) {
    const auto bad = [&](std::string_view key, std::string_view why) {
        return fail(ErrorCode::invalid_configuration,
                    fmt::format("{} ({}): {}", key, configuration.at(key).source, why));
    };
    const SessionTimeouts timeouts = timeouts_of(configuration);
    if (timeouts.idle < std::chrono::seconds(1))
        return bad("sessions.idle_timeout", "must be at least 1s");
    if (timeouts.absolute < timeouts.idle)
        return bad("sessions.absolute_timeout", "must not be shorter than sessions.idle_timeout");
    if (configuration.text("sessions.format") == "connect-redis" && !configuration.has("redis.url"))
        return bad("sessions.format", "\"connect-redis\" needs redis.url (REDIS_URL)");
    const std::string& prefix = configuration.text("sessions.prefix");
    if (prefix.empty() || prefix.find_first_of("{}*?[]\\") != std::string::npos)
        return bad("sessions.prefix", "is empty or has one of {}*?[]\\");
    if (!configuration.has("sessions.user_field"))
        return bad("sessions.user_field", "must not be empty");
    return {};
}

std::string session_metrics(const SessionStore::Counters& counters) {
    std::string out;
    const auto add = [&](std::string_view name, std::string_view help, std::uint64_t value) {
        append_metric(out, fmt::format("netbuild_sessions_{}_total", name), "counter", help, value);
    };
    add("created", "Sessions of other services' users that were made here", counters.created);
    add("rotated", "Sessions that were given another id", counters.rotated);
    add("revoked", "Sessions that were ended", counters.revoked);
    add("refused_writes", "Writes to sessions that had ended, or were not as expected",
        counters.refused_writes);
    add("repeated_writes", "Writes that were made again, as another one had come in between",
        counters.repeated_writes);
    return out;
}

} // namespace netbuild::app
