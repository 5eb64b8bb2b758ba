// SPDX-License-Identifier: Apache-2.0
#include "rate_limiting.hpp"

#include <fmt/format.h>

#include "app/adapters.hpp"
#include "memory/memory_rate_limiter.hpp"
#include "metric_text.hpp"
#include "redis/redis_rate_limiter.hpp"

namespace netbuild::app {
namespace {

std::unique_ptr<RateLimiter> make_limiter(RedisClient* redis, asio::any_io_executor executor,
                                          Clock& clock) {
    if (redis) return std::make_unique<RedisRateLimiter>(std::move(executor), *redis);
    return std::make_unique<MemoryRateLimiter>(clock, MemoryRateLimiter::Options{});
}

limits::RateGate::Options gate_options(const Configuration& configuration) {
    return {.denied_keys_max =
                static_cast<std::size_t>(configuration.integer("ratelimit.denied_keys_max")),
            .hold_max = configuration.duration("ratelimit.hold_max")};
}

} // namespace

RateLimiting::RateLimiting(const Configuration& configuration, asio::any_io_executor executor,
                           Clock& clock)
    : policies_(limits::parse_policies(configuration.text("ratelimit.policies")).value()),
      redis_(make_redis(
          configuration, executor, clock,
          {.name = "netbuild-ratelimit", .timeout = configuration.duration("ratelimit.timeout")})),
      limiter_(make_limiter(redis_.get(), executor, clock)),
      gate_(*limiter_, clock, Random::from_system(), gate_options(configuration)),
      limits_(gate_, policies_,
              http::TrustedProxies::parse(configuration.text("ratelimit.trusted_proxies")).value()),
      routes_(gate_, policies_) {
    for (const auto& each : policies_)
        gate_.count(each.policy->name());
}

result<void> RateLimiting::start() {
    if (redis_) TRY_VOID(redis_->start());
    return {};
}

awaitable<void> RateLimiting::stop() {
    if (redis_) co_await redis_->stop();
}

std::string RateLimiting::metrics() const {
    using Counters = limits::RateGate::Counters;
    struct Metric {
        std::string_view name, help;
        std::uint64_t Counters::* count;
    };
    constexpr Metric all[] = {
        {"allowed", "Requests that a limit let in", &Counters::allowed},
        {"denied", "Requests that a limit denied", &Counters::denied},
        {"denied_locally", "Of keys that were known to be denied", &Counters::denied_locally},
        {"failed_open", "Let in because Redis did not answer", &Counters::failed_open},
        {"failed_closed", "Denied because Redis did not answer", &Counters::failed_closed}};
    std::string out;
    for (const Metric& metric : all) {
        const std::string name = fmt::format("netbuild_ratelimit_{}_total", metric.name);
        append_metric_head(out, name, "counter", metric.help);
        for (const auto& [policy, counters] : gate_.counters())
            out += fmt::format("{}{{policy=\"{}\"}} {}\n", name, policy, counters.*metric.count);
    }
    return out;
}

} // namespace netbuild::app
