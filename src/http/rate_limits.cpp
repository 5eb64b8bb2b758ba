// SPDX-License-Identifier: Apache-2.0
#include "http/rate_limits.hpp"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

#include <fmt/format.h>

namespace netbuild::http {
namespace {

using asio::ip::address;

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

/// An IPv4 address inside IPv6 is that IPv4 address.
address plain(const address& given) {
    if (given.is_v6() && given.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, given.to_v6());
    return given;
}

std::string shown(const address& given) {
    constexpr unsigned short customer_bits = 64;
    if (given.is_v4()) return given.to_string();
    return asio::ip::network_v6(given.to_v6(), customer_bits).canonical().to_string();
}

/// The client waits long enough.
std::int64_t seconds_up(Clock::duration time) {
    return std::chrono::ceil<std::chrono::seconds>(time).count();
}

bool limited(const Rule& rule) {
    return rule.path != "/healthz" && rule.path != "/readyz" && rule.path != "/metrics";
}

/// "/v1/payments" or "POST:/v1/payments".
bool is_for(const Rule& rule, std::string_view on) {
    if (const auto colon = on.find(':'); colon != std::string_view::npos && colon < on.find('/')) {
        if (rule.method != on.substr(0, colon)) return false;
        on.remove_prefix(colon + 1);
    }
    return rule.path.starts_with(on);
}

bool needs_caller(const RatePolicy& policy) {
    const auto& parts = policy.settings().key;
    return std::any_of(parts.begin(), parts.end(), [](RateKeyPart part) {
        return part == RateKeyPart::user || part == RateKeyPart::domain;
    });
}

/// That of the path, or which the query asks for, or the caller's only one.
std::string_view domain_of(const Request& request, const RateLimits::Path& path,
                           const Caller& caller) {
    if (const auto found = path.find("domainId"); found != path.end()) return found->second;
    for (const auto& [name, value] : request.query) {
        if (name == "domainId") return value;
    }
    return caller.roles.size() == 1 ? std::string_view(caller.roles.begin()->first)
                                    : std::string_view{};
}

} // namespace

result<TrustedProxies> TrustedProxies::parse(std::string_view text) {
    TrustedProxies proxies;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const std::string part(trimmed(text.substr(0, comma)));
        text.remove_prefix(std::min(comma + 1, text.size()));
        boost::system::error_code ec;
        const std::size_t slash = part.find('/');
        const address base = asio::ip::make_address(part.substr(0, slash), ec);
        const std::string network =
            slash == std::string::npos ? part + (base.is_v4() ? "/32" : "/128") : part;
        if (!ec && base.is_v4()) {
            proxies.v4_.push_back(asio::ip::make_network_v4(network, ec));
        } else if (!ec) {
            proxies.v6_.push_back(asio::ip::make_network_v6(network, ec));
        }
        if (ec)
            return fail(ErrorCode::invalid_configuration,
                        fmt::format("\"{}\" is no address or network", part));
    }
    return proxies;
}

bool TrustedProxies::trusted(const address& given) const {
    const auto holds = [](const auto& networks, const auto& host) {
        return std::any_of(networks.begin(), networks.end(), [&](const auto& network) {
            using Network = std::decay_t<decltype(network)>;
            return Network(host, network.prefix_length()).canonical() == network.canonical();
        });
    };
    return given.is_v4() ? holds(v4_, given.to_v4()) : holds(v6_, given.to_v6());
}

std::string TrustedProxies::client_of(const Request& request) const {
    boost::system::error_code ec;
    address client = asio::ip::make_address(request.peer, ec);
    if (ec) return request.peer;
    client = plain(client);
    // From the right: what a proxy of ours has not written may be anybody's invention.
    for (std::string_view list = request.header("x-forwarded-for");
         !list.empty() && trusted(client);) {
        const auto comma = list.rfind(',');
        const std::string_view last =
            trimmed(comma == std::string_view::npos ? list : list.substr(comma + 1));
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
        const address named = asio::ip::make_address(std::string(last), ec);
        if (ec) break;
        client = plain(named);
    }
    return shown(client);
}

Headers rate_headers(std::span<const RateCharge> charges, const limits::Outcome& outcome) {
    const bool known = outcome.source == limits::Source::store;
    std::string policies, states;
    for (std::size_t i = 0; i < charges.size(); ++i) {
        const RatePolicySettings& settings = charges[i].policy->settings();
        if (!policies.empty()) policies += ", ";
        policies += fmt::format("\"{}\";q={}", settings.name, settings.limit);
        // Whole seconds are all that the field can say.
        if (settings.period.count() % 1000 == 0)
            policies += fmt::format(";w={}", settings.period.count() / 1000);
        if (settings.burst > 0) policies += fmt::format(";netbuild-burst={}", settings.burst);
        const RateStatus& status = outcome.decision.limits[i];
        const bool denied = status.retry_after > Clock::duration::zero();
        if (!known && !(outcome.source == limits::Source::local && denied)) continue;
        if (!states.empty()) states += ", ";
        states += fmt::format("\"{}\";r={};t={}", settings.name, status.remaining,
                              seconds_up(denied ? status.retry_after : status.reset));
    }
    Headers headers{{"RateLimit-Policy", std::move(policies)}};
    if (!states.empty()) headers.emplace_back("RateLimit", std::move(states));
    if (!outcome.decision.allowed)
        headers.emplace_back("Retry-After",
                             std::to_string(seconds_up(outcome.decision.retry_after())));
    return headers;
}

RateLimits::RateLimits(limits::RateGate& gate,
                       const std::vector<limits::ConfiguredPolicy>& policies,
                       TrustedProxies proxies)
    : gate_(gate), proxies_(std::move(proxies)) {
    for (const auto& configured : policies) {
        for (const Rule& rule : rules()) {
            const bool applies =
                limited(rule) &&
                std::any_of(configured.on.begin(), configured.on.end(),
                            [&](const std::string& on) { return is_for(rule, on); });
            if (applies) policies_[&rule].push_back(configured.policy);
        }
    }
}

awaitable<result<void>> RateLimits::admit(const Request& request, const Rule& rule,
                                          const Path& path, const Caller* caller,
                                          Headers& headers) {
    const auto found = policies_.find(&rule);
    if (found == policies_.end() || found->second.empty()) co_return result<void>{};
    const std::string client = proxies_.client_of(request);
    const std::string route = fmt::format("{} {}", rule.method, rule.path);
    std::vector<RateCharge> charges;
    for (const RatePolicyPtr& policy : found->second) {
        if (!caller && needs_caller(*policy)) continue;
        std::vector<std::string_view> parts;
        for (const RateKeyPart part : policy->settings().key) {
            switch (part) {
            case RateKeyPart::user: // those whom nobody knows are told apart by their address
                parts.push_back(caller->subject.empty() ? std::string_view(client)
                                                        : std::string_view(caller->subject));
                break;
            case RateKeyPart::domain:
                parts.push_back(domain_of(request, path, *caller));
                break;
            case RateKeyPart::ip:
                parts.push_back(client);
                break;
            case RateKeyPart::route:
                parts.push_back(route);
                break;
            }
        }
        charges.push_back({policy, rate_key(parts), policy->settings().cost});
    }
    if (charges.empty()) co_return result<void>{};
    CO_TRY(const auto outcome, co_await gate_.act(RateAction::check, charges));
    headers = rate_headers(charges, outcome);
    if (outcome.decision.allowed) co_return result<void>{};
    const std::string& name = charges[*outcome.decision.denied_by].policy->name();
    if (outcome.source == limits::Source::failed_closed)
        co_return fail(ErrorCode::unavailable,
                       fmt::format("rate limits, and {} lets in nobody without them", name));
    co_return fail(
        ErrorCode::rate_limited,
        fmt::format("in {} s, by the limit {}", seconds_up(outcome.decision.retry_after()), name));
}

} // namespace netbuild::http
