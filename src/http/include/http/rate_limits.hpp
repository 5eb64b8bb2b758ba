// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "http/call.hpp"
#include "limits/policy_text.hpp"
#include "limits/rate_gate.hpp"

namespace netbuild::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The proxies whose X-Forwarded-For is believed.
class TrustedProxies {
public:
    /// Addresses and networks, with commas: "10.0.0.0/8, ::1". invalid_configuration.
    [[nodiscard]] static result<TrustedProxies> parse(std::string_view text);

    /// The address that a request comes from: the connection's, or where that is a trusted proxy,
    /// the last one of X-Forwarded-For that is none. Of IPv6 its /64 network, which is one
    /// customer's; an IPv4 address in IPv6 is that IPv4 address.
    [[nodiscard]] std::string client_of(const Request& request) const;

private:
    [[nodiscard]] bool trusted(const asio::ip::address& address) const;
    std::vector<asio::ip::network_v4> v4_;
    std::vector<asio::ip::network_v6> v6_;
};

/// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), and Retry-After where the
/// request is denied: what a client has to know about `outcome` of these policies.
[[nodiscard]] Headers rate_headers(std::span<const RateCharge> charges,
                                   const limits::Outcome& outcome);

/// The limits of the routes: who may ask how often. /healthz, /readyz and /metrics have none.
class RateLimits {
public:
    using Path = std::map<std::string, std::string, std::less<>>;

    RateLimits(limits::RateGate& gate, const std::vector<limits::ConfiguredPolicy>& policies,
               TrustedProxies proxies);

    /// Before anything of the request is done. `caller`: null, if it could not be authenticated;
    /// then it is charged to policies by address alone. `headers` gets those of the answer.
    /// rate_limited; unavailable: a policy fails closed.
    awaitable<result<void>> admit(const Request& request, const Rule& rule, const Path& path,
                                  const Caller* caller, Headers& headers);

private:
    limits::RateGate& gate_;
    TrustedProxies proxies_;
    std::unordered_map<const Rule*, std::vector<RatePolicyPtr>> policies_;
};

} // namespace netbuild::http
