// SPDX-License-Identifier: Apache-2.0
// Limits of the routes, and those that other services ask for, over the limiter in memory.
#include "http/ratelimit_routes.hpp"

#include <gtest/gtest.h>

#include "memory/memory_rate_limiter.hpp"
#include "memory/memory_store.hpp"
#include "support/run.hpp"
#include "support/standing_clock.hpp"
#include "support/still_clock.hpp"
#include "wire/json.hpp"

namespace netbuild::http {
namespace {

using namespace std::chrono_literals;

/// The token is who somebody is.
struct Tokens final : Authenticator {
    awaitable<result<Caller>> authenticate(std::string authorization) override {
        if (authorization.empty()) co_return fail(ErrorCode::unauthorized, "no token");
        co_return Caller{.subject = authorization,
                         .roles = {{std::string(every_domain), Role::owner}}};
    }
};

/// Whatever is configured, and one that can be taken away.
class Limiter final : public RateLimiter {
public:
    explicit Limiter(Clock& clock) : memory_(clock, {}) {}
    void act(RateAction action, std::vector<RateCharge> charges, OnDecision on_decision) override {
        if (away) return on_decision(fail(ErrorCode::unavailable, "Redis"));
        memory_.act(action, std::move(charges), std::move(on_decision));
    }
    awaitable<result<void>> block(RatePolicyPtr policy, std::string key,
                                  std::chrono::milliseconds time) override {
        return memory_.block(std::move(policy), std::move(key), time);
    }
    awaitable<result<void>> unblock(RatePolicyPtr policy, std::string key) override {
        return memory_.unblock(std::move(policy), std::move(key));
    }
    bool away = false;

private:
    MemoryRateLimiter memory_;
};

class RateLimited : public testing::Test {
protected:
    static constexpr std::string_view text = R"(
        api       3/1m  by=user on=/v1 burst=2
        address   5/1m  by=ip   on=/v1
        sign-in   1/10s by=ip   on=POST:/v1/auth/login closed
        reports   2/1m)";

    RateLimited() { ratelimit_routes.add_to(routes); }

    Response ask(std::string path, std::string token = "ada", std::string peer = "192.0.2.1",
                 std::string forwarded = {}) {
        Request request{.method = "GET", .path = std::move(path), .peer = std::move(peer)};
        if (!token.empty()) request.headers["authorization"] = std::move(token);
        if (!forwarded.empty()) request.headers["x-forwarded-for"] = std::move(forwarded);
        return send(std::move(request));
    }
    Response post(std::string path, std::string body, std::string peer = "192.0.2.7") {
        Request request{.method = "POST",
                        .path = std::move(path),
                        .body = std::move(body),
                        .peer = std::move(peer)};
        // A user each: what is asked here is not what is limited.
        request.headers["authorization"] = "service" + std::to_string(++services);
        return send(std::move(request));
    }
    Response send(Request request) { return test::run(context, routes.handle(std::move(request))); }
    static std::string header(const Response& response, std::string_view wanted) {
        std::string found;
        for (const auto& [name, value] : response.headers) {
            if (name != wanted) continue;
            EXPECT_EQ(found, "") << "there twice";
            found = value;
        }
        return found;
    }
    Value answer(const std::string& action, const std::string& checks) {
        const auto response = post("/v1/ratelimit:" + action, R"({"checks":[)" + checks + "]}",
                                   "192.0.2." + std::to_string(services % 200 + 8));
        EXPECT_EQ(response.status, 200) << response.body;
        return parse_json(response.body).value();
    }

    asio::io_context context;
    test::StillClock clock;
    Limiter limiter{clock};
    limits::RateGate gate{limiter, clock, Random(1), {}};
    std::vector<limits::ConfiguredPolicy> policies = limits::parse_policies(text).value();
    RateLimits rate_limits{gate, policies, TrustedProxies::parse("10.0.0.0/8, ::1").value()};
    RateLimitRoutes ratelimit_routes{gate, policies};
    Tokens tokens;
    MemoryStore store;
    test::StandingClock model;
    query::QueryService queries{{store, model, clock}};
    Routes routes{{.queries = queries,
                   .model = model,
                   .clock = clock,
                   .status = [] { return Value(Object{}); },
                   .unready = [] { return std::vector<std::string>(); },
                   .metrics = [] { return std::string("x"); },
                   .authenticator = &tokens,
                   .limits = &rate_limits}};
    int services = 0;
};

TEST_F(RateLimited, an_answer_tells_its_limits_and_429_when_to_come_back) {
    const auto first = ask("/v1/tasks");
    EXPECT_EQ(first.status, 200) << first.body;
    EXPECT_EQ(header(first, "RateLimit-Policy"),
              "\"api\";q=3;w=60;netbuild-burst=2, \"address\";q=5;w=60");
    EXPECT_EQ(header(first, "RateLimit"), "\"api\";r=1;t=20, \"address\";r=4;t=12");
    EXPECT_EQ(header(first, "Retry-After"), "");
    EXPECT_EQ(ask("/v1/tasks").status, 200);
    const auto denied = ask("/v1/tasks");
    EXPECT_EQ(denied.status, 429);
    EXPECT_EQ(denied.content_type, "application/problem+json");
    EXPECT_EQ(header(denied, "Retry-After"), "20");
    EXPECT_EQ(header(denied, "RateLimit"), "\"api\";r=0;t=20, \"address\";r=3;t=24");
    const Value body = parse_json(denied.body).value();
    EXPECT_EQ(body.at_path("code")->string_or(), "rate_limited");
    EXPECT_EQ(body.at_path("detail")->string_or(), "in 20 s, by the limit api");
    // The next one is not asked for: only what is known of the key is told.
    EXPECT_EQ(header(ask("/v1/tasks"), "RateLimit"), "\"api\";r=0;t=10");
    clock.now += 20s;
    EXPECT_EQ(ask("/v1/tasks").status, 200);
}

TEST_F(RateLimited, another_user_has_a_limit_of_its_own_and_an_address_one_for_all_of_them) {
    for (const char* user : {"ada", "bob"})
        for (int i = 0; i < 2; ++i)
            EXPECT_EQ(ask("/v1/tasks", user).status, 200);
    EXPECT_EQ(ask("/v1/tasks", "eve").status, 200);
    EXPECT_EQ(ask("/v1/tasks", "eve").status, 429);
    EXPECT_EQ(ask("/v1/tasks", "eve", "192.0.2.2").status, 200);
}

TEST_F(RateLimited, who_guesses_tokens_is_limited_by_address) {
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(ask("/v1/tasks", "").status, 401);
    EXPECT_EQ(ask("/v1/tasks", "").status, 429);
}

TEST_F(RateLimited, what_watches_the_server_and_routes_without_a_policy_have_none) {
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(ask("/healthz").status, 200);
        const auto metrics = ask("/metrics");
        EXPECT_EQ(metrics.status, 200);
        EXPECT_EQ(header(metrics, "RateLimit-Policy"), "");
    }
}

TEST_F(RateLimited, while_redis_is_away_policies_fail_open_or_closed) {
    limiter.away = true;
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(ask("/v1/tasks").status, 200);
    routes.add("POST", "/v1/auth/login",
               [](Call&) -> awaitable<result<Reply>> { co_return Reply{.status = 204}; });
    const auto closed = post("/v1/auth/login", "{}");
    EXPECT_EQ(closed.status, 503);
    EXPECT_EQ(header(closed, "Retry-After"), "1");
    EXPECT_EQ(parse_json(closed.body).value().at_path("code")->string_or(), "unavailable");
    limiter.away = false;
    EXPECT_EQ(post("/v1/auth/login", "{}").status, 204);
    EXPECT_EQ(post("/v1/auth/login", "{}").status, 429);
}

TEST_F(RateLimited, x_forwarded_for_is_believed_of_trusted_proxies_only) {
    const auto client = [](std::string peer, std::string forwarded) {
        Request request{.peer = std::move(peer)};
        request.headers["x-forwarded-for"] = std::move(forwarded);
        return TrustedProxies::parse("10.0.0.0/8, ::1").value().client_of(request);
    };
    EXPECT_EQ(client("192.0.2.1", "198.51.100.7"), "192.0.2.1");
    EXPECT_EQ(client("10.0.0.1", "198.51.100.7"), "198.51.100.7");
    EXPECT_EQ(client("10.0.0.1", "1.1.1.1, 198.51.100.7 , 10.2.3.4"), "198.51.100.7");
    EXPECT_EQ(client("10.0.0.1", "unknown, 10.9.9.9"), "10.9.9.9");
    EXPECT_EQ(client("10.0.0.1", ""), "10.0.0.1");
    EXPECT_EQ(client("::ffff:10.0.0.1", "::ffff:198.51.100.7"), "198.51.100.7");
    // A customer has a /64 of addresses.
    EXPECT_EQ(client("::1", "2001:db8:1:2:3:4:5:6"), client("::1", "2001:db8:1:2:f::9"));
    EXPECT_NE(client("::1", "2001:db8:1:2:3:4:5:6"), client("::1", "2001:db8:1:3:3:4:5:6"));
    EXPECT_FALSE(TrustedProxies::parse("10.0.0.0/33"));
    EXPECT_FALSE(TrustedProxies::parse("proxy.example"));
}

TEST_F(RateLimited, a_service_counts_against_policies_that_it_sends_along) {
    const std::string check = R"({"policy":"mail","key":["usr_1"],"limit":2,"periodMs":60000})";
    for (const std::int64_t left : {1, 0}) {
        const Value allowed = answer("check", check);
        EXPECT_EQ(*allowed.at_path("allowed"), Value(true));
        EXPECT_EQ(
            (*allowed.at_path("limits")->get_if<Array>())[0].at_path("remaining")->integer_or(-1),
            left);
    }
    const Value denied = answer("check", check);
    EXPECT_EQ(*denied.at_path("allowed"), Value(false));
    EXPECT_EQ(denied.at_path("deniedBy")->string_or(), "mail");
    EXPECT_EQ(denied.at_path("retryAfterMs")->integer_or(), 30'000);
    EXPECT_EQ(denied.at_path("headers")->get_if<Object>()->find("Retry-After")->string_or(), "30");
    EXPECT_EQ(denied.at_path("source")->string_or(), "store");
    EXPECT_EQ(answer("check", check).at_path("source")->string_or(), "local");
    EXPECT_EQ(*answer("peek", R"({"policy":"mail","key":["usr_2"],"limit":2,"periodMs":60000})")
                   .at_path("allowed"),
              Value(true));
}

TEST_F(RateLimited, a_service_penalizes_blocks_and_unblocks) {
    const std::string check = R"({"policy":"reports","key":["usr_1"]})";
    answer("penalize", R"({"policy":"reports","key":["usr_1"],"cost":2})");
    EXPECT_EQ(*answer("check", check).at_path("allowed"), Value(false));
    EXPECT_EQ(post("/v1/ratelimit:unblock", check).status, 204);
    EXPECT_EQ(*answer("check", check).at_path("allowed"), Value(true));
    EXPECT_EQ(
        post("/v1/ratelimit:block", R"({"policy":"reports","key":["usr_1"],"forMs":5000})").status,
        204);
    EXPECT_EQ(answer("check", check).at_path("retryAfterMs")->integer_or(), 5000);
    clock.now += 5s;
    EXPECT_EQ(*answer("check", check).at_path("allowed"), Value(true));
}

TEST_F(RateLimited, what_a_service_cannot_mean_is_named) {
    const auto detail = [&](const std::string& checks) {
        const auto response = post("/v1/ratelimit:check", R"({"checks":[)" + checks + "]}",
                                   "192.0.2." + std::to_string(services % 200 + 8));
        EXPECT_EQ(response.status, 400);
        return std::string(parse_json(response.body).value().at_path("detail")->string_or());
    };
    EXPECT_EQ(detail(""), "charges: must be 1 to 16");
    EXPECT_EQ(detail(R"({"policy":"mail"})"),
              "policy: mail is not configured here, so it needs limit and periodMs");
    EXPECT_EQ(detail(R"({"policy":"api","limit":5})"), "limit: the policy api is configured here");
    EXPECT_EQ(detail(R"({"policy":"a b","limit":5,"periodMs":1})"),
              "name: must be 1 to 40 of letters, digits, - and _");
    EXPECT_EQ(detail(R"({"policy":"reports","cost":3})"), "cost: must be 1 to 2 of reports");
    EXPECT_EQ(detail(R"({"policy":"reports"},{"policy":"reports"})"),
              "charges: reports has the same key twice");
}

} // namespace
} // namespace netbuild::http
