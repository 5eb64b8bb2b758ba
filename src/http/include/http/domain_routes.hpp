// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "data/domains.hpp"
#include "http/routes.hpp"

namespace netbuild::http {

/// /v1/domains: tenants' configuration, with ETag and If-Match (RFC 9110, section 13).
class DomainRoutes {
public:
    explicit DomainRoutes(data::Domains& domains) : domains_(domains) {}
    void add_to(Routes& routes);

private:
    awaitable<result<Reply>> list(Call& call);
    awaitable<result<Reply>> get(Call& call);
    awaitable<result<Reply>> put(Call& call);
    awaitable<result<Reply>> versions(Call& call);

    data::Domains& domains_;
};

} // namespace netbuild::http
