// SPDX-License-Identifier: Apache-2.0
#include "http/ratelimit_routes.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace netbuild::http {
namespace {

constexpr Field one_fields[] = {
    {.name = "policy", .required = true, .size_max = 40},
    {.name = "key", .type = FieldType::list, .size_max = rate_key_parts_max},
    {.name = "cost", .type = FieldType::integer},
    {.name = "limit", .type = FieldType::integer},
    {.name = "periodMs", .type = FieldType::integer},
    {.name = "burst", .type = FieldType::integer},
    {.name = "algorithm", .choices = "gcra|window"},
    {.name = "whenAway", .choices = "open|closed"},
};
constexpr Field act_fields[] = {{.name = "checks",
                                 .type = FieldType::list,
                                 .required = true,
                                 .size_max = RateLimiter::charges_max,
                                 .fields = one_fields,
                                 .element = FieldType::object}};
constexpr Field block_fields[] = {
    {.name = "policy", .required = true, .size_max = 40},
    {.name = "key", .type = FieldType::list, .size_max = rate_key_parts_max},
    {.name = "limit", .type = FieldType::integer},
    {.name = "periodMs", .type = FieldType::integer},
    {.name = "burst", .type = FieldType::integer},
    {.name = "algorithm", .choices = "gcra|window"},
    {.name = "forMs", .type = FieldType::integer},
};
/// A block may also end by hand: `forMs` is not one of it.
constexpr auto unblock_fields = std::span(block_fields).first(std::size(block_fields) - 1);

std::string key_of(const Object& given) {
    std::vector<std::string_view> parts;
    if (const Value* key = given.find("key")) {
        for (const Value& part : *key->get_if<Array>())
            parts.push_back(part.string_or());
    }
    return rate_key(parts);
}

std::int64_t milliseconds_up(Clock::duration time) {
    return std::chrono::ceil<std::chrono::milliseconds>(time).count();
}

Reply reply_of(std::span<const RateCharge> charges, const limits::Outcome& outcome) {
    const RateDecision& decision = outcome.decision;
    Array limits;
    for (std::size_t i = 0; i < charges.size(); ++i) {
        const RateStatus& status = decision.limits[i];
        limits.push_back(Object{{"policy", charges[i].policy->name()},
                                {"limit", charges[i].policy->settings().limit},
                                {"remaining", status.remaining},
                                {"resetMs", milliseconds_up(status.reset)},
                                {"retryAfterMs", milliseconds_up(status.retry_after)}});
    }
    Object headers;
    for (const auto& [name, value] : rate_headers(charges, outcome))
        headers.append(name, value);
    return {.body = Object{{"allowed", decision.allowed},
                           {"deniedBy", decision.denied_by
                                            ? Value(charges[*decision.denied_by].policy->name())
                                            : Value()},
                           {"retryAfterMs", milliseconds_up(decision.retry_after())},
                           {"source", to_string(outcome.source)},
                           {"limits", std::move(limits)},
                           {"headers", std::move(headers)}}};
}

} // namespace

RateLimitRoutes::RateLimitRoutes(limits::RateGate& gate,
                                 const std::vector<limits::ConfiguredPolicy>& configured)
    : gate_(gate) {
    for (const auto& each : configured)
        configured_.emplace(each.policy->name(), each.policy);
}

void RateLimitRoutes::add_to(Routes& routes) {
    routes.add("POST", "/v1/ratelimit:check",
               [this](Call& call) { return act(call, RateAction::check); });
    routes.add("POST", "/v1/ratelimit:peek",
               [this](Call& call) { return act(call, RateAction::peek); });
    routes.add("POST", "/v1/ratelimit:penalize",
               [this](Call& call) { return act(call, RateAction::penalize); });
    routes.add("POST", "/v1/ratelimit:block", [this](Call& call) { return block(call); });
    routes.add("POST", "/v1/ratelimit:unblock", [this](Call& call) { return unblock(call); });
}

/// One of the configuration by its name alone; one of the service's with its limit and period.
result<RatePolicyPtr> RateLimitRoutes::policy_of(const Object& given) const {
    const std::string name(given.text("policy"));
    const auto found = configured_.find(name);
    const auto has = [&](std::string_view field) { return given.contains(field); };
    if (found != configured_.end()) {
        for (const std::string_view field :
             {"limit", "periodMs", "burst", "algorithm", "whenAway"}) {
            if (has(field))
                return fail(ErrorCode::invalid_argument,
                            fmt::format("{}: the policy {} is configured here", field, name));
        }
        return found->second;
    }
    if (!has("limit") || !has("periodMs"))
        return fail(ErrorCode::invalid_argument,
                    fmt::format("policy: {} is not configured here, so it needs limit and periodMs",
                                printable_name(name)));
    RatePolicySettings settings;
    settings.name = name;
    settings.limit = given.integer("limit");
    // Of one that is out of range nothing needs to be exact.
    settings.period = std::chrono::milliseconds(
        std::clamp<std::int64_t>(given.integer("periodMs"), 0, 1'000'000'000'000));
    settings.burst = given.integer("burst");
    if (given.text("algorithm") == "window") settings.algorithm = RateAlgorithm::sliding_window;
    settings.fail_open = given.text("whenAway") != "closed";
    return RatePolicy::make(std::move(settings));
}

result<RateCharge> RateLimitRoutes::charge_of(const Object& given) const {
    TRY(RatePolicyPtr policy, policy_of(given));
    const std::int64_t cost = given.integer("cost", policy->settings().cost);
    return RateCharge{std::move(policy), key_of(given), cost};
}

awaitable<result<Reply>> RateLimitRoutes::act(Call& call, RateAction action) {
    CO_TRY(const Object body, call.body(act_fields));
    std::vector<RateCharge> charges;
    for (const Value& each : *body.find("checks")->get_if<Array>()) {
        CO_TRY(RateCharge charge, charge_of(*each.get_if<Object>()));
        charges.push_back(std::move(charge));
    }
    CO_TRY(const auto outcome, co_await gate_.act(action, charges));
    co_return reply_of(charges, outcome);
}

awaitable<result<Reply>> RateLimitRoutes::block(Call& call) {
    CO_TRY(const Object body, call.body(block_fields));
    CO_TRY(const RatePolicyPtr policy, policy_of(body));
    const std::int64_t ms = body.integer("forMs");
    const std::int64_t ms_max = std::chrono::milliseconds(rate_time_max).count();
    if (ms < 1 || ms > ms_max)
        co_return fail(ErrorCode::invalid_argument, fmt::format("forMs: must be 1 to {}", ms_max));
    CO_TRY_VOID(co_await gate_.block(policy, key_of(body), std::chrono::milliseconds(ms)));
    co_return Reply{.status = 204};
}

awaitable<result<Reply>> RateLimitRoutes::unblock(Call& call) {
    CO_TRY(const Object body, call.body(unblock_fields));
    CO_TRY(const RatePolicyPtr policy, policy_of(body));
    CO_TRY_VOID(co_await gate_.unblock(policy, key_of(body)));
    co_return Reply{.status = 204};
}

} // namespace netbuild::http
